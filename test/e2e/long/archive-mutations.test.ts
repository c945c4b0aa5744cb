// A hundred thousand damaged archives: each is refused with an error of ours or keeps every rule, in
// bounded time and memory. SEED repeats a run. The smaller run of `npm test` shares its code.

import t from 'tap'
import { runMutations } from '../../support/mutation-run.ts'

const rounds = 100_000
const runs = 4
/** A machine that is three times slower than a small one. */
const patienceMs = 10 * 60_000
/** Four of them are under way at once, with the garbage of thousands. */
const memoryMiB = 512

t.setTimeout(patienceMs)

void t.test('100,000 damaged archives are refused, or keep every rule', async (t) => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`SEED=${seed}`)
  const roots = Array.from({ length: runs }, (_, index) => `run-${index}`)
  const root = t.testdir(Object.fromEntries(roots.map((name) => [name, {}])))
  const outcomes = await Promise.all(
    roots.map((name, index) => runMutations(`${root}/${name}`, seed + index, rounds / runs)),
  )
  const refused = outcomes.reduce((sum, outcome) => sum + outcome.refused, 0)
  const accepted = outcomes.reduce((sum, outcome) => sum + outcome.accepted, 0)
  const slowestMs = Math.max(...outcomes.map((outcome) => outcome.slowestMs))
  const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024)
  t.comment(`${refused} refused, ${accepted} accepted, slowest ${Math.round(slowestMs)} ms`)
  t.comment(`${peakMiB} MiB at most`)
  t.same(
    outcomes.flatMap((outcome) => outcome.wrong),
    [],
    'nothing is wrong',
  )
  t.equal(refused + accepted, rounds)
  t.ok(accepted > 0 && refused > accepted, 'both were seen')
  t.ok(peakMiB < memoryMiB, 'memory is bounded')
})
