// The simulator is only worth what it catches: the program without one of its rules must break a
// guarantee within a bounded number of schedules. The machines' own invariants are silenced here.

import t from 'tap'
import type { SeededMutant } from './mutants/mutant.ts'
import { seeded } from './mutants/seeded.ts'
import { runAllInThread, type Task } from './run/task.ts'

const schedulesMax = 2500
const seeds = Array.from({ length: schedulesMax }, (_, i) => i + 1)

const tried = runAllInThread(seeded.map((mutant) => ({ task: taskOf(mutant), mutant })))

for (const [index, { name, rule, scenario }] of seeded.entries()) {
  void t.test(`the mutant "${name}" is caught`, { timeout: 240_000 }, async (t) => {
    t.comment(rule)
    const first = (await tried)[index]?.failures[0]
    const what = first?.failure.split('\n')[0] ?? 'it survived'
    t.match(what, scenario === undefined ? /^Violation: / : /^(?:Violation|Assertion)/, what)
    t.comment(`by ${first?.replay ?? 'nothing'}: ${what}`)
  })
}

/** What caught it last comes first; the search is for the day when that does no longer. */
function taskOf({ seed, scenario }: SeededMutant): Task['task'] {
  if (scenario !== undefined) return { kind: 'scenarios', traces: [scenario] }
  const ordered = seed === undefined ? seeds : [seed, ...seeds]
  return { kind: 'schedules', seeds: ordered, untilFailure: true }
}
