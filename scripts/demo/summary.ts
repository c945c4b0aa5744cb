// The demo's result: what every host runs, how long each phase took, the skew, and the requests.

import type { RolloutView } from '#shared/api/schemas.ts'
import { durationText } from '#cli/output/quantities.ts'
import { table } from '#cli/output/table.ts'
import { plain } from '#cli/output/text.ts'
import { answersOf, failedOf, type Visits } from './crowd.ts'

export interface Outcome {
  readonly rollout: RolloutView
  readonly visits: readonly Visits[]
  /** Host to what its `current` says. */
  readonly currents: ReadonlyMap<string, string>
}

export function summary({ rollout, visits, currents }: Outcome): string[] {
  const versions = [rollout.fallback?.version ?? '', rollout.target.version]
  const first = Math.min(...rollout.participants.map(({ activatedAt }) => activatedAt ?? Infinity))
  const rows = visits.map(({ host, answers, failed }) => {
    const swappedAt = rollout.participants.find(({ name }) => name === host)?.activatedAt
    const isKnown = typeof swappedAt === 'number'
    const swapped = isKnown ? `+${(swappedAt - first).toFixed(1)} ms` : 'unknown'
    const counts = versions.map((version) => count(answers[version] ?? 0))
    return [host, `current -> ${currents.get(host)}`, swapped, ...counts, count(failed)]
  })
  const headings = ['HOST', 'ON ITS DISK', 'SWAPPED', ...versions.map((v) => `BY ${v}`), 'FAILED']
  const total = answersOf(visits) + failedOf(visits)
  return [
    ...table(headings, rows).map(plain),
    '',
    `phases    ${phases(rollout)}`,
    `skew      ${skew(rollout)}`,
    `requests  ${count(total)} across the swap, ${count(failedOf(visits))} failed`,
  ]
}

function phases({ phases }: RolloutView): string {
  return phases
    .slice(0, -1)
    .map(({ phase, at }, index) => `${phase} ${durationText((phases[index + 1]?.at ?? at) - at)}`)
    .join(', ')
}

function skew({ skewMs, skewErrorMs }: RolloutView): string {
  if (skewMs === null || skewErrorMs === null) return 'unknown'
  return `${skewMs.toFixed(1)} ms ± ${skewErrorMs.toFixed(1)} ms, from the first rename to the last`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
