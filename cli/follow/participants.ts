// Questions about the hosts of a rollout as the controller shows them, and the words for one of them.
// Pure.

import type { ParticipantView, RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { percentText } from '../output/quantities.ts'

/** How urgently a person wants to read of a host that others wait for. */
const urgency: readonly ParticipantView['phase'][] = ['failed', 'unknown']

/**
 * Whom the rollout still asks; from the decision on only those that were counted, and before the next
 * wave those who are in it.
 */
export function askedOf(view: RolloutView): ParticipantView[] {
  const remaining = view.participants.filter(({ state }) => state === 'participating')
  const coming = remaining.filter(({ counted }) => !counted)
  if (isAtWaveBarrier(view)) {
    const next = Math.min(...coming.map(({ wave }) => wave))
    return coming.filter(({ wave }) => wave === next)
  }
  const isDecided = view.phases.some(({ phase }) => phase === 'activating')
  return isDecided ? remaining.filter(({ counted }) => counted) : remaining
}

/** Whether hosts of the next wave have to be ready again. */
export function isAtWaveBarrier({ phase, between }: RolloutView): boolean {
  return phase === 'verifying' && between?.step === 'barrier'
}

/** Whether the host has done what the open phase waits for. */
export function isDone(view: RolloutView, participant: ParticipantView): boolean {
  const { phase, activatedAt } = participant
  switch (view.phase) {
    case 'staging':
    case 'preparing':
      return phase === 'ready'
    case 'activating':
      return activatedAt !== null || phase === 'active' || phase === 'healthy'
    case 'verifying':
      return phase === (isAtWaveBarrier(view) ? 'ready' : 'healthy')
    case 'committed':
      return phase === 'healthy'
    case 'rolling-back':
      return isBack(view, participant) && (phase === 'healthy' || phase === 'idle')
    case 'rolled-back':
    case 'aborted':
    case 'failed':
      return true
  }
}

/** Whether its disk attests another release than the one that is taken back. */
export function isBack(view: RolloutView, { phase, runs }: ParticipantView): boolean {
  return phase !== 'unknown' && runs !== view.target.version
}

/** `; waiting for web-4 (fetching 40 %), web-5 (failed: no-space)`; empty when nobody is. */
export function waitingText(view: RolloutView, participants: readonly ParticipantView[]): string {
  if (participants.length === 0) return ''
  const isStaging = view.phase === 'staging' || view.phase === 'preparing'
  const say = isStaging || isAtWaveBarrier(view) ? stagingText : phaseText
  const sorted = participants.toSorted((a, b) => rank(a) - rank(b))
  const named = sorted.slice(0, limits.namesShown).map((p) => `${p.name} (${say(p)})`)
  const more = sorted.length - named.length
  return `; waiting for ${named.join(', ')}${more === 0 ? '' : ` and ${more} more`}`
}

/** `fetching 40 %`, `failed: no-space`, `unknown` */
export function phaseText({ phase, failure, progress }: ParticipantView): string {
  if (phase === 'failed') return failure === null ? 'failed' : `failed: ${failure.code}`
  if (phase === 'fetching' && progress !== null) {
    return `fetching ${percentText(progress.bytes, progress.bytesTotal)}`
  }
  return phase
}

/** While staging, what a host says of the release that it runs is not what is asked. */
export function stagingText(participant: ParticipantView): string {
  const { phase } = participant
  const isBefore = phase === 'idle' || phase === 'active' || phase === 'healthy'
  return isBefore ? 'not begun' : phaseText(participant)
}

function rank({ phase }: ParticipantView): number {
  const at = urgency.indexOf(phase)
  return at < 0 ? urgency.length : at
}
