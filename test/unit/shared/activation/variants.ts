// How a host comes into each phase, and how each variant of the table's cells comes about.

import type { EventType, StepOutcome } from '#shared/activation/events.ts'
import type { HostPhase } from '#shared/report.ts'
import { desired, failure, fence, Host, linkTo, v1, v2, v3 } from './host.ts'

const activateAt = 5000

/**
 * v1 runs; v2 comes. `staged` has its preflight under way, `activating` its `before-activate` while it
 * waits for its instant, `active` its gate; `failed` cannot stage.
 */
export const hostIn: Readonly<Record<HostPhase, () => Host>> = {
  idle: () => Host.fresh(),
  fetching: () => staging(),
  staged: () => staging().stages().attests(),
  ready: () => ready(),
  activating: () => activating(),
  active: () => active(),
  healthy: () => active().passes(),
  failed: () => ended(staging(), 'failed'),
}

function staging(): Host {
  return Host.running('by hand').told({ kind: 'stage', run: v1, stage: v2 }).attests()
}

function ready(): Host {
  return staging().stages().attests().passes()
}

function activating(): Host {
  return ready().told({ kind: 'activate', run: v2, fallback: v1, activateAt })
}

function active(): Host {
  return activating().passes().comes().swaps().reloads().attests()
}

function ended(host: Host, kind: 'staged' | 'cancelled' | 'failed', release = v2): Host {
  const held = kind === 'staged' ? [...host.disk.held, release] : host.disk.held
  host.disk = { ...host.disk, held }
  const outcome = kind === 'failed' ? { kind, failure } : { kind }
  return host.apply({ type: 'stage-ended', release, outcome, disk: host.disk })
}

type Act = (host: Host) => void

/** The fence that the host holds. */
const held = (host: Host) => host.state.journal.fence ?? fence(1)

/** Whatever was under way ends; where nothing was, a late end arrives all the same. */
function swapEnds(host: Host, how: 'swapped' | 'failed', at = held(host)): void {
  const activation = { activatedAt: 1, errorMs: 1, mode: 'timed' as const }
  const outcome = how === 'swapped' ? { kind: how, activation } : { kind: how, failure }
  const current = how === 'swapped' ? linkTo(v2) : host.disk.current
  host.disk = { ...host.disk, current }
  host.apply({ type: 'swap-ended', fence: at, outcome, disk: host.disk })
}

function attestEnds(host: Host, result: 'whole' | 'drifted', at = held(host)): void {
  const results = [v1, v2].map(({ version }) => ({ version, result }))
  host.apply({ type: 'attest-ended', fence: at, results })
}

