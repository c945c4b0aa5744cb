// The traces that broke earlier drafts of the rules: each ends as it must, and fails as soon as the
// rule that closes it is taken out.

import t from 'tap'
import { scenarios } from './run/run-task.ts'
import { runInThread } from './run/task.ts'

for (const { trace, title, without } of scenarios) {
  void t.test(`${trace}: ${title}`, async (t) => {
    const task = { kind: 'scenario', trace } as const
    const [kept, lost] = await Promise.all([
      runInThread({ task, mutant: null }),
      runInThread({ task, mutant: { name: trace, ...without } }),
    ])
    t.same(kept.failures, [], `npm run simulate -- --scenario ${trace} --verbose`)
    t.equal(lost.failures.length, 1, `without it, this breaks: ${without.rule}`)
  })
}
