// The words for why a rollout ended or goes back, and what to do next. Only words.

import type { RolloutView } from '#shared/api/schemas.ts'
import type { RolloutReason } from '#shared/environment/rollout.ts'

interface Words {
  readonly why: string
  readonly next: string | undefined
}

const seeHosts = 'See `lockstep hosts`, correct what is wrong there, then deploy again.'

const words: Readonly<Record<RolloutReason, Words>> = {
  'all-healthy': { why: 'every counted host is healthy', next: undefined },
  'no-hosts': { why: 'the environment has no hosts yet', next: undefined },
  'cancelled': { why: 'it was cancelled', next: undefined },
  'superseded': {
    why: 'another version was asked for meanwhile',
    next: 'Follow that one with `lockstep watch`.',
  },
  'stage-deadline': {
    why: 'not enough hosts were ready in time',
    next:
      'Correct what keeps these hosts, or go without them (--exclude HOST=REASON, --require), then ' +
      'deploy again: what is staged is kept.',
  },
  'no-participants': {
    why: 'no host was left that takes part',
    next: 'Join a host, or exclude fewer, then deploy again.',
  },
  'once-failed': {
    why: 'the once run failed',
    next: 'No host swapped. Correct the release or the run, then deploy again.',
  },
  'once-unknown': {
    why: 'whether the once run ended is not known',
    next:
      'No host swapped. Look at what it was to change, then deploy again with `--once done` or ' +
      '`--once run`.',
  },
  'host-failed': {
    why: 'a host failed after the decision to swap',
    next: 'Correct what failed, then deploy again.',
  },
  'host-removed': {
    why: 'a host was removed after the decision to swap',
    next: 'Deploy again without it.',
  },
  'activation-deadline': { why: 'not every host swapped in time', next: seeHosts },
  'verify-deadline': { why: 'not every host was healthy in time', next: seeHosts },
  'wave-deadline': { why: 'the hosts of a later wave were not ready in time', next: seeHosts },
  'pause-deadline': {
    why: 'nobody let the next wave go on',
    next: 'Deploy again; `lockstep continue` lets a rollout go on that waits between waves.',
  },
  'controller-was-away': {
    why: 'the controller was down when the swap was due to be judged',
    next: 'Deploy again.',
  },
  'recovered': {
    why: 'the controller was recovered and ended it',
    next: 'See `lockstep status`, then deploy again.',
  },
}

/** Undefined while nothing is amiss. */
export function whyText(view: RolloutView): string | undefined {
  return view.reason === null ? undefined : (wordsOf(view.reason)?.why ?? view.reason)
}

export function nextText(view: RolloutView): string | undefined {
  return view.reason === null ? undefined : wordsOf(view.reason)?.next
}

function wordsOf(reason: string): Words | undefined {
  return isReason(reason) ? words[reason] : undefined
}

function isReason(text: string): text is RolloutReason {
  return Object.hasOwn(words, text)
}
