// The traces that broke earlier drafts of the rules: each ends as it must, and fails as soon as the
// rule that closes it is taken out.

import t from 'tap'
import { scenarios } from './run/run-task.ts'
import { runAllInThread, runInThread } from './run/task.ts'

const traces = scenarios.map((scenario) => scenario.trace)
const kept = runInThread({ task: { kind: 'scenarios', traces }, mutant: null })
const lost = runAllInThread(
  scenarios.map(({ trace, without }) => ({
    task: { kind: 'scenarios', traces: [trace] },
    mutant: { name: trace, ...without },
  })),
)

for (const [index, { trace, title, without }] of scenarios.entries()) {
  void t.test(`${trace}: ${title}`, { timeout: 280_000 }, async (t) => {
    const { failures } = await kept
    const failed = failures.filter(({ replay }) => replay === `--scenario ${trace}`)
    t.same(failed, [], `npm run simulate -- --scenario ${trace} --verbose`)
    const broken = (await lost)[index]?.failures.map(({ failure }) => failure.split('\n')[0] ?? '')
    t.equal(broken?.length, 1, `without it, this breaks: ${without.rule}`)
    t.match(broken?.[0], /^(?:Violation|AssertionError)/, 'and it is this simulator that says so')
  })
}
