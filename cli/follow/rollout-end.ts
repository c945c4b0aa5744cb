// Tells how a rollout ended, in one block: what every host runs now, which hosts are not as wanted and why,
// and what to do next. Pure. The first word is the phase; nothing is said here that the phase does not say.

import type { RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { countText, durationText, namesText } from '../output/quantities.ts'
import { bad, bold, good, type Text, warning } from '../output/text.ts'
import { facts } from '../output/table.ts'
import { hostRows } from './host-rows.ts'
import { nextText, whyText } from './reasons.ts'
import { RolloutWitness } from './rollout-witness.ts'
import { skewText } from './skew.ts'
import { waveName } from './wave-words.ts'

/** @param view of a rollout that has ended */
export function rolloutEnd(view: RolloutView, witness = new RolloutWitness()): Text[] {
  const rows: (readonly [string, Text | undefined])[] = [
    ['why', view.phase === 'committed' ? undefined : whyText(view)],
    ['once run', onceText(view)],
    ['reached', view.phase === 'committed' ? undefined : reachedText(view)],
    ...hostRows(view, witness),
    ['swap', swapText(view)],
    ['took', tookText(view)],
    ['next', view.phase === 'committed' ? undefined : nextOf(view)],
  ]
  return [headline(view), ...facts(rows)]
}

function headline(view: RolloutView): Text {
  const { app, environment, target, fallback } = view
  const stays = fallback === null ? 'has no committed release' : `stays on ${fallback.version}`
  switch (view.phase) {
    case 'committed':
      return [good('committed'), `: ${app} ${target.version} ${runsOn(view)}`]
    case 'rolled-back':
      return view.unknown.length === 0
        ? [
            warning('rolled back'),
            `: ${app} in ${environment} ${stays}; ${target.version} was taken back`,
          ]
        : [
            bad('rolled back, with hosts unknown'),
            `: not confirmed by ${namesText(view.unknown, limits.namesShown)}; `,
            `${app} in ${environment} ${stays}`,
          ]
    case 'aborted':
      return [warning('aborted'), `: no host was told to swap; ${app} in ${environment} ${stays}`]
    case 'failed':
      return [
        bad('failed'),
        `: ${app} ${target.version} in ${environment} had to be taken back, and not every host can go back`,
      ]
    case 'staging':
    case 'preparing':
    case 'activating':
    case 'verifying':
    case 'rolling-back':
      return [bold(view.phase), `: the rollout of ${app} ${target.version} goes on`]
  }
}

function runsOn(view: RolloutView): string {
  const all =
    view.participants.filter(({ state }) => state !== 'removed').length +
    view.excluded.length +
    view.drained.length
  const on = view.participants.filter(
    ({ state, counted }) => counted && state === 'participating',
  ).length
  if (all === 0) return `is what hosts get that join ${view.environment}; it has none yet`
  if (on < all) return `runs on ${on} of ${countText(all, 'host')} in ${view.environment}`
  return all === 1
    ? `runs on the one host in ${view.environment}`
    : `runs on all ${all} hosts in ${view.environment}`
}

function onceText({ once }: RolloutView): Text | undefined {
  if (once === null) return undefined
  const host = once.name ?? 'a host'
  switch (once.state) {
    case 'done':
      return `done on ${host}`
    case 'failed':
      return bad(`failed on ${host}: ${once.message ?? 'no reason given'}`)
    case 'told':
    case 'unknown':
      return warning(`unknown: ${host} did not say how it ended`)
  }
}

/** How far the waves came; undefined where all swap together or none did. */
function reachedText(view: RolloutView): string | undefined {
  const hasBegun = view.phases.some(({ phase }) => phase === 'activating')
  return hasBegun && view.waves.length > 1 ? waveName(view) : undefined
}

function swapText(view: RolloutView): string | undefined {
  const swapped = view.participants.filter(
    ({ counted, activatedAt }) => counted && activatedAt !== null,
  )
  return swapped.length === 0 ? undefined : `${countText(swapped.length, 'host')}${skewText(view)}`
}

/** `12.4 s: staging 7.1 s, activating 0.3 s, verifying 5 s` */
function tookText({ phases, startedAt, endedAt }: RolloutView): string | undefined {
  if (endedAt === null) return undefined
  // Waves go through the same phases again and again: what is told is how long each took in all.
  const lengths = new Map<string, number>()
  for (const [index, { phase, at }] of phases.entries()) {
    const until = phases[index + 1]?.at
    if (until !== undefined) lengths.set(phase, (lengths.get(phase) ?? 0) + until - at)
  }
  const parts = [...lengths].map(([phase, ms]) => `${phase} ${durationText(ms)}`)
  const total = durationText(endedAt - startedAt)
  return parts.length < 2 ? total : `${total}: ${parts.join(', ')}`
}

function nextOf(view: RolloutView): string | undefined {
  if (view.phase === 'rolled-back' && view.unknown.length > 0) {
    return 'See `lockstep hosts`: the load balancer should send nothing to a host that is not serving.'
  }
  if (view.phase === 'failed') {
    return 'Deploy a version that works to all, or repair these hosts by hand: see `lockstep status`.'
  }
  return nextText(view)
}
