// The worker thread of one stage; its only composition root.

import { serveWorker } from '../adapters/run-in-worker.ts'
import type { StageProgress } from './progress.ts'
import type { StagedRelease, StageRequest } from './stage-request.ts'
import { StageRun } from './stage-run.ts'

await serveWorker<StageRequest, StagedRelease, StageProgress>(async (request, tell) =>
  new StageRun(request, tell).run(),
)
