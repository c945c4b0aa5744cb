// The simulator is only worth what it catches: the program without one of its rules must break a
// guarantee within a bounded number of schedules. The machines' own invariants are silenced here.

import t from 'tap'
import { seeded } from './mutants/seeded.ts'
import { runInThread } from './run/task.ts'

const schedulesMax = 2500
const seeds = Array.from({ length: schedulesMax }, (_, i) => i + 1)

for (const mutant of seeded) {
  void t.test(`the mutant "${mutant.name}" is caught`, { timeout: 120_000 }, async (t) => {
    t.comment(mutant.rule)
    const outcome = await runInThread({
      task: { kind: 'schedules', seeds, untilFailure: true },
      mutant,
    })
    const what = outcome.failures[0]?.failure.split('\n')[0] ?? 'it survived'
    t.match(what, /^Violation: /, what)
    t.comment(`by schedule ${outcome.ran}: ${what}`)
  })
}
