// Questions about the hosts of a rollout as the controller shows them, and the words for one of them.
// Pure.

import type { ParticipantView, RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { percentText } from '../output/quantities.ts'

/** How urgently a person wants to read of a host that others wait for. */
const urgency: readonly ParticipantView['phase'][] = ['failed', 'unknown']

/** Whom the rollout still asks; from the decision on only those that were counted. */
export function askedOf(view: RolloutView): ParticipantView[] {
  const isDecided = view.phases.some(({ phase }) => phase === 'activating')
  return view.participants.filter(
    ({ state, counted }) => state === 'participating' && (counted || !isDecided),
  )
}

/** Whether the host has done what the open phase waits for. */
export function isDone(view: RolloutView, participant: ParticipantView): boolean {
  const { phase, activatedAt, runs } = participant
  switch (view.phase) {
    case 'staging':
      return phase === 'ready'
    case 'activating':
      return activatedAt !== null || phase === 'active' || phase === 'healthy'
    case 'verifying':
    case 'committed':
      return phase === 'healthy'
    case 'rolling-back':
    case 'rolled-back':
      return phase !== 'unknown' && runs !== view.target.version
    case 'aborted':
    case 'failed':
      return false
  }
}

/** `; waiting for web-4 (fetching 40 %), web-5 (failed: no-space)`; empty when nobody is. */
export function waitingText(participants: readonly ParticipantView[]): string {
  if (participants.length === 0) return ''
  const sorted = participants.toSorted((a, b) => rank(a) - rank(b))
  const named = sorted.slice(0, limits.namesShown).map((p) => `${p.name} (${phaseText(p)})`)
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

function rank({ phase }: ParticipantView): number {
  const at = urgency.indexOf(phase)
  return at < 0 ? urgency.length : at
}
