// What is answered where a request changes nothing: refusals with what to do, and what is open.

import { limits } from '../limits.ts'
import { sameRelease } from '../release.ts'
import type { EventOf, Step } from './events.ts'
import { openRolloutOf, type EnvironmentState } from './state.ts'
import { answering, unchanged } from './step.ts'

export function answerWithRollout(
  state: EnvironmentState,
  ticket: number,
  outcome: 'started' | 'open' | 'returned' | 'cancelled' | 'continued' | 'paused',
): Step {
  const { rollout } = state.record
  return rollout === null ? unchanged(state) : answering(state, ticket, { outcome, rollout })
}

export function answerOpenOrRefuse(
  state: EnvironmentState,
  event: EventOf<'release-desired'>,
): Step {
  const open = openRolloutOf(state.record)
  if (open !== null && sameRelease(open.target, event.request.release)) {
    return answerWithRollout(state, event.ticket, 'open')
  }
  return answering(state, event.ticket, {
    outcome: 'refused',
    code: 'rollout-open',
    message: `the rollout to ${open?.target.version ?? 'another release'} is ${open?.phase ?? 'open'}`,
    hint: 'Wait for its end, or cancel it: `lockstep cancel APP --env ENV`.',
    ...(open === null ? {} : { details: { rollout: open.id } }),
  })
}

export function refuseCancel(state: EnvironmentState, event: EventOf<'cancel-requested'>): Step {
  return answering(state, event.ticket, {
    outcome: 'refused',
    code: 'nothing-to-cancel',
    message: 'no such rollout is open',
    hint: '`lockstep history` shows how the last ones ended.',
  })
}

export function refuseWaiting(
  state: EnvironmentState,
  event: EventOf<'continue-requested' | 'pause-requested'>,
): Step {
  return answering(state, event.ticket, {
    outcome: 'refused',
    code: 'not-waiting',
    message: 'no rollout is between two waves',
    hint: '`lockstep status` shows where it is; `lockstep cancel` ends it.',
  })
}

export function refuseDrain(state: EnvironmentState, event: EventOf<'drain-requested'>): Step {
  return answering(state, event.ticket, {
    outcome: 'refused',
    code: 'rollout-open',
    message: 'hosts are drained and let in between rollouts',
    hint: 'Wait for its end, cancel it, or remove the host.',
  })
}

export function refuseRecover(state: EnvironmentState, event: EventOf<'recover-requested'>): Step {
  return answering(state, event.ticket, {
    outcome: 'refused',
    code: 'not-fenced',
    message: 'the environment is not fenced',
    hint: 'There is nothing to recover; deploy as usual.',
  })
}

/** The next term would be one that agents refuse as malformed: limits.fenceNumberMax. */
export function refuseTerm(state: EnvironmentState, event: EventOf<'recover-requested'>): Step {
  const { fencedBy, members } = state.record
  const hosts = Object.entries(fencedBy)
    .filter(([, { fence }]) => fence.term >= limits.fenceNumberMax)
    .map(([host]) => members[host]?.name ?? host)
  return answering(state, event.ticket, {
    outcome: 'refused',
    code: 'no-higher-term',
    message: `no term can follow the one that was heard of ${hosts.join(', ') || 'a host'}`,
    hint:
      'No controller counts that far, so that host is damaged or lies: remove it with `lockstep ' +
      'hosts remove NAME`, then recover again.',
    details: { hosts },
  })
}

export function refuseFenced(state: EnvironmentState, ticket: number): Step {
  const hosts = Object.keys(state.record.fencedBy).map(
    (host) => state.record.members[host]?.name ?? host,
  )
  return answering(state, ticket, {
    outcome: 'refused',
    code: 'fenced',
    message: `hosts hold decisions that this controller never recorded: ${hosts.join(', ')}`,
    hint: 'It was restored from a backup, or there are two. `lockstep controller recover` ends it.',
    details: { hosts },
  })
}
