// Both machines and their runners through 2,000 random schedules of faults, with every guarantee
// checked after every step.

import { randomInt } from 'node:crypto'
import t from 'tap'
import { type Outcome, runInThread } from './run/task.ts'

const fixed = 1500
const fresh = 500

/** None of these may be zero, or the schedules were too kind. */
const wanted = [
  'drop',
  'duplicate',
  'reorder',
  'delay',
  'disconnect',
  'partition',
  'agent crash',
  'controller crash',
  'save lost in a crash',
  'save kept in a crash',
  'stage failure',
  'swap failure',
  'reload failure',
  'hook failure',
  'on-failure hook',
  'unhealthy',
  'drift',
  'tampering',
  'obstacle',
  'clock step',
  'restore',
  'recovery',
  'join',
  'removal',
  'drained',
  'let in',
  'once told',
  'once done',
  'once failed',
  'once unknown',
  'once hang',
  'controller dies, once run unrecorded',
  'controller dies, once run recorded',
  'controller dies, once run told',
  'controller dies, once run running',
  'controller dies, once run exited',
  'controller dies, once run journalled',
  'agent dies, once run recorded',
  'agent dies, once run told',
  'agent dies, once run running',
  'agent dies, once run exited',
  'agent dies, once run journalled',
  'wave rests: soak',
  'wave rests: pause',
  'next wave',
  'committed',
  'committed without all',
  'committed, some dropped',
  'committed, some left behind',
  'committed, some excluded',
  'rolled-back',
  'aborted',
  'failed',
  'ended with unknown',
  'ended: all-healthy',
  'ended: no-hosts',
  'ended: cancelled',
  'ended: superseded',
  'ended: stage-deadline',
  'ended: no-participants',
  'ended: once-failed',
  'ended: once-unknown',
  'ended: host-failed',
  'ended: host-removed',
  'ended: activation-deadline',
  'ended: verify-deadline',
  'ended: wave-deadline',
  'ended: pause-deadline',
  'ended: controller-was-away',
  'ended: recovered',
]

void t.test('2,000 random schedules break no guarantee', { timeout: 240_000 }, async (t) => {
  const first = randomInt(2 ** 31)
  t.comment(`${fixed} fixed schedules, and ${fresh} from the fresh seed ${first}`)
  const startedAt = performance.now()
  const outcomes = await Promise.all([
    run(1, fixed / 2),
    run(1 + fixed / 2, fixed / 2),
    run(first, fresh),
  ])
  const seconds = (performance.now() - startedAt) / 1000
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) {
    for (const [what, times] of Object.entries(outcome.counts)) {
      counts[what] = (counts[what] ?? 0) + times
    }
  }
  for (const { replay, failure } of outcomes.flatMap((outcome) => outcome.failures)) {
    t.fail(`npm run simulate -- ${replay}`, { failure })
  }
  t.equal(
    outcomes.reduce((sum, { ran }) => sum + ran, 0),
    fixed + fresh,
  )
  t.comment(
    `${seconds.toFixed(1)} s: ${wanted.map((what) => `${counts[what] ?? 0} ${what}`).join(', ')}`,
  )
  for (const what of wanted) t.ok((counts[what] ?? 0) > 0, `${what} was met`)
})

async function run(first: number, count: number): Promise<Outcome> {
  const seeds = Array.from({ length: count }, (_, i) => first + i)
  return runInThread({ task: { kind: 'schedules', seeds, untilFailure: false }, mutant: null })
}
