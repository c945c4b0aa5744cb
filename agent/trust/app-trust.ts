// Whether this host lets a release of one app in, and lets it run: by the host's own trust file, by
// what it verified before and by what was committed here. Everything that it permits is durable first.

import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'
import type { Failure, TrustSight } from '#shared/report.ts'
import { admit } from '#shared/trust/floor.ts'
import type { Statement } from '#shared/trust/statement.ts'
import {
  ruleFor,
  type TrustPolicy,
  type TrustVerdict,
  verifyRelease,
} from '#shared/trust/trust-policy.ts'
import { RecordFile } from './record-file.ts'
import type { TrustFile } from './trust-file.ts'
import {
  hasRun,
  isFound,
  mayRun,
  type TrustRecord,
  type VerifiedRelease,
  verifiedRelease,
  withCommitted,
  withEnforced,
  withVerified,
} from './trust-record.ts'

export interface AppTrustPorts {
  readonly app: string
  readonly environment: string
  readonly file: TrustFile
  /** Where the record lies. */
  readonly record: string
  /** Epoch milliseconds of the host's clock: for expiry and for the times of keys. */
  readonly now: () => number
  /** How releases are judged is not what it was, or not known to the log yet. */
  readonly onSight: (sight: TrustSight) => void
  /** A release that the trust file says to let go nevertheless. */
  readonly onDoubt: (release: Release, message: string) => void
  readonly onFound: (release: Release) => void
  /** It could not be written down; it is tried again. */
  readonly onProblem: (doing: string, error: LockstepError) => void
}

export interface StageQuestion {
  readonly release: Release
  /** The controller says that the environment runs it: it is not staged by a rollout. */
  readonly isSettled: boolean
  /** It was staged before and stands on the disk, whole or not. */
  readonly isStanding: boolean
  /** The envelope of its statement; null for none. */
  readonly fetch: () => Promise<Uint8Array | null>
}

type Standpoint =
  | { readonly kind: 'idle'; readonly policy: 'none' | 'off' }
  | { readonly kind: 'broken'; readonly reason: string }
  | { readonly kind: 'asking'; readonly policy: 'require' | 'warn'; readonly trust: TrustPolicy }

export class AppTrust {
  readonly #ports: AppTrustPorts
  readonly #file: RecordFile
  #record: TrustRecord
  /** Changes go one after the other: each is judged by what the one before has left. */
  #turn: Promise<unknown> = Promise.resolve()
  #told = ''
  #doubt: string | null = null

  private constructor(ports: AppTrustPorts, opened: { file: RecordFile; record: TrustRecord }) {
    this.#ports = ports
    this.#file = opened.file
    this.#record = opened.record
  }

  /** @throws LockstepError `bad-journal`, `disk-error` */
  static async open(ports: AppTrustPorts): Promise<AppTrust> {
    return new AppTrust(ports, await RecordFile.open(ports.record, ports.environment))
  }

  /** What people are shown of it. */
  sight(): TrustSight {
    const standpoint = this.#standpoint()
    if (standpoint.kind === 'broken')
      return { policy: 'broken', note: shortened(standpoint.reason) }
    const note = standpoint.policy === 'warn' ? this.#doubt : this.#cautionNow()
    return { policy: standpoint.policy, note: note === null ? null : shortened(note) }
  }

