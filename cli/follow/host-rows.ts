// The hosts that did not end as wanted: one row for each, with why and what to do, the worst first. Pure.

import type { ParticipantView, RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { countText } from '../output/quantities.ts'
import type { Text } from '../output/text.ts'
import { isBack, stagingText, phaseText } from './participants.ts'
import type { RolloutWitness } from './rollout-witness.ts'

export type Row = readonly [name: string, value: Text]

export function hostRows(view: RolloutView, witness: RolloutWitness): Row[] {
  const isUnknown = ({ name }: ParticipantView) => view.unknown.includes(name)
  const known = view.participants.filter((participant) => !isUnknown(participant))
  const inState = (wanted: ParticipantView['state']) =>
    known.filter(({ state }) => state === wanted)
  return [
    ...(view.phase === 'aborted' ? notReadyRows(view, witness) : failedRows(view, known, witness)),
    ...rows(
      'unknown',
      view.participants.filter(isUnknown),
      (p) => unknownText(view, p, witness),
      (p) => witness.failureOf(p),
    ),
    ...rows(
      'dropped',
      inState('dropped'),
      (p) =>
        `was lost after the decision (${phaseText(p)}); takes ${view.target.version} when it is back`,
    ),
    ...rows(
      'left behind',
      inState('left-behind'),
      (p) => `was not ready (${stagingText(p)}); takes what is committed by itself`,
    ),
    ...rows('removed', inState('removed'), () => 'is no host any more'),
    ...view.excluded.map(
      ({ name, reason }): Row => ['excluded', `${name} keeps what it runs: ${reason}`],
    ),
    ...view.drained.map(({ name, reason }): Row => ['drained', `${name} takes no part: ${reason}`]),
  ]
}

/** Only where time was short: in the other cases it is not what ended the rollout. */
function notReadyRows(view: RolloutView, witness: RolloutWitness): Row[] {
  if (view.reason !== 'stage-deadline') return []
  return rows(
    'not ready',
    witness.notReady,
    (p) => (p.failure === null ? stagingText(p) : failureText(p.failure)),
    (p) => p.failure,
  )
}

/** Where something went back: what failed, and what did not come back. */
function failedRows(
  view: RolloutView,
  known: readonly ParticipantView[],
  witness: RolloutWitness,
): Row[] {
  if (view.phase !== 'rolled-back' && view.phase !== 'failed') return []
  const counted = known.filter((p) => p.counted && p.state === 'participating')
  const failed = counted.filter((p) => witness.failureOf(p) !== null)
  const stuck = view.phase === 'failed' ? counted.filter((p) => !isBack(view, p)) : []
  return [
    ...rows(
      'failed',
      failed,
      (p) => failureText(witness.failureOf(p)),
      (p) => witness.failureOf(p),
    ),
    ...rows(
      'not back',
      stuck.filter((p) => !failed.includes(p)),
      (p) => `runs ${p.runs ?? 'no release'} (${phaseText(p)})`,
    ),
  ]
}

/** It may answer, and yet not attest what was asked of it. */
function unknownText(view: RolloutView, p: ParticipantView, witness: RolloutWitness): string {
  const back = view.fallback?.version ?? 'what it ran before'
  if (p.phase === 'unknown') return `does not answer; goes back to ${back} by itself when it does`
  const failure = witness.failureOf(p)
  const why = failure === null ? phaseText(p) : failureText(failure)
  return `has not confirmed ${back}; runs ${p.runs ?? 'no release'}: ${why}`
}

function rows(
  word: string,
  participants: readonly ParticipantView[],
  say: (participant: ParticipantView) => string,
  failureOf: (participant: ParticipantView) => ParticipantView['failure'] = () => null,
): Row[] {
  const shown = participants.slice(0, limits.rowsShown)
  const more = participants.length - shown.length
  return [
    ...shown.flatMap((participant): Row[] => {
      const hint = failureOf(participant)?.hint
      return [
        [word, `${participant.name} ${say(participant)}`],
        ...(hint === undefined ? [] : [['', `what to do: ${hint}`] as const]),
      ]
    }),
    ...(more === 0
      ? []
      : [[word, `and ${countText(more, 'more host')}: see \`lockstep status\``] as const]),
  ]
}

function failureText(failure: ParticipantView['failure']): string {
  return failure === null ? '' : `${failure.message} (${failure.code})`
}
