// What must hold of a rollout: its moves, who counts in it, what was attested, and that its end is
// the truth.

import assert from 'node:assert/strict'
import { limits } from '../limits.ts'
import { type Cause, type Change, type Invariants, rolloutsOf } from './change.ts'
import type { Attestation, Participant, Rollout, RolloutPhase } from './rollout.ts'

export const rolloutInvariants: Invariants = {
  'only-legal-phase-moves': (change) => {
    let last: Rollout | null = null
    for (const rollout of rolloutsOf(change)) {
      const path = rollout.phases.map((entry) => entry.phase)
      assert.equal(path.at(-1), rollout.phase)
      if (last?.id === rollout.id) assert.deepEqual(path.slice(0, last.phases.length), pathOf(last))
      else {
        assert.ok(last === null || isEnd(last.phase), `${last?.id} was replaced while open`)
        assert.equal(path[0], 'staging')
      }
      for (const [i, phase] of path.entries()) {
        const next = path[i + 1]
        if (next !== undefined) checkMove(rollout, phase, next)
      }
      last = rollout
    }
  },

  'at-most-one-roll-back': ({ after, before, decisions }) => {
    const times = after.rollout === null ? [] : pathOf(after.rollout).filter(isRollingBack)
    assert.ok(times.length <= 1)
    for (const decision of decisions) {
      if (decision.kind !== 'roll-back') continue
      assert.equal(decision.rollout, before.rollout?.id)
      assert.ok(before.rollout?.phase === 'activating' || before.rollout?.phase === 'verifying')
    }
  },

  'who-counts-is-frozen-with-the-decision': (change) => {
    const { before, after, cause } = change
    if (before.rollout?.id !== after.rollout?.id) return
    const opened = change.decisions.find((decision) => decision.kind === 'activate')
    for (const now of Object.values(after.rollout?.participants ?? {})) {
      const was = before.rollout?.participants[now.host]
      if (was === undefined) {
        assert.ok(cause.type === 'host-joined' && cause.host === now.host, `${now.host} slipped in`)
        assert.equal(now.counted, false)
      } else {
        if (was.counted || !opened) assert.equal(now.counted, was.counted, now.host)
        assert.equal(now.wave, was.wave, `${now.host} changed its wave`)
        if (was.state !== now.state) checkParticipantMove(change, was, now, opened !== undefined)
      }
    }
    const gone = Object.keys(before.rollout?.participants ?? {}).filter(
      (host) => after.rollout?.participants[host] === undefined,
    )
    assert.deepEqual(gone, [], 'a participant was forgotten')
    if (opened === undefined) return
    const taken = Object.values(after.rollout?.participants ?? {}).filter(
      (p) => p.counted && p.state === 'participating',
    )
    assert.deepEqual(hostsOf(taken), opened.counted)
  },

  'attested-only-by-its-own-report-under-the-newest-fence': (change) => {
    const { before, after, cause } = change
    if (before.rollout?.id !== after.rollout?.id) return
    for (const now of Object.values(after.rollout?.participants ?? {})) {
      const was = before.rollout?.participants[now.host]?.attested ?? null
      const { attested } = now
      // A controller that was away asks everybody again.
      if (attested === null && cause.type === 'resumed') continue
      if (attested === null && was !== null) {
        assert.ok(cause.type === 'host-reported' && cause.host === now.host, `${now.host}: lost`)
        assert.deepEqual(cause.report.fence, before.decision?.fence)
        assert.equal(was.epoch, before.decision?.fence.epoch, `an old word of ${now.host} was lost`)
      } else if (attested === null) continue
      else if (was?.epoch !== attested.epoch || was.kind !== attested.kind) {
        checkAttested(before.rollout, cause, now.host, attested)
        assert.deepEqual(reportOf(cause)?.fence, before.decision?.fence)
        assert.equal(attested.epoch, before.decision?.fence.epoch)
      }
    }
  },

  'an-end-is-the-truth': (change) => {
    for (const rollout of change.ended) checkEnd(change, rollout)
  },

  'an-open-rollout-has-a-deadline': ({ after, at, before }) => {
    const { rollout } = after
    if (rollout === null || isEnd(rollout.phase) || rollout === before.rollout) return
    assert.ok(Number.isFinite(rollout.deadlineAt))
    assert.ok(rollout.deadlineAt <= at + farthestMs, 'the deadline is too far away')
  },

  'excluded-hosts-take-no-part': ({ after }) => {
    const { rollout, excluded, drained } = after
    if (rollout === null || isEnd(rollout.phase)) return
    for (const host of Object.keys({ ...excluded, ...drained }))
      assert.ok(!(host in rollout.participants), host)
  },
}

/** What hosts may declare, beyond the longest deadline that has no such part. */
const farthestMs = limits.declaredMsMax + limits.stageDeadlineMs

const moves: Record<RolloutPhase, readonly RolloutPhase[]> = {
  staging: ['preparing', 'activating', 'aborted', 'committed'],
  preparing: ['activating', 'aborted'],
  activating: ['verifying', 'rolling-back', 'aborted'],
  verifying: ['activating', 'committed', 'rolling-back', 'aborted'],
  'rolling-back': ['rolled-back', 'failed', 'aborted'],
  committed: [],
  'rolled-back': [],
  aborted: [],
  failed: [],
}

