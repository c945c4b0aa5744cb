// The journal of one app in one environment: the machine's journal, and whose it is.

import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { emptyJournal, type Journal } from '#shared/activation/state.ts'
import { desired } from '#shared/wire/messages.ts'
import type { JournalStore } from '../runtime/ports.ts'
import { StateJournal } from './state-journal.ts'

const { fence, kind, hold, run, stage, once, history } = desired.properties
const told = Type.Object({ fence, kind, hold, run, stage, once, history })

const appJournal = Type.Object({
  environment: Type.String(),
  journal: Type.Object({
    fence: Type.Union([fence, Type.Null()]),
    told: Type.Union([told, Type.Null()]),
    before: Type.Union([
      Type.Object({ link: Type.Union([Type.String(), Type.Null()]) }),
      Type.Null(),
    ]),
    reloadDue: Type.Boolean(),
    activation: Type.Union([
      Type.Object({
        fence,
        activatedAt: Type.Number(),
        errorMs: Type.Number(),
        mode: Type.Enum(['timed', 'on-receipt']),
      }),
      Type.Null(),
    ]),
  }),
})
type AppJournalFile = Static<typeof appJournal>

const validator = Compile(appJournal)

export class AppJournal implements JournalStore {
  readonly #file: StateJournal<AppJournalFile>
  readonly #environment: string

  constructor(path: string, environment: string) {
    this.#file = new StateJournal(path, (value): value is AppJournalFile => validator.Check(value))
    this.#environment = environment
  }

  /**
   * Fences count within one environment: a host that was given to another begins anew.
   * @throws LockstepError `bad-journal`, `disk-error`
   */
  async load(): Promise<Journal> {
    const loaded = await this.#file.load()
    if (loaded.kind === 'missing' || loaded.value.environment !== this.#environment) {
      return emptyJournal
    }
    return loaded.value.journal
  }

  async save(journal: Journal): Promise<void> {
    await this.#file.save({ environment: this.#environment, journal: asFile(journal) })
  }
}

/** The same value; the file's lists are not read-only. */
function asFile(journal: Journal): AppJournalFile['journal'] {
  const { told } = journal
  return { ...journal, told: told === null ? null : { ...told, history: [...told.history] } }
}
