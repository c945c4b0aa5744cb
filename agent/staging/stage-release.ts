// Stages a release beside the others: the agent's side of it, which starts the worker and waits.

import { runInWorker } from '../adapters/run-in-worker.ts'
import type { StageProgress } from './progress.ts'
import type { StagedRelease, StageRequest } from './stage-request.ts'

/**
 * Builds `versions/<version>` whole, proven and durable, or leaves it as it was. Repeatable: a
 * second call finds the release standing; after a crash it goes on from what was written. One stage
 * of an app at a time.
 * @throws LockstepError `no-space`, `shared-missing`, `bad-configuration`, `bad-manifest`,
 *   `refused-entry`, `content-mismatch`, `stalled`, `fetch-failed`, `unauthorised`, `unknown-tree`,
 *   `tree-drifted`, `stage-failed`, `disk-error`; the signal's reason when it was aborted. Then the
 *   worker has ended when this rejects, and what it wrote serves the next stage of the same tree.
 */
export async function stageRelease(
  request: StageRequest,
  options: {
    readonly signal?: AbortSignal
    readonly onProgress?: (progress: StageProgress) => void
  } = {},
): Promise<StagedRelease> {
  const script = new URL('./stage-worker.ts', import.meta.url)
  return runInWorker<StagedRelease, StageProgress>(script, request, options)
}
