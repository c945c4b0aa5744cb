// How each variant of the table's cells comes about: the phase it needs, and the event itself.

import type { EventType } from '#shared/environment/events.ts'
import type { RequestedRequirement, WaveRequest } from '#shared/environment/events.ts'
import type { MachinePhase } from '#shared/environment/state.ts'
import type { Fence } from '#shared/fence.ts'
import { Fleet, v1, v2, v3 } from './fleet.ts'

export interface Variant {
  /** Beside the usual way into the phase. */
  readonly with?: Setup
  readonly act: (fleet: Fleet) => void
}

interface Setup {
  readonly requirement?: RequestedRequirement
  /** Those that are ready when the barrier opens; the rest is left behind. */
  readonly ready?: readonly string[]
  /** a first, then b and c when somebody lets it go on; a is healthy. */
  readonly canary?: true
}

const atLeast = (value: number): Setup => ({ requirement: { kind: 'count', value } })
const leftBehind: Setup = { ...atLeast(2), ready: ['a', 'b'] }

/** A fleet in the phase: v1 committed, an open rollout to v2. */
export function fleetIn(phase: MachinePhase, setup: Setup = {}): Fleet {
  const fleet = Fleet.committed()
  if (phase === 'settled') return fleet
  const { requirement = { kind: 'all', value: 0 }, ready = ['a', 'b', 'c'] } = setup
  if (phase === 'preparing') fleet.declares['a'] = { once: 'a'.repeat(64) }
  fleet.deploy(v2, { requirement, waves: setup.canary === true ? [canary] : [] })
  if (phase === 'fenced') fleet.hears('c', 'ready', { fence: higher(fleet) })
  if (phase === 'staging' || phase === 'fenced') return fleet
  if (ready.length < 3) fleet.toDeadline()
  for (const host of ready) fleet.hears(host, 'ready')
  if (ready.length < 3) fleet.judge()
  if (setup.canary === true) fleet.hears('a', phase === 'verifying' ? 'healthy' : 'fetching')
  else if (phase === 'verifying') for (const host of ready) fleet.hears(host, 'active')
  if (phase === 'rolling-back') fleet.cancel()
  return fleet
}

const canary: WaveRequest = {
  name: 'canary',
  hosts: { kind: 'count', value: 1 },
  soakMs: null,
}

function higher(fleet: Fleet): Fence {
  const fence = held(fleet)
  return { ...fence, epoch: fence.epoch + 5, hash: 'e'.repeat(64) }
}

function older(fleet: Fleet): Fence {
  const fence = held(fleet)
  return { ...fence, epoch: fence.epoch - 1, hash: 'd'.repeat(64) }
}

function held(fleet: Fleet): Fence {
  const { fence } = fleet
  if (fence === null) throw new Error('nothing was decided yet')
  return fence
}

const act = (run: (fleet: Fleet) => void): Variant => ({ act: run })

/** a and b say it too, so that c is the last. */
const lastOf = (word: Parameters<Fleet['hears']>[1], old = false): Variant =>
  act((fleet) => {
    for (const host of ['a', 'b']) fleet.hears(host, word)
    const host = old ? 'a' : 'c'
    fleet.hears(host, word, old ? { fence: older(fleet) } : {})
  })

/** b and c say it, and a only under the fence before. */
const lastOld = (word: Parameters<Fleet['hears']>[1]): Variant =>
  act((fleet) => {
    for (const host of ['b', 'c']) fleet.hears(host, word)
    fleet.hears('a', word, { fence: older(fleet) })
  })

const asked: Readonly<Record<string, Variant>> = {
  'the version of the rollout': act((fleet) => fleet.deploy(v2)),
  'another version': act((fleet) => fleet.deploy(v3)),
  'the committed version': act((fleet) => fleet.deploy(v1)),
  'nobody selected': act((fleet) =>
    fleet.deploy(v3, { exclude: { a: 'test', b: 'test', c: 'test' } }),
  ),
  'an unknown host excluded': act((fleet) => fleet.deploy(v3, { exclude: { x: 'test' } })),
  'more than there are': act((fleet) =>
    fleet.deploy(v3, { requirement: { kind: 'count', value: 4 } }),
  ),
}

const waiting = (act: (fleet: Fleet) => void): Readonly<Record<string, Variant>> => ({
  'without further waves': { act },
  'before another wave': { with: { canary: true }, act },
})

