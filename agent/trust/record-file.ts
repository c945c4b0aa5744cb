// The trust record on the disk, one for each environment that the app was served in: a host that is
// given to another and back has forgotten no floor. Owns the file's shape.

import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { emptyRecord, type TrustRecord } from './trust-record.ts'
import { StateJournal } from '../journal/state-journal.ts'

const release = { version: Type.String(), tree: Type.String() }
const record = Type.Object({
  enforced: Type.Boolean(),
  standing: Type.Object({
    highest: Type.Integer(),
    floor: Type.Integer(),
    committed: Type.Array(Type.Object({ ...release, sequence: Type.Integer() })),
  }),
  verified: Type.Array(
    Type.Object({
      ...release,
      sequence: Type.Integer(),
      floor: Type.Union([Type.Integer(), Type.Null()]),
      signers: Type.Array(Type.String()),
      verifiedAt: Type.Number(),
    }),
  ),
  found: Type.Array(Type.Object(release)),
})
const recordFile = Type.Object({ environments: Type.Record(Type.String(), record) })
type Content = Static<typeof recordFile>

const validator = Compile(recordFile)
const hint =
  'It holds the floor below which no release is let in, so it is not thrown away by itself. Restore ' +
  'the file; or, if you know what this host ran last, move it away.'

export class RecordFile {
  readonly #file: StateJournal<Content>
  readonly #environment: string
  readonly #others: Content['environments']

  private constructor(
    file: StateJournal<Content>,
    environment: string,
    others: Content['environments'],
  ) {
    this.#file = file
    this.#environment = environment
    this.#others = others
  }

  /** @throws LockstepError `bad-journal`, `disk-error` */
  static async open(
    path: string,
    environment: string,
  ): Promise<{ file: RecordFile; record: TrustRecord }> {
    const journal = new StateJournal(
      path,
      (value): value is Content => validator.Check(value),
      hint,
    )
    const loaded = await journal.load()
    const all = loaded.kind === 'missing' ? {} : loaded.value.environments
    const { [environment]: own = emptyRecord, ...others } = all
    return { file: new RecordFile(journal, environment, others), record: own }
  }

  /** Durable when it resolves. @throws LockstepError `no-space`, `disk-error` */
  async save(record: TrustRecord): Promise<void> {
    const own: Content['environments'][string] = structuredClone(record) as never
    await this.#file.save({ environments: { ...this.#others, [this.#environment]: own } })
  }
}
