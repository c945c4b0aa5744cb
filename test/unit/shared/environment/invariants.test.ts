// Each invariant notices the step that breaks it: an honest step is altered, and refused by name.

import t from 'tap'
import type { EnvironmentEvent, EventOf, Fact, Step } from '#shared/environment/events.ts'
import { checkEnvironmentInvariants } from '#shared/environment/invariants.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentRecord, EnvironmentState } from '#shared/environment/state.ts'
import { decided } from '#shared/environment/step.ts'
import { transition } from '#shared/environment/transition.ts'
import { Fleet, v1, v2, v3 } from './fleet.ts'

interface Taken {
  before: EnvironmentState
  event: EnvironmentEvent
  step: Step
}

/** The step that the fleet would take for a host's word. */
function reported(fleet: Fleet, host: string, word: Parameters<Fleet['hears']>[1]): Taken {
  const event: EventOf<'host-reported'> = {
    type: 'host-reported',
    at: fleet.at,
    ...fleet.reported(host, word),
  }
  return { before: fleet.state, event, step: transition(fleet.state, event) }
}

function activating(): Fleet {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.everybody('ready')
  return fleet
}

/** a and b have said so, c is about to. */
function lastWord(fleet: Fleet, word: Parameters<Fleet['hears']>[1]): Taken {
  for (const host of ['a', 'b']) fleet.hears(host, word)
  return reported(fleet, 'c', word)
}

function barrier(): Taken {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  return lastWord(fleet, 'ready')
}

function withRecord(taken: Taken, patch: Partial<EnvironmentRecord>): Taken {
  const { state } = taken.step
  const changed = { ...state, record: { ...state.record, ...patch } }
  return { ...taken, step: { ...taken.step, state: changed } }
}

function withRollout(taken: Taken, change: (rollout: Rollout) => Rollout): Taken {
  const { rollout } = taken.step.state.record
  return rollout === null ? taken : withRecord(taken, { rollout: change(rollout) })
}

function withFacts(taken: Taken, change: (fact: Fact) => Fact | null): Taken {
  const facts = taken.step.facts.map(change).filter((fact) => fact !== null)
  return { ...taken, step: { ...taken.step, facts } }
}

/** The rollout that ended says something else, in its fact and in the record. */
function endedAs(taken: Taken, change: (rollout: Rollout) => Rollout): Taken {
  return withFacts(withRollout(taken, change), (fact) =>
    fact.type === 'rollout-ended' ? { ...fact, rollout: change(fact.rollout) } : fact,
  )
}

function withSession(taken: Taken, host: string, ageMs: number, open = true): Taken {
  const { state } = taken.step
  const view = state.sessions[host]
  if (view === undefined) return taken
  const old = { ...view, open, reportedAt: view.reportedAt - ageMs }
  const sessions = { ...state.sessions, [host]: old }
  return { ...taken, step: { ...taken.step, state: { ...state, sessions } } }
}

function without(host: string, rollout: Rollout): Rollout {
  const participants = Object.fromEntries(
    Object.entries(rollout.participants).filter(([name]) => name !== host),
  )
  return { ...rollout, participants }
}

