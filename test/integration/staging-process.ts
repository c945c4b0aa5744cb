// A process of its own that stages one release and says what came of it: something to be killed.

import { stageRelease } from '#agent/staging/stage-release.ts'
import type { StageRequest } from '#agent/staging/stage-request.ts'

const [request = ''] = process.argv.slice(2)
const staged = await stageRelease(JSON.parse(request) as StageRequest)
process.stdout.write(`${JSON.stringify(staged)}\n`)