export const variants: Readonly<Record<EventType, Readonly<Record<string, Act>>>> = {
  'session-opened': {
    'a new session': (host) => host.apply({ type: 'session-opened', session: 2 }),
  },
  'session-closed': {
    'its session': (host) => host.apply({ type: 'session-closed', session: 1 }),
    'another session': (host) => host.apply({ type: 'session-closed', session: 7 }),
  },
  'desired-received': {
    'to stage another': (host) => host.told({ kind: 'stage', run: v1, stage: v3 }),
    'to activate': (host) => host.told({ kind: 'activate', run: v2, fallback: v1, activateAt: 9 }),
    'to go back': (host) => host.told({ kind: 'roll-back', run: v1 }),
    'to settle on v2': (host) => host.told({ kind: 'settle', run: v2 }),
    'to hold': (host) => host.told({ kind: 'stage', hold: true }),
    'the same again': (host) => repeated(host, {}),
    'the same at another time': (host) => repeated(host, { activateAt: 7000 }),
    'a lower fence': (host) =>
      host.told({ kind: 'settle', run: v3, at: { ...held(host), epoch: 0 } }),
    'another hash': (host) =>
      host.told({ kind: 'settle', run: v3, at: fence(held(host).epoch, 'c') }),
    'of another session': (host) => {
      host.session = 9
      host.told({ kind: 'settle', run: v3 })
    },
  },
  'disk-observed': {
    'the same': (host) => host.finds(host.disk.current),
    'another link': (host) => host.finds({ kind: 'foreign', link: 'elsewhere' }),
    'a directory': (host) => host.finds({ kind: 'directory' }),
    'a hold': (host) => host.isHeld('works on it'),
    'no reading it': (host) => host.finds({ kind: 'unreadable', reason: 'EIO' }),
  },
  'activation-due': {
    'its fence': (host) => host.apply({ type: 'activation-due', fence: held(host) }),
    'its fence, after the hook': (host) =>
      host.passes().apply({ type: 'activation-due', fence: held(host) }),
    'another fence': (host) => host.apply({ type: 'activation-due', fence: fence(99) }),
  },
  'stage-progressed': {
    'its release': (host) => progressed(host, v2),
    'another release': (host) => progressed(host, v3),
  },
  'stage-ended': {
    'staged': (host) => ended(host, 'staged'),
    'cancelled': (host) => ended(host, 'cancelled'),
    'failed': (host) => ended(host, 'failed'),
  },
  'swap-ended': {
    'swapped': (host) => {
      if (host.state.scheduled !== null) host.passes().comes()
      swapEnds(host, 'swapped')
    },
    'failed': (host) => {
      if (host.state.scheduled !== null) host.passes().comes()
      swapEnds(host, 'failed')
    },
    'swapped under a lower fence': (host) => swapEnds(host, 'swapped', fence(0)),
    'failed under a lower fence': (host) => swapEnds(host, 'failed', fence(0)),
  },
  'reload-ended': {
    'reloaded': (host) =>
      host.apply({ type: 'reload-ended', fence: held(host), outcome: { kind: 'done' } }),
    'failed': (host) =>
      host.apply({ type: 'reload-ended', fence: held(host), outcome: { kind: 'failed', failure } }),
    'reloaded under a lower fence': (host) =>
      host.apply({ type: 'reload-ended', fence: fence(0), outcome: { kind: 'done' } }),
  },
  'attest-ended': {
    'whole': (host) => attestEnds(host, 'whole'),
    'drifted': (host) => attestEnds(host, 'drifted'),
    'whole under a lower fence': (host) => attestEnds(host, 'whole', fence(0)),
  },
  'trial-ended': {
    'passed': (host) => trialEnds(host, { kind: 'done' }),
    'refused': (host) => trialEnds(host, { kind: 'failed', failure }),
    'passed under a lower fence': (host) => trialEnds(host, { kind: 'done' }, fence(0)),
  },
  'once-ended': {
    'done': (host) => host.apply({ type: 'once-ended', fence: held(host), outcome: done }),
  },
  'once-gone': {
    'nobody asked': (host) => host.apply({ type: 'once-gone', fence: held(host) }),
  },
  'attest-due': { 'any time': (host) => host.apply({ type: 'attest-due' }) },
  'retry-due': { 'any time': (host) => host.apply({ type: 'retry-due' }) },
}

const done = { kind: 'done' } as const

/** The trial that is under way ends; where none is, a late end of a gate arrives all the same. */
function trialEnds(host: Host, outcome: StepOutcome, at = held(host)): void {
  const { kind: trial, release } = host.state.trial ?? { kind: 'gate' as const, release: v2 }
  host.apply({ type: 'trial-ended', trial, fence: at, release, outcome })
}

function repeated(host: Host, patch: { activateAt?: number }): void {
  const { told } = host.state.journal
  const same = told ?? desired(fence(1), { kind: 'settle' })
  const run = { ...same.run, ...patch }
  host.apply({ type: 'desired-received', session: 1, desired: { ...same, run } })
}

function progressed(host: Host, release: typeof v2): void {
  host.apply({ type: 'stage-progressed', release, bytes: 5, bytesTotal: 10 })
}