const reported: Readonly<Record<string, Variant>> = {
  'the newest fence': act((fleet) => fleet.hears('a', 'fetching')),
  'active': act((fleet) => fleet.hears('a', 'active')),
  'healthy': act((fleet) => fleet.hears('a', 'healthy')),
  'back': act((fleet) => fleet.hears('a', 'back')),
  'a failure': act((fleet) => fleet.hears('a', 'failed')),
  'its run is done': act((fleet) => fleet.runs('a', 'done')),
  'its run is done, and all are ready': act((fleet) => {
    fleet.runs('a', 'done')
    fleet.everybody('ready')
  }),
  'its run goes on': act((fleet) => fleet.runs('a', 'running')),
  'its run failed': act((fleet) => fleet.runs('a', 'failed')),
  'its run was interrupted': act((fleet) => fleet.runs('a', 'interrupted')),
  'a run of another fence is done': act((fleet) => fleet.runs('a', 'done', older(fleet))),
  'the run of another host is done': act((fleet) => fleet.runs('b', 'done')),
  'a failure of the canary': {
    with: { canary: true },
    act: (fleet) => {
      fleet.hears('a', 'failed')
    },
  },
  'the next wave ready, in time': {
    with: { canary: true },
    act: (fleet) => {
      fleet.goOn()
      for (const host of ['b', 'c']) fleet.hears(host, 'ready')
    },
  },
  'a failure of an older fence': act((fleet) =>
    fleet.hears('a', 'failed', { fence: older(fleet) }),
  ),
  'the last ready': lastOf('ready'),
  'the last active': lastOf('active'),
  'the last healthy': lastOf('healthy'),
  'the last back': lastOf('back'),
  'the last ready of an older fence': lastOld('ready'),
  'the last active of an older fence': lastOld('active'),
  'the last healthy of an older fence': lastOld('healthy'),
  'the last back of an older fence': lastOld('back'),
  'ready for another tree': act((fleet) => {
    for (const host of ['a', 'b']) fleet.hears(host, 'ready')
    fleet.hears('c', 'ready', { ready: { target: v3.tree, fallback: v1.tree } })
  }),
  'ready with another way back': act((fleet) => {
    for (const host of ['a', 'b']) fleet.hears(host, 'ready')
    fleet.hears('c', 'ready', { ready: { target: v2.tree, fallback: null } })
  }),
  'ready away from the fallback': act((fleet) => {
    for (const host of ['a', 'b']) fleet.hears(host, 'ready')
    fleet.hears('c', 'ready', { current: v3 })
  }),
  'one that was left behind': {
    with: leftBehind,
    act: (fleet) => {
      fleet.hears('c', 'healthy')
    },
  },
  'an older fence': act((fleet) => fleet.hears('a', 'idle', { fence: older(fleet) })),
  'no fence': act((fleet) => fleet.hears('a', 'idle', { fence: null })),
  'an unknown hash': act((fleet) => {
    const report = fleet.reported('a', 'idle', { fence: older(fleet) })
    fleet.apply('host-reported', { ...report, recorded: false })
  }),
  'a higher fence': act((fleet) => fleet.hears('a', 'idle', { fence: higher(fleet) })),
  'a conflict': act((fleet) =>
    fleet.hears('a', 'idle', { conflict: { ...held(fleet), hash: 'c'.repeat(64) } }),
  ),
  'an older session': act((fleet) => {
    fleet.hears('a', 'fetching', {}, 5)
    fleet.hears('a', 'idle', { fence: higher(fleet) }, 4)
  }),
  'an older report': act((fleet) => {
    fleet.hears('a', 'fetching', { seq: 900 })
    fleet.hears('a', 'idle', { seq: 899, fence: higher(fleet) })
  }),
  'a stranger': act((fleet) => fleet.hears('x', 'idle', { fence: higher(fleet) })),
}

