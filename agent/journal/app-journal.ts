// The journal of one app in one environment: the machine's journal, and whose it is.

import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { emptyJournal, type Journal } from '#shared/activation/state.ts'
import { desired, observed } from '#shared/wire/messages.ts'
import type { JournalStore } from '../runtime/ports.ts'
import { StateJournal } from './state-journal.ts'

const { fence, kind, hold, drain, run, stage, once, history } = desired.properties
const told = Type.Object({
  fence,
  kind,
  hold,
  drain: Type.Optional(drain),
  run,
  stage,
  once: Type.Optional(once),
  history,
})
const seenLink = Type.Union([
  Type.Object({ link: Type.Union([Type.String(), Type.Null()]) }),
  Type.Null(),
])

/** What is optional was not written by every agent before. */
const appJournal = Type.Object({
  environment: Type.String(),
  journal: Type.Object({
    fence: Type.Union([fence, Type.Null()]),
    told: Type.Union([told, Type.Null()]),
    before: seenLink,
    reloadDue: Type.Boolean(),
    rollingBack: Type.Optional(Type.Boolean()),
    previous: Type.Optional(seenLink),
    activation: Type.Union([
      Type.Object({
        fence,
        activatedAt: Type.Number(),
        errorMs: Type.Number(),
        mode: Type.Enum(['timed', 'on-receipt']),
      }),
      Type.Null(),
    ]),
    afterStageDone: Type.Optional(Type.Array(Type.String())),
    once: Type.Optional(observed.properties.once),
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
    return asJournal(loaded.value.journal)
  }

  async save(journal: Journal): Promise<void> {
    await this.#file.save({ environment: this.#environment, journal: asFile(journal) })
  }
}

function asJournal(file: AppJournalFile['journal']): Journal {
  const { told: said } = file
  return {
    ...emptyJournal,
    ...file,
    told: said === null ? null : { drain: false, once: false, ...said },
  }
}

/** The same value; the file's lists are not read-only. */
function asFile(journal: Journal): AppJournalFile['journal'] {
  const { told: said, afterStageDone } = journal
  return {
    ...journal,
    told: said === null ? null : { ...said, history: [...said.history] },
    afterStageDone: [...afterStageDone],
  }
}
