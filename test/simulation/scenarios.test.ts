// The traces that broke earlier drafts of the rules: each ends as it must, and fails as soon as the
// rule that closes it is taken out.

import t from 'tap'
import { scenarios } from './run/run-task.ts'
import { runInThread } from './run/task.ts'

const traces = scenarios.map((scenario) => scenario.trace)
const kept = runInThread({ task: { kind: 'scenarios', traces }, mutant: null })

for (const { trace, title, without } of scenarios) {
  void t.test(`${trace}: ${title}`, async (t) => {
    const { failures } = await kept
    const failed = failures.filter(({ replay }) => replay === `--scenario ${trace}`)
    t.same(failed, [], `npm run simulate -- --scenario ${trace} --verbose`)
    const mutant = { name: trace, ...without }
    const lost = await runInThread({ task: { kind: 'scenarios', traces: [trace] }, mutant })
    t.equal(lost.failures.length, 1, `without it, this breaks: ${without.rule}`)
  })
}
