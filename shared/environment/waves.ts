// Which participants form which wave: decided at the request, from the policy that it names.

import type { WaveRequest } from './events.ts'
import type { Wave } from './rollout.ts'
import type { Member } from './state.ts'

export type WavePlan =
  | {
      outcome: 'planned'
      waves: readonly Wave[]
      /** Host → its wave, from 0. */
      waveOf: Readonly<Record<string, number>>
    }
  /** The wave, from 0, selects nobody. */
  | { outcome: 'empty'; wave: number }

/**
 * Each wave takes of those that no earlier one took, in the order of their names; who is left over
 * forms the last one. P per cent are of all participants and round up.
 */
export function planWaves(members: readonly Member[], requests: readonly WaveRequest[]): WavePlan {
  const waveOf: Record<string, number> = {}
  const waves: Wave[] = []
  let rest = members.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  for (const [index, request] of requests.entries()) {
    const taken = takenBy(request, rest, members.length)
    if (taken.length === 0) return { outcome: 'empty', wave: index }
    for (const { host } of taken) waveOf[host] = index
    waves.push({ name: request.name, soakMs: request.soakMs })
    rest = rest.filter((member) => !taken.includes(member))
  }
  if (rest.length > 0) {
    for (const { host } of rest) waveOf[host] = waves.length
    waves.push({ name: null, soakMs: 0 })
  }
  return { outcome: 'planned', waves, waveOf }
}

function takenBy(
  { hosts }: WaveRequest,
  rest: readonly Member[],
  participants: number,
): readonly Member[] {
  switch (hosts.kind) {
    case 'hosts':
      return rest.filter((member) => hosts.hosts.includes(member.host))
    case 'count':
      return rest.slice(0, hosts.value)
    case 'percent':
      return rest.slice(0, Math.ceil((hosts.value * participants) / 100))
  }
}
