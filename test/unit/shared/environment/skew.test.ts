// The skew of a rollout: said when every host that swapped has said when, and not before.

import t from 'tap'
import { type Participant, type Rollout, skewOf } from '#shared/environment/rollout.ts'
import type { Activation } from '#shared/report.ts'

function participant(name: string, parts: Partial<Participant>): Participant {
  return {
    host: name,
    name,
    wave: 0,
    counted: true,
    state: 'participating',
    attested: { epoch: 2, kind: 'healthy' },
    activation: null,
    failure: null,
    endPhase: null,
    ...parts,
  }
}

function rolloutOf(...participants: Participant[]): Rollout {
  const target = { version: '2', tree: '2'.repeat(64) }
  return {
    id: 'r1',
    app: 'shop',
    environment: 'production',
    target,
    fallback: null,
    phase: 'committed',
    reason: 'all-healthy',
    requirement: { kind: 'all', value: 0, hostsMin: null },
    waves: [{ name: null, soakMs: 0 }],
    wave: 0,
    between: null,
    once: null,
    participants: Object.fromEntries(participants.map((p) => [p.host, p])),
    excluded: {},
    deadlineAt: 0,
    givenMs: 0,
    activateAt: 100,
    phases: [],
    unknown: [],
    requestedBy: 'test',
    requestKey: null,
  }
}

const at = (activatedAt: number, errorMs: number): Activation => ({
  activatedAt,
  errorMs,
  mode: 'timed',
})

void t.test('first to last rename, and the two largest errors', async (t) => {
  const rollout = rolloutOf(
    participant('a', { activation: at(100, 1) }),
    participant('b', { activation: at(103, 2) }),
    participant('c', { activation: at(101, 4) }),
    participant('d', { counted: false, activation: at(999, 9) }),
  )
  t.same(skewOf(rollout), { skewMs: 3, skewErrorMs: 6 })
})

void t.test('one host has no skew', async (t) => {
  t.equal(skewOf(rolloutOf(participant('a', { activation: at(100, 1) }))), null)
})

void t.test('a host that swapped and cannot say when leaves the skew unsaid', async (t) => {
  const rollout = rolloutOf(
    participant('a', { activation: at(100, 1) }),
    participant('b', { activation: at(103, 2) }),
    participant('c', {}),
  )
  t.equal(skewOf(rollout), null)
})

void t.test('a host that went back, or never was there, takes no part in it', async (t) => {
  const rollout = rolloutOf(
    participant('a', { activation: at(100, 1) }),
    participant('b', { activation: at(103, 2) }),
    participant('c', { attested: { epoch: 3, kind: 'back' } }),
    participant('d', { attested: null }),
  )
  t.same(skewOf(rollout), { skewMs: 3, skewErrorMs: 3 })
})
