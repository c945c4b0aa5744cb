// Tells how a rollout ended, in one block: what every host runs now, which hosts are not as wanted and why,
// and what to do next. Pure. The first word is the phase; nothing is said here that the phase does not say.

import type { ParticipantView, RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { countText, durationText, namesText } from '../output/quantities.ts'
import { bad, bold, good, type Text, warning } from '../output/text.ts'
import { facts } from '../output/table.ts'
import { isDone, phaseText } from './participants.ts'
import { nextText, whyText } from './reasons.ts'
import { skewText } from './rollout-narrator.ts'

/** @param view of a rollout that has ended */
export function rolloutEnd(view: RolloutView): Text[] {
  const rows: (readonly [string, Text | undefined])[] = [
    ['why', view.phase === 'committed' ? undefined : whyText(view)],
    ...hostRows(view),
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
            bad('rolled back, but not known of every host'),
            `: nothing is known of ${namesText(view.unknown, limits.namesShown)}; `,
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
    case 'activating':
    case 'verifying':
    case 'rolling-back':
      return [bold(view.phase), `: the rollout of ${app} ${target.version} goes on`]
  }
}

function runsOn(view: RolloutView): string {
  const all =
    view.participants.filter(({ state }) => state !== 'removed').length + view.excluded.length
  const on = view.participants.filter(
    ({ state, counted }) => counted && state === 'participating',
  ).length
  if (all === 0) return `is what hosts get that join ${view.environment}; it has none yet`
  if (on < all) return `runs on ${on} of ${countText(all, 'host')} in ${view.environment}`
  return all === 1
    ? `runs on the one host in ${view.environment}`
    : `runs on all ${all} hosts in ${view.environment}`
}

/** Every host that is not as wanted, with why; the worst first. */
function hostRows(view: RolloutView): (readonly [string, Text])[] {
  const unknown = new Set(view.unknown)
  const target = view.target.version
  const others = view.participants.filter(({ name }) => !unknown.has(name))
  const isFailed = (p: ParticipantView) => p.failure !== null && p.state === 'participating'
  const isLate = (p: ParticipantView) =>
    view.phase === 'aborted' &&
    p.state === 'participating' &&
    p.failure === null &&
    p.phase !== 'ready'
  const isNotBack = (p: ParticipantView) =>
    view.phase === 'failed' &&
    p.counted &&
    p.failure === null &&
    !isDone({ ...view, phase: 'rolled-back' }, p)
  return [
    ...capped('failed', others.filter(isFailed), (p) => reasonText(p)),
    ...capped(
      'unknown',
      view.participants.filter(({ name }) => unknown.has(name)),
      () => 'goes back by itself when it answers again',
    ),
    ...capped(
      'not back',
      others.filter(isNotBack),
      (p) => `runs ${p.runs ?? 'no release'} (${phaseText(p)})`,
    ),
    ...capped('not ready', others.filter(isLate), (p) => phaseText(p)),
    ...capped(
      'dropped',
      others.filter(({ state }) => state === 'dropped'),
      (p) => `lost after the decision (${phaseText(p)}); takes ${target} by itself when it is back`,
    ),
    ...capped(
      'left behind',
      others.filter(({ state }) => state === 'left-behind'),
      (p) => `was not ready (${phaseText(p)}); takes what is committed by itself`,
    ),
    ...capped(
      'removed',
      others.filter(({ state }) => state === 'removed'),
      () => 'is no host any more',
    ),
    ...view.excluded.map(
      ({ name, reason }) => ['excluded', `${name} keeps what it runs: ${reason}`] as const,
    ),
  ]
}

function capped(
  word: string,
  participants: readonly ParticipantView[],
  say: (participant: ParticipantView) => string,
): (readonly [string, Text])[] {
  const shown = participants.slice(0, limits.rowsShown)
  const more = participants.length - shown.length
  return [
    ...shown.flatMap((participant) => [
      [word, `${participant.name} ${say(participant)}`] as const,
      ...hintRow(participant),
    ]),
    ...(more === 0
      ? []
      : [[word, `and ${countText(more, 'more host')}: see \`lockstep status\``] as const]),
  ]
}

function hintRow({ failure }: ParticipantView): (readonly [string, Text])[] {
  return failure?.hint === undefined ? [] : [['', `what to do: ${failure.hint}`]]
}

function reasonText({ failure, phase }: ParticipantView): string {
  return failure === null ? phase : `${failure.message} (${failure.code})`
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
  const parts = phases.flatMap(({ phase, at }, index) => {
    const until = phases[index + 1]?.at
    return until === undefined ? [] : [`${phase} ${durationText(until - at)}`]
  })
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
