// What the runner needs to have kept: an environment's record with its facts, saved together or
// not at all, and whether a fence was ever recorded.

import type { Fact } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentRecord } from '#shared/environment/state.ts'
import type { Fence } from '#shared/fence.ts'
import type { StepAudit } from './environment-audit.ts'

export interface StoredEnvironment {
  readonly record: EnvironmentRecord
  /** Grows with every save; a save names the one that it replaces. */
  readonly revision: number
}

export interface EnvironmentSave {
  readonly before: EnvironmentRecord
  readonly after: EnvironmentRecord
  readonly facts: readonly Fact[]
  /** For the audit trail, in the same transaction. */
  readonly audit: readonly StepAudit[]
  /** The revision that is replaced. */
  readonly revision: number
  /** For facts and audit: the controller's clock, epoch milliseconds. */
  readonly at: number
}

/** Somebody else saved the environment in between: there are two controllers on one store. */
export class RevisionConflict extends Error {
  override readonly name = 'RevisionConflict'
}

export interface EnvironmentStore {
  list(): Promise<readonly StoredEnvironment[]>
  /** The stored environment; an empty one is stored first where there is none. */
  open(app: string, environment: string): Promise<StoredEnvironment>
  /**
   * One transaction, durable when it resolves.
   * @returns the new revision
   * @throws RevisionConflict; LockstepError `unknown-version` when it newly names a release that
   *   was removed
   */
  save(save: EnvironmentSave): Promise<number>
  isRecorded(app: string, environment: string, fence: Fence): Promise<boolean>
  /** The rollout that was started with this Idempotency-Key since `since`. */
  rolloutOfKey(
    app: string,
    environment: string,
    key: string,
    since: number,
  ): Promise<Rollout | null>
}
