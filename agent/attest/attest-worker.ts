// The worker thread of one deep attest; its only composition root.

import { serveWorker } from '../adapters/run-in-worker.ts'
import { type AttestRequest, attestNow } from './attest-version.ts'
import type { Attest } from './quick-attest.ts'

await serveWorker<AttestRequest, Attest>(attestNow)