function checkMove(rollout: Rollout, phase: RolloutPhase, next: RolloutPhase): void {
  assert.ok(moves[phase].includes(next), `${phase} → ${next}`)
  if (phase === 'staging' && next === 'committed') {
    assert.deepEqual(rollout.participants, {}, 'committed without a barrier')
  }
  const isUndecided = phase === 'staging' || phase === 'preparing'
  if (!isUndecided && next === 'aborted') assert.equal(rollout.reason, 'recovered')
  if (phase === 'verifying' && next === 'activating') assert.ok(rollout.waves.length > 1)
}

function checkParticipantMove(
  { cause, facts }: Change,
  was: Participant,
  now: Participant,
  opened: boolean,
): void {
  const of = `${now.host}: ${was.state} → ${now.state}`
  const isItself = 'host' in cause && cause.host === now.host
  switch (now.state) {
    case 'removed':
      return assert.ok(cause.type === 'host-removed' && isItself, of)
    case 'left-behind':
      if (was.state === 'removed') return assert.ok(cause.type === 'host-joined' && isItself, of)
      return assert.ok(opened && was.state === 'participating', of)
    case 'dropped': {
      const named = facts.some((fact) => fact.type === 'host-dropped' && fact.host === now.host)
      return assert.ok(named && was.state === 'participating', of)
    }
    case 'participating': {
      if (was.state === 'removed') return assert.ok(cause.type === 'host-joined' && isItself, of)
      const back = facts.some((fact) => fact.type === 'roll-back-started')
      return assert.ok(back && was.state === 'dropped', of)
    }
  }
}

function checkAttested(
  rollout: Rollout | null,
  cause: Cause,
  host: string,
  { kind }: Attestation,
): void {
  assert.ok(cause.type === 'host-reported' && cause.host === host, `${host} did not say it`)
  assert.ok(rollout !== null)
  const { report } = cause
  const way = rollout.phase === 'rolling-back' ? rollout.fallback : rollout.target
  switch (kind) {
    case 'active':
      return assert.ok(report.current?.tree === way?.tree, `${host} is elsewhere`)
    case 'healthy':
      return assert.ok(report.current?.tree === way?.tree && report.phase === 'healthy', host)
    case 'back':
      if (way === null) return assert.equal(report.standing, 'before')
      assert.match(report.phase, /^(?:active|healthy)$/)
      return assert.equal(report.current?.tree, way.tree, host)
    case 'kept':
      return assert.ok(way === null && report.standing === 'kept', host)
  }
}

function checkEnd({ before, cause, at, decisions }: Change, rollout: Rollout): void {
  const told = Object.values(rollout.participants).filter((p) => p.counted)
  const asked = told.filter((p) => p.state === 'participating')
  const attested = (p: Participant, kind: Attestation['kind'], epoch: number | undefined) =>
    p.attested?.kind === kind && p.attested.epoch === epoch
  switch (rollout.phase) {
    case 'committed': {
      if (Object.keys(rollout.participants).length === 0) return
      assert.ok(before.decision?.kind === 'activate' && before.decision.rollout === rollout.id)
      const floor = Math.max(1, rollout.requirement.hostsMin ?? told.length)
      assert.ok(asked.length >= floor, `${asked.length} hosts remain of ${floor}`)
      const epoch = before.decision.fence.epoch
      const silent = asked.filter((p) => !attested(p, 'healthy', epoch))
      return assert.deepEqual(hostsOf(silent), [], 'committed without their word')
    }
    case 'aborted':
      if (cause.type !== 'recover-requested') assert.deepEqual(hostsOf(told), [])
      return
    case 'rolled-back':
    case 'failed': {
      const decision = decisions.find((d) => d.kind === 'roll-back') ?? before.decision
      assert.ok(decision?.kind === 'roll-back' && decision.rollout === rollout.id)
      const epoch = decision.fence.epoch
      const kept = asked.filter((p) => attested(p, 'kept', epoch))
      const back = asked.filter((p) => attested(p, 'back', epoch))
      const unknown = asked.filter((p) => !kept.includes(p) && !back.includes(p))
      assert.equal(rollout.phase === 'failed', kept.length > 0)
      assert.deepEqual([...rollout.unknown].sort(), hostsOf(unknown))
      const deadlineAt = before.rollout?.deadlineAt ?? 0
      const isLate = cause.type === 'deadline-passed' && at >= deadlineAt
      return assert.ok(unknown.length === 0 || isLate, 'given up before the deadline')
    }
    case 'staging':
    case 'preparing':
    case 'activating':
    case 'verifying':
    case 'rolling-back':
      return assert.fail(`ended while ${rollout.phase}`)
  }
}

function hostsOf(participants: readonly Participant[]): readonly string[] {
  return participants.map((p) => p.host).sort()
}

function pathOf(rollout: Rollout): readonly RolloutPhase[] {
  return rollout.phases.map((entry) => entry.phase)
}

function isEnd(phase: RolloutPhase): boolean {
  return moves[phase].length === 0
}

function isRollingBack(phase: RolloutPhase): boolean {
  return phase === 'rolling-back'
}

function reportOf(cause: Cause) {
  return cause.type === 'host-reported' ? cause.report : null
}