  /**
   * Looks at the trust file. When it begins to ask for signatures, what runs is written down as
   * found: nobody verified it, and it stays.
   */
  async refresh(running: Release | null): Promise<void> {
    const standpoint = this.#standpoint()
    const enforced = isEnforcing(standpoint)
    if (enforced !== this.#record.enforced) await this.#enforce(enforced, running)
    const sight = this.sight()
    const told = JSON.stringify(sight)
    if (told === this.#told) return
    this.#told = told
    this.#ports.onSight(sight)
  }

  /** Why the release must not become current; null when it may. Asked right before it does. */
  refusal(release: Release): Failure | null {
    const standpoint = this.#standpoint()
    if (!isEnforcing(standpoint)) return null
    const verdict = mayRun(this.#record, release)
    if (verdict === 'unverified') {
      const why = standpoint.kind === 'broken' ? standpoint.reason : 'no signed statement of it was'
      const tail = standpoint.kind === 'broken' ? '' : ' verified on this host'
      return untrusted(release, `${why}${tail}`)
    }
    return verdict.outcome === 'admitted' ? null : untrusted(release, verdict.message)
  }

  /**
   * Judges a release that is to be staged, before the first byte of it; what is let in is known to
   * the disk when this resolves.
   * @returns why it is not let in; null when it is
   * @throws LockstepError what fetching the statement or writing the record throws
   */
  async admit(question: StageQuestion): Promise<Failure | null> {
    const { release } = question
    const standpoint = this.#standpoint()
    if (standpoint.kind === 'idle') return null
    if (this.#isRemembered(question)) return null
    if (standpoint.kind === 'broken') return untrusted(release, standpoint.reason)
    const envelope = await question.fetch()
    return this.#inTurn(() => this.#admitBy(envelope, question))
  }

  /** By the trust file as it is by now: how long the envelope took was for the controller to choose. */
  async #admitBy(envelope: Uint8Array | null, question: StageQuestion): Promise<Failure | null> {
    const { release } = question
    const standpoint = this.#standpoint()
    if (standpoint.kind === 'idle') return null
    if (standpoint.kind === 'broken') return untrusted(release, standpoint.reason)
    const judged = this.#judge(question, standpoint.trust, envelope)
    if (judged.kind === 'verified') {
      await this.#save(withVerified(this.#record, judged.release))
      this.#doubt = null
    }
    if (judged.kind !== 'doubtful') return null
    if (standpoint.policy === 'require') return untrusted(release, judged.message)
    this.#doubt = `${release.version}: ${judged.message}`
    this.#ports.onDoubt(release, judged.message)
    return null
  }

  /**
   * The environment runs the release, and so does this host: the floor rises.
   * @returns whether that is on the disk
   */
  async commit(release: Release): Promise<boolean> {
    return this.#inTurn(async () => {
      const next = withCommitted(this.#record, release)
      if (next === this.#record) return true
      return this.#trySave('writing down what was committed', next)
    })
  }

  /** It needs no statement again: the keys may be others by now, and the statement expired. */
  #isRemembered({ release, isStanding }: StageQuestion): boolean {
    const record = this.#record
    if (verifiedRelease(record, release) === null && !isFound(record, release)) return false
    const verdict = mayRun(record, release)
    if (verdict === 'unverified' || verdict.outcome === 'refused') return false
    return isStanding || hasRun(record, release)
  }

  #judge(question: StageQuestion, policy: TrustPolicy, envelope: Uint8Array | null): Judged {
    const { app, environment, now } = this.#ports
    const { release } = question
    const at = now()
    const verdict = verifyRelease({ envelope, policy, app, environment, release, at })
    if (verdict.outcome === 'not-asked') return { kind: 'not-asked' }
    if (verdict.outcome !== 'trusted') return { kind: 'doubtful', message: verdict.message }
    const { statement } = verdict
    const { standing } = this.#record
    const purpose = this.#purposeOf(question)
    const admission = admit({ statement, standing, purpose, at })
    if (admission.outcome === 'refused') return { kind: 'doubtful', message: admission.message }
    return { kind: 'verified', release: verifiedOf(release, statement, verdict, at) }
  }

  /**
   * What the environment has committed is judged by its sequence alone: a host that was away, or that
   * is new, has to come to what all others run, though the statement has expired meanwhile.
   */
  #purposeOf({ release, isSettled }: StageQuestion): 'new' | 'return' | 'admitted' {
    if (hasRun(this.#record, release)) return 'return'
    return isSettled ? 'admitted' : 'new'
  }

  async #enforce(enforced: boolean, running: Release | null): Promise<void> {
    await this.#inTurn(async () => {
      const next = withEnforced(this.#record, enforced, running)
      if (next === this.#record) return
      if (!(await this.#trySave('writing down what is trusted', next))) return
      for (const release of enforced ? next.found : []) this.#ports.onFound(release)
    })
  }

  #standpoint(): Standpoint {
    const { file, environment } = this.#ports
    const state = file.state()
    if (state.kind === 'broken') return state
    if (state.kind === 'missing') {
      // Whoever took it away has to say so: a file that asks for nothing says it.
      const reason = `${file.path} asked for signatures here, and is gone`
      return this.#record.enforced ? { kind: 'broken', reason } : { kind: 'idle', policy: 'none' }
    }
    const { policy: trust } = state
    const policy = ruleFor(trust, environment)?.policy ?? 'require'
    return policy === 'off' ? { kind: 'idle', policy } : { kind: 'asking', policy, trust }
  }

  #cautionNow(): string | null {
    const state = this.#ports.file.state()
    return state.kind === 'read' ? state.caution : null
  }

  async #trySave(doing: string, record: TrustRecord): Promise<boolean> {
    try {
      await this.#save(record)
      return true
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      this.#ports.onProblem(doing, error)
      return false
    }
  }

  async #save(record: TrustRecord): Promise<void> {
    await this.#file.save(record)
    this.#record = record
  }

  async #inTurn<Value>(change: () => Promise<Value>): Promise<Value> {
    const turn = this.#turn.then(change, change)
    this.#turn = turn
    return turn
  }
}

type Judged =
  | { readonly kind: 'not-asked' }
  | { readonly kind: 'verified'; readonly release: VerifiedRelease }
  | { readonly kind: 'doubtful'; readonly message: string }

/** A message that were over its limit would be refused, and so would every one after it. */
function shortened(note: string): string {
  return note.slice(0, limits.messageTextCharsMax)
}

function isEnforcing(standpoint: Standpoint): boolean {
  return standpoint.kind === 'broken' || standpoint.policy === 'require'
}

function verifiedOf(
  { version, tree }: Release,
  { sequence, floor }: Statement,
  { signers }: Extract<TrustVerdict, { outcome: 'trusted' }>,
  verifiedAt: number,
): VerifiedRelease {
  return { version, tree, sequence, floor: floor ?? null, signers: [...signers], verifiedAt }
}

function untrusted({ version }: Release, why: string): Failure {
  return {
    code: 'untrusted-release',
    message: `${version} is not let in: ${why}`,
    hint: 'Sign the release for this environment with keys that the host trusts; see docs/trust.md.',
  }
}
