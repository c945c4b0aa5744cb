// A process of its own that stages one release and says what came of it, and the most memory it had
// resident: something to be killed, or weighed.

import { stageRelease } from '#agent/staging/stage-release.ts'
import type { StageRequest } from '#agent/staging/stage-request.ts'

const [request = ''] = process.argv.slice(2)
const staged = await stageRelease(JSON.parse(request) as StageRequest)
const peakBytes = process.resourceUsage().maxRSS * 1024
process.stdout.write(`${JSON.stringify({ ...staged, peakBytes })}\n`)
