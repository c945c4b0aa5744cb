// The simulator is only worth what it catches: the program without one of its rules must break a
// guarantee within a bounded number of schedules. The machines' own invariants are silenced here.

import t from 'tap'
import { type SeededMutant, seeded } from './mutants/seeded.ts'
import { runInThread, type Task } from './run/task.ts'

const schedulesMax = 2500
const seeds = Array.from({ length: schedulesMax }, (_, i) => i + 1)

for (const mutant of seeded) {
  void t.test(`the mutant "${mutant.name}" is caught`, { timeout: 120_000 }, async (t) => {
    t.comment(mutant.rule)
    const outcome = await runInThread({ task: taskOf(mutant), mutant })
    const [first] = outcome.failures
    const what = first?.failure.split('\n')[0] ?? 'it survived'
    t.match(what, mutant.scenario === undefined ? /^Violation: / : /^(?:Violation|Assertion)/, what)
    t.comment(`by ${first?.replay ?? 'nothing'}: ${what}`)
  })
}

/** What caught it last comes first; the search is for the day when that does no longer. */
function taskOf({ seed, scenario }: SeededMutant): Task['task'] {
  if (scenario !== undefined) return { kind: 'scenarios', traces: [scenario] }
  const ordered = seed === undefined ? seeds : [seed, ...seeds]
  return { kind: 'schedules', seeds: ordered, untilFailure: true }
}