export const variants: Readonly<Record<EventType, Readonly<Record<string, Variant>>>> = {
  'release-desired': asked,
  'cancel-requested': {
    'whichever is open': act((fleet) => fleet.cancel()),
    'that rollout': act((fleet) => fleet.cancel(fleet.rollout.id)),
    'another rollout': act((fleet) => fleet.cancel('rollout-of-before')),
  },
  'recover-requested': {
    'a release': act((fleet) => fleet.recover(v1)),
    'no release, all on the committed one': act((fleet) => fleet.recover(null)),
    'no release, one elsewhere': act((fleet) => {
      fleet.hears('a', 'idle', { current: v2 })
      fleet.recover(null)
    }),
  },
  'host-joined': {
    'a new host': act((fleet) => fleet.apply('host-joined', { host: 'd', name: 'd' })),
    'a member': act((fleet) => fleet.apply('host-joined', { host: 'a', name: 'a' })),
    'a member under another name': act((fleet) =>
      fleet.apply('host-joined', { host: 'a', name: 'z' }),
    ),
  },
  'continue-requested': {
    ...waiting((fleet) => fleet.goOn()),
    'another rollout': { with: { canary: true }, act: (fleet) => void fleet.goOn('of-before') },
  },
  'pause-requested': waiting((fleet) => fleet.pause()),
  'drain-requested': {
    'a member': act((fleet) => fleet.drain('a', 'test')),
    'a member that is not drained let in': act((fleet) => fleet.drain('a', null)),
    'a stranger': act((fleet) => fleet.drain('x', 'test')),
  },
  'host-removed': {
    'the elected': act((fleet) => fleet.apply('host-removed', { host: 'a' })),
    'the canary': {
      with: { canary: true },
      act: (fleet) => {
        fleet.apply('host-removed', { host: 'a' })
      },
    },
    'all of the next wave': {
      with: { canary: true },
      act: (fleet) => {
        for (const host of ['b', 'c']) fleet.apply('host-removed', { host })
      },
    },
    'a member': act((fleet) => fleet.apply('host-removed', { host: 'a' })),
    'a stranger': act((fleet) => fleet.apply('host-removed', { host: 'x' })),
    'the last that was not ready': act((fleet) => {
      for (const host of ['a', 'b']) fleet.hears(host, 'ready')
      fleet.apply('host-removed', { host: 'c' })
    }),
    'the last that was not back': act((fleet) => {
      for (const host of ['a', 'b']) fleet.hears(host, 'back')
      fleet.apply('host-removed', { host: 'c' })
    }),
    'the last member': act((fleet) => {
      for (const host of ['a', 'b', 'c']) fleet.apply('host-removed', { host })
    }),
    'one of more than are required': {
      with: atLeast(2),
      act: (fleet) => {
        fleet.apply('host-removed', { host: 'a' })
      },
    },
    'one that was left behind': {
      with: leftBehind,
      act: (fleet) => {
        fleet.apply('host-removed', { host: 'c' })
      },
    },
    'the one that fences': act((fleet) => fleet.apply('host-removed', { host: 'c' })),
  },
  'host-reported': reported,
  'session-closed': {
    'its session': act((fleet) => {
      fleet.hears('a', 'fetching')
      fleet.apply('session-closed', { host: 'a', session: 1 })
    }),
    'another session': act((fleet) => {
      fleet.hears('a', 'fetching', {}, 2)
      fleet.apply('session-closed', { host: 'a', session: 1 })
    }),
  },
  'deadline-passed': {
    'at any time': act((fleet) => {
      fleet.at += 10 * 60 * 60_000
      fleet.judge()
    }),
    'too early': act((fleet) => fleet.judge()),
    'with nobody ready': act((fleet) => {
      fleet.toDeadline()
      fleet.judge()
    }),
    'with all but one ready': act((fleet) => {
      fleet.toDeadline()
      for (const host of ['a', 'b']) fleet.hears(host, 'ready')
      fleet.judge()
    }),
    'with enough ready': {
      with: atLeast(2),
      act: (fleet) => {
        fleet.toDeadline()
        for (const host of ['a', 'b']) fleet.hears(host, 'ready')
        fleet.judge()
      },
    },
    'with its run done': act((fleet) => {
      fleet.runs('a', 'done')
      fleet.toDeadline()
      fleet.everybody('fetching')
      fleet.judge()
    }),
    'with its run not heard of': act((fleet) => {
      fleet.toDeadline()
      fleet.judge()
    }),
    'with nobody letting it go on': {
      with: { canary: true },
      act: (fleet) => {
        fleet.toDeadline()
        fleet.judge()
      },
    },
    'with the next wave not ready': {
      with: { canary: true },
      act: (fleet) => {
        fleet.goOn()
        fleet.toDeadline()
        fleet.judge()
      },
    },
    'with one lost': act((fleet) => loseOne(fleet)),
    'with one lost that may be dropped': { with: atLeast(2), act: (fleet) => loseOne(fleet) },
    'with all lost': act((fleet) => {
      fleet.toDeadline()
      fleet.judge()
    }),
  },
}

/** c is not heard of; a and b say what the phase waits for. */
function loseOne(fleet: Fleet): void {
  const word = { activating: 'active', verifying: 'healthy', 'rolling-back': 'back' } as const
  const { phase } = fleet
  if (phase !== 'activating' && phase !== 'verifying' && phase !== 'rolling-back') return
  for (const host of ['a', 'b']) fleet.hears(host, word[phase])
  fleet.toDeadline()
  fleet.judge()
}
