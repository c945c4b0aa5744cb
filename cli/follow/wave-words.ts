// The words for waves: whom one takes, how it rests, and how long there is left. Pure.

import type { RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { durationText, namesText } from '../output/quantities.ts'

type Wave = RolloutView['waves'][number]

/** `canary: web-1; then rests 10 min 00 s` */
export function waveText({ name, soakMs }: Wave, hosts: string, isLast: boolean): string {
  const who = name === null ? hosts : `${name}: ${hosts}`
  return isLast ? who : `${who}; then ${restText(soakMs)}`
}

/** `wave 1 of 3 (canary)`; empty where all swap together. */
export function waveName({ waves, wave }: RolloutView): string {
  if (waves.length < 2) return ''
  const name = waves[wave]?.name ?? null
  return `wave ${wave + 1} of ${waves.length}${name === null ? '' : ` (${name})`}`
}

/** `web-1, web-2 and 3 more` */
export function waveHosts({ participants }: RolloutView, wave: number): string {
  const names = participants
    .filter((p) => p.wave === wave && p.state === 'participating')
    .map(({ name }) => name)
  return namesText(names, limits.namesShown)
}

/** What a rollout does between two waves, with the time that is left; undefined while in one. */
export function betweenText(view: RolloutView, at: number): string | undefined {
  const { between, deadlineAt } = view
  const left = durationText(Math.max(0, Math.ceil((deadlineAt - at) / 1000) * 1000))
  switch (between?.step) {
    case 'soak':
      return `resting, ${left} left`
    case 'pause':
      return `waits for \`lockstep continue\`, goes back by itself in ${left}`
    case 'barrier':
      return `the next hosts have ${left} to be ready again`
    case undefined:
      return undefined
  }
}

function restText(soakMs: number | null): string {
  if (soakMs === null) return 'waits for `lockstep continue`'
  return soakMs === 0 ? 'goes on at once' : `rests ${durationText(soakMs)}`
}
