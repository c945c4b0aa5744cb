// Each invariant notices the step that breaks it: an honest step is altered, and refused by name.

import t from 'tap'
import type { ActivationEffect, ActivationEvent, Step } from '#shared/activation/events.ts'
import { checkActivationInvariants } from '#shared/activation/invariants.ts'
import type { ActivationState, Journal } from '#shared/activation/state.ts'
import { transition } from '#shared/activation/transition.ts'
import type { Fence } from '#shared/fence.ts'
import { rulesIn } from '../declared-names.ts'
import { desired, elected, failure, fence, Host, plain, type Trials, v1, v2, v3 } from './host.ts'

interface Taken {
  before: ActivationState
  event: ActivationEvent
  step: Step
}

function taken(host: Host, event: ActivationEvent): Taken {
  return { before: host.state, event, step: transition(host.state, event) }
}

function told(host: Host, ...args: Parameters<typeof desired>): Taken {
  return taken(host, { type: 'desired-received', session: 1, desired: desired(...args) })
}

function staging(trials: Trials = 'at once', config = plain): Host {
  return Host.running(trials, config).told({ kind: 'stage', run: v1, stage: v2 }).attests()
}

function ready(): Host {
  return staging().stages().attests()
}

/** v2 has been swapped to; what follows is done by the test. */
function swapped(): Host {
  const host = staging('by hand').stages().attests().passes()
  return host.told({ kind: 'activate', run: v2, fallback: v1 }).passes().swaps()
}

/** The highest fence, which something has to be of. */
function heldBy({ state }: Host): Fence {
  return state.journal.fence ?? fence(0)
}

/** Elected, and about to be told so. */
function electing(): Host {
  return staging('at once', elected).stages().attests()
}

function toldOnce(host: Host): Taken {
  return told(host, fence(9), { kind: 'prepare', run: v1, stage: v2, once: true })
}

/** Told to swap to v2 at once; `before-activate` was the last that it waited for. */
function swap(): Taken {
  const host = staging('by hand').stages().attests().passes()
  host.told({ kind: 'settle', run: v2 }).passes()
  const at = host.state.journal.fence
  if (at === null) throw new Error('nothing was told')
  const trial = 'before-activate' as const
  const outcome = { kind: 'done' } as const
  return taken(host, { type: 'trial-ended', trial, fence: at, release: v2, outcome })
}

function first(link: string | null): Host {
  return Host.fresh(link).told({ kind: 'stage', stage: v1 }).stages().attests()
}

function withState(of: Taken, patch: Partial<ActivationState>): Taken {
  return { ...of, step: { ...of.step, state: { ...of.step.state, ...patch } } }
}

function withJournal(of: Taken, patch: Partial<Journal>): Taken {
  return withState(of, { journal: { ...of.step.state.journal, ...patch } })
}

function withEffects(of: Taken, ...effects: ActivationEffect[]): Taken {
  return { ...of, step: { ...of.step, effects } }
}

