// The report of a test run: short for what passed, whole for what failed, counts at the end.

import t from 'tap'
import { Report } from '../../../scripts/test-report.ts'

const passing = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: adds
        ok 1 - should be equal
    plain words
        # drops=5 crashes=3
        ok 2 - later # SKIP no such program here
        1..2
    ok 1 - adds # time=12.279ms

    1..1
    # time=19.027ms
ok 1 - test/a.test.ts # time=19.027ms

`
const failing = `# Subtest: test/b.test.ts
    not ok 1 - one is two
      ---
      diff: |
        -2
        +1
      ...

    1..1
not ok 2 - test/b.test.ts # time=3ms
  ---
  exitCode: 1
  ...

`

/** Writes `text` in pieces of `size` characters and returns what was printed. */
function reportOf(text: string, size: number): { printed: string[]; isComplete: boolean } {
  const printed: string[] = []
  const report = new Report((line) => printed.push(line))
  for (let at = 0; at < text.length; at += size) report.write(text.slice(at, at + size))
  return { isComplete: report.end(), printed }
}

void t.test('a passing file is its line and what its tests said', async (t) => {
  const text = `${passing}# { total: 3, pass: 2, skip: 1 }\n# time=9ms\n`
  for (const size of [1, 7, text.length]) {
    const { printed, isComplete } = reportOf(text, size)
    t.ok(isComplete)
    t.same(
      printed.filter((line) => line !== ''),
      [
        '   plain words',
        '   # drops=5 crashes=3',
        '   ok 2 - later # SKIP no such program here',
        'ok 1 - test/a.test.ts # time=19.027ms',
        '# { total: 3, pass: 2, skip: 1 }',
        '# time=9ms',
        '2 passed, 0 failed, 1 skipped',
      ],
    )
  }
})

void t.test('a failing file is shown whole', async (t) => {
  const { printed } = reportOf(`${passing}${failing}# { total: 4, pass: 2, fail: 1, skip: 1 }\n`, 9)
  const text = printed.join('\n')
  t.match(text, failing.trimEnd())
  t.notMatch(text, 'should be equal')
  t.equal(printed.at(-1), '2 passed, 1 failed, 1 skipped')
})

void t.test('a run that was cut short is not called complete', async (t) => {
  const { printed, isComplete } = reportOf(passing, 9)
  t.notOk(isComplete)
  t.match(printed.at(-1), /ended without counts/)
})