const broken: Readonly<Record<string, () => Taken>> = {
  'fences-grow-by-one-epoch-per-decision': () => {
    const skip = (fence: { term: number; epoch: number; hash: string }) => ({
      ...fence,
      epoch: fence.epoch + 1,
    })
    const taken = barrier()
    const { decision } = taken.step.state.record
    if (decision === null) return taken
    const skipped = { ...decision, fence: skip(decision.fence) }
    return withRecord(
      withFacts(taken, (f) => (f.type === 'decided' ? { ...f, decision: skipped } : f)),
      { decision: skipped },
    )
  },
  'a-hash-covers-its-decision': () =>
    withFacts(barrier(), (fact) =>
      fact.type === 'decided' ? { ...fact, decision: { ...fact.decision, run: v3 } } : fact,
    ),
  'every-decision-is-told': () => {
    const taken = barrier()
    return { ...taken, step: { ...taken.step, effects: [] } }
  },
  'activate-only-through-the-barrier': () => withSession(barrier(), 'a', 15_001),
  'only-activate-runs-what-is-not-committed': () => {
    const taken = lastWord(activating(), 'healthy')
    return withRecord(taken, { committed: v1, desired: v1 })
  },
  'committed-changes-only-by-commit-or-recovery': () =>
    withRecord(reported(activating(), 'a', 'active'), { committed: v2 }),
  'nothing-is-decided-while-fenced': () => {
    const taken = barrier()
    const { record } = taken.step.state
    const fence = { term: 1, epoch: 99, hash: 'e'.repeat(64) }
    return withRecord(taken, { ...record, fencedBy: { c: { fence, why: 'higher-fence' } } })
  },
  'desired-is-committed-when-nothing-is-open': () =>
    withRecord(lastWord(activating(), 'healthy'), { desired: v3 }),
  'every-request-is-answered-once': () => {
    const fleet = Fleet.committed()
    const event: EnvironmentEvent = {
      type: 'cancel-requested',
      at: fleet.at,
      ticket: 7,
      rollout: null,
    }
    const step = { ...transition(fleet.state, event), effects: [] }
    return { before: fleet.state, event, step }
  },
  'only-legal-phase-moves': () => {
    const fleet = Fleet.committed()
    fleet.deploy(v2)
    const to = 'verifying' as const
    return withRollout(reported(fleet, 'a', 'ready'), (rollout) => ({
      ...rollout,
      phase: to,
      phases: [...rollout.phases, { phase: to, at: fleet.at }],
    }))
  },
  'at-most-one-roll-back': () => {
    const fleet = activating()
    fleet.cancel()
    const taken = reported(fleet, 'a', 'back')
    const { decision } = fleet.record
    if (decision === null) return taken
    const again = decided(taken.step.state, decision, fleet.at)
    return { ...taken, step: again }
  },
  'who-counts-is-frozen-with-the-decision': () =>
    withRollout(reported(activating(), 'a', 'active'), (rollout) => without('b', rollout)),
  'attested-only-by-its-own-report-under-the-newest-fence': () =>
    withRollout(reported(activating(), 'a', 'active'), (rollout) => {
      const { a, b } = rollout.participants
      if (a === undefined || b === undefined) return rollout
      const said = { ...b, attested: a.attested }
      return { ...rollout, participants: { ...rollout.participants, b: said } }
    }),
  'an-end-is-the-truth': () =>
    endedAs(lastWord(activating(), 'healthy'), (rollout) => ({
      ...rollout,
      requirement: { kind: 'count', value: 4, hostsMin: 4 },
    })),
  'an-open-rollout-has-a-deadline': () =>
    withRollout(reported(activating(), 'a', 'active'), (rollout) => ({
      ...rollout,
      deadlineAt: Number.POSITIVE_INFINITY,
    })),
  'excluded-hosts-take-no-part': () =>
    withRecord(reported(activating(), 'a', 'active'), { excluded: { a: 'test' } }),
}

for (const [name, breaks] of Object.entries(broken)) {
  void t.test(`${name} is held`, async (t) => {
    const { before, event, step } = breaks()
    t.throws(() => checkEnvironmentInvariants(before, event, step), {
      name: 'AssertionError',
      message: new RegExp(`^${name}: `),
    })
  })
}

void t.test('each part of readiness is judged anew at the barrier', async (t) => {
  const lapses: Readonly<Record<string, Taken>> = {
    'a closed session': withSession(barrier(), 'a', 0, false),
    'a lapsed lease': withSession(barrier(), 'b', 15_001),
  }
  for (const [what, { before, event, step }] of Object.entries(lapses)) {
    const check = () => checkEnvironmentInvariants(before, event, step)
    t.throws(check, { message: /^activate-only-through-the-barrier: / }, what)
  }
})

void t.test('an end with hosts unknown that were not waited for is refused', async (t) => {
  const fleet = activating()
  fleet.cancel()
  const taken = endedAs(lastWord(fleet, 'back'), (rollout) => ({ ...rollout, unknown: ['a'] }))
  const { before, event, step } = taken
  t.throws(() => checkEnvironmentInvariants(before, event, step), {
    message: /^an-end-is-the-truth: /,
  })
})