const broken: Readonly<Record<string, () => Taken>> = {
  'fences-only-grow': () => {
    const lower = desired(fence(1), { kind: 'settle', run: v1 })
    return withJournal(taken(ready(), { type: 'attest-due' }), { fence: fence(1), told: lower })
  },
  'one-fence-one-content': () => {
    const host = ready()
    const other = desired(host.state.journal.fence ?? fence(1), { kind: 'settle', run: v3 })
    return withJournal(taken(host, { type: 'attest-due' }), { told: other })
  },
  'before-is-written-once': () => {
    const host = first('old').told({ kind: 'activate', run: v1, fallback: null, activateAt: 5000 })
    return withJournal(taken(host, { type: 'attest-due' }), { before: { link: 'another' } })
  },
  'swap-only-as-told-to-what-is-whole': () => withState(swap(), { attested: {} }),
  'reload-only-under-the-highest-fence': () =>
    withEffects(taken(ready(), { type: 'retry-due' }), {
      type: 'reload',
      fence: fence(1),
      release: v1,
      previous: null,
      rollingBack: false,
    }),
  'reload-steps-are-owed-until-they-ran': () =>
    withJournal(taken(swapped(), { type: 'attest-due' }), { reloadDue: false }),
  'one-thing-at-a-time': () => {
    const host = ready()
    const fresh = { type: 'stage', release: v2 } as const
    return withEffects(taken(host, { type: 'retry-due' }), fresh, fresh)
  },
  'a-held-host-changes-nothing': () =>
    withEffects(told(ready(), fence(9), { kind: 'stage', hold: true }), {
      type: 'clean-up',
      pinned: [],
      history: [],
    }),
  'stage-only-what-was-told': () =>
    withEffects(taken(ready(), { type: 'retry-due' }), { type: 'stage', release: v3 }),
  'a-timer-is-set-for-the-highest-fence': () =>
    withEffects(taken(ready(), { type: 'retry-due' }), {
      type: 'schedule',
      fence: fence(1),
      activateAt: 5,
    }),
  'clean-up-spares-what-is-needed': () =>
    withEffects(taken(ready(), { type: 'retry-due' }), {
      type: 'clean-up',
      pinned: [v2.tree],
      history: [],
    }),
  'a-promise-is-kept-by-the-disk': () =>
    withState(taken(first(null), { type: 'attest-due' }), { serving: true }),
  'work-is-for-the-highest-fence': () => {
    const host = staging('by hand').stages().attests()
    const asked = told(host, fence(9), { kind: 'settle', run: v1 })
    return withState(asked, { trial: host.state.trial })
  },
  'one-trial-at-a-time': () => {
    const host = staging('by hand').stages().attests()
    const at = { fence: heldBy(host), release: v2, previous: v1 }
    const preflight = { type: 'preflight', ...at, runHook: true } as const
    return withEffects(taken(host, { type: 'retry-due' }), preflight)
  },
  'trials-are-of-what-was-told': () => {
    const host = swapped()
    const at = { fence: heldBy(host), release: v2, previous: v1 }
    const trial = { kind: 'gate', fence: at.fence, release: v2, stopping: false } as const
    const early = { type: 'probe', ...at, mode: 'whole' } as const
    return withState(withEffects(taken(host, { type: 'retry-due' }), early), { trial })
  },
  'after-stage-runs-once-per-tree': () =>
    withJournal(taken(ready(), { type: 'retry-due' }), { afterStageDone: [] }),
  'only-a-gate-makes-healthy': () => {
    const asked = told(ready(), fence(9), { kind: 'settle', run: v1 })
    return withState(asked, { gate: { proven: v1, passed: fence(9), due: false } })
  },
  'the-once-run-starts-once': () => withEffects(toldOnce(electing())),
  'a-failure-is-told-once-per-fence': () => {
    const host = staging('by hand').stages().attests().refuses()
    const of = { fence: heldBy(host), release: v2, previous: v1, failure }
    return withEffects(taken(host, { type: 'attest-due' }), { type: 'tell-failure', ...of })
  },
  'nothing-is-said-without-a-session': () => {
    const host = ready().apply({ type: 'session-closed', session: 1 })
    return withEffects(taken(host, { type: 'attest-due' }), { type: 'report' })
  },
}

void t.test('no invariant is left unbroken', async (t) => {
  const files = ['invariants', 'host-work-invariants']
  const named = files.flatMap((file) => rulesIn(`shared/activation/${file}.ts`))
  t.same(Object.keys(broken).toSorted(), named.toSorted())
})

for (const [name, breaks] of Object.entries(broken)) {
  void t.test(`${name} is held`, async (t) => {
    const { before, event, step } = breaks()
    t.throws(() => checkActivationInvariants(before, event, step), {
      name: 'AssertionError',
      message: new RegExp(`^${name}: `),
    })
  })
}

void t.test('a swap is judged by journal and disk, whatever the machine thought', async (t) => {
  const asked = swap()
  const { state } = asked.step
  const { journal, disk } = state
  const lies: Readonly<Record<string, Partial<ActivationState>>> = {
    'not staged': { disk: { ...disk, held: [v1] } },
    'drifted': { attested: { [v2.version]: { fence: fence(9), result: 'drifted', due: false } } },
    'over a directory': { disk: { ...disk, current: { kind: 'directory' } } },
    'no reload steps owed': { journal: { ...journal, reloadDue: false } },
  }
  t.doesNotThrow(() => checkActivationInvariants(asked.before, asked.event, asked.step))
  for (const [what, patch] of Object.entries(lies)) {
    const { before, event, step } = withState(asked, patch)
    const check = () => checkActivationInvariants(before, event, step)
    t.throws(check, { message: /^swap-only-as-told-to-what-is-whole: / }, what)
  }
})
