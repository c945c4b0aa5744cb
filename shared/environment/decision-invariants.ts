// What must hold of every decision: its place, its ground, and that nothing else moves what the
// fleet runs. Readiness is judged here a second time, from the reports themselves.

import assert from 'node:assert/strict'
import { limits } from '../limits.ts'
import { type Release, sameRelease } from '../release.ts'
import { type Change, type Invariants, isFenced } from './change.ts'
import { decide, type Decision } from './decision.ts'
import type { Rollout } from './rollout.ts'
import type { SessionView } from './state.ts'

export const decisionInvariants: Invariants = {
  'fences-grow-by-one-epoch-per-decision': (change) => {
    const { before, after, decisions, cause } = change
    let held = before.decision?.fence ?? null
    for (const { fence } of decisions) {
      if (held !== null && held.term === fence.term) assert.equal(fence.epoch, held.epoch + 1)
      else assert.equal(fence.epoch, 1)
      if (held !== null && held.term !== fence.term) {
        assert.ok(fence.term > held.term, `term ${fence.term} follows ${held.term}`)
        assert.equal(cause.type, 'recover-requested', 'only a recovery begins a term')
      }
      held = fence
    }
    assert.deepEqual(after.decision?.fence ?? null, held, 'the newest decision is not the last one')
    assert.ok(after.term >= before.term, 'the term fell')
  },

  'a-hash-covers-its-decision': ({ decisions, after }) => {
    for (const decision of decisions) {
      const { app, environment } = after
      const place = { app, environment, term: decision.fence.term, epoch: decision.fence.epoch }
      assert.equal(decide(decision, place, decision.decidedAt).fence.hash, decision.fence.hash)
    }
  },

  'every-decision-is-told': ({ decisions, effects }) => {
    if (decisions.length === 0) return
    assert.ok(effects.some((effect) => effect.type === 'tell-all'))
  },

  'activate-only-through-the-barrier': (change) => {
    for (const decision of change.decisions) {
      if (decision.kind === 'activate') checkBarrier(change, decision)
      else assert.equal(decision.wave, null)
    }
  },

  'only-activate-runs-what-is-not-committed': ({ before, after, decisions }) => {
    for (const { kind, run } of decisions) {
      const known = kind === 'settle' ? after.committed : before.committed
      if (kind !== 'activate') {
        assert.ok(sameRelease(run, known), `${kind} runs ${run?.version ?? 'nothing'}`)
      }
    }
  },

  'committed-changes-only-by-commit-or-recovery': ({ before, after, cause, ended, decisions }) => {
    if (sameRelease(before.committed, after.committed)) return
    const last = decisions.at(-1)
    assert.ok(last?.kind === 'settle' && sameRelease(last.run, after.committed))
    if (cause.type === 'recover-requested') return
    const committed = ended.find((rollout) => rollout.phase === 'committed')
    assert.ok(committed !== undefined && sameRelease(committed.target, after.committed))
  },

  'nothing-is-decided-while-fenced': ({ before, after, cause, decisions, effects }) => {
    if (isFenced(after)) {
      assert.equal(decisions.length, 0, 'decided while fenced')
      assert.ok(
        effects.every((effect) => effect.type === 'answer'),
        'told while fenced',
      )
      assert.ok(sameRelease(before.committed, after.committed), 'committed moved while fenced')
      assert.equal(before.rollout?.phase, after.rollout?.phase, 'the rollout moved while fenced')
    }
    if (isFenced(before) && !isFenced(after)) {
      assert.ok(
        cause.type === 'recover-requested' || cause.type === 'host-removed',
        'unfenced by itself',
      )
    }
    const fencing = Object.keys(after.fencedBy).filter((host) => !(host in before.fencedBy))
    for (const host of fencing) {
      assert.ok(cause.type === 'host-reported' && cause.host === host, `${host} fenced unheard`)
    }
  },

  'desired-is-committed-when-nothing-is-open': ({ after }) => {
    const { rollout } = after
    const open = rollout !== null && openPhases.includes(rollout.phase)
    assert.ok(sameRelease(after.desired, open ? rollout.target : after.committed))
  },

  'every-request-is-answered-once': ({ cause, effects }) => {
    const answers = effects.flatMap((effect) => (effect.type === 'answer' ? [effect.ticket] : []))
    assert.deepEqual(answers, 'ticket' in cause ? [cause.ticket] : [])
  },
}

const openPhases: readonly string[] = [
  'staging',
  'preparing',
  'activating',
  'verifying',
  'rolling-back',
]

function checkBarrier(change: Change, decision: Decision): void {
  const { before, at, cause } = change
  const { rollout } = before
  assert.ok(!isFenced(before) && rollout !== null)
  assert.equal(decision.rollout, rollout.id)
  assert.ok(sameRelease(decision.run, rollout.target))
  assert.ok(sameRelease(decision.fallback, before.committed), 'the fallback is not committed')
  const { counted } = decision
  assert.equal(new Set(counted).size, counted.length)
  assert.ok(counted.length >= 1, 'decided for nobody')
  const isFirst = !Object.values(rollout.participants).some((p) => p.counted)
  if (isFirst) checkFirst(change, rollout, decision)
  else checkNext(change, rollout)
  const told = counted.filter((host) => rollout.participants[host]?.counted !== true)
  const waves = new Set(told.map((host) => rollout.participants[host]?.wave))
  assert.deepEqual([...waves], [decision.wave], 'more than its own wave')
  const late = cause.type === 'deadline-passed' && at >= rollout.deadlineAt
  const own = askedHosts(change, rollout).filter(
    (host) => rollout.participants[host]?.wave === decision.wave,
  )
  if (!late || rollout.requirement.hostsMin === null) {
    assert.deepEqual(told, own, 'opened without all, before the deadline')
  }
  for (const host of told) {
    assert.ok(own.includes(host), `${host} does not take part`)
    checkReady(change, rollout, host)
  }
}

/** Before the first wave everybody is ready, and the once run of the tree is no open question. */
function checkFirst(change: Change, rollout: Rollout, decision: Decision): void {
  const { after, cause, at, sessions } = change
  assert.match(rollout.phase, /^(?:staging|preparing)$/)
  if (rollout.phase === 'preparing') {
    assert.equal(after.once[rollout.target.tree]?.state, 'done', 'activated before its once run')
  }
  const left = Object.values(after.rollout?.participants ?? {})
    .filter((p) => p.state === 'participating')
    .map((p) => p.host)
    .sort()
  assert.ok(left.length >= Math.max(1, rollout.requirement.hostsMin ?? 0), 'below the floor')
  const late = cause.type === 'deadline-passed' && at >= rollout.deadlineAt
  if (!late || rollout.requirement.hostsMin === null) {
    assert.deepEqual(left, askedHosts(change, rollout), 'opened without all, before the deadline')
  }
  for (const host of left) checkReady(change, rollout, host)
  const known = after.once[rollout.target.tree]?.state ?? 'done'
  const isDeclared = left.some((host) => sessions[host]?.report.declares.once !== null)
  if (isDeclared && rollout.once !== 'done') assert.equal(known, 'done', 'its once run is open')
  assert.ok(decision.counted.every((host) => left.includes(host)))
}

/** Every further wave comes after those before it are through. */
function checkNext({ before, facts, sessions, at }: Change, rollout: Rollout): void {
  const opened = facts.flatMap((f) => (f.type === 'barrier-opened' ? [f.rollout] : [])).at(-1)
  const path = opened?.phases.map((entry) => entry.phase) ?? []
  assert.equal(path.at(-2), 'verifying', 'a wave came while another was under way')
  const epoch = before.decision?.fence.epoch
  // As of this step: the last word of the wave before may be what opened this one.
  const earlier = Object.values(opened?.participants ?? {}).filter(
    ({ host, state }) => rollout.participants[host]?.counted === true && state === 'participating',
  )
  const silent = earlier.filter(
    ({ attested }) => attested?.epoch !== epoch || attested?.kind !== 'healthy',
  )
  assert.deepEqual(silent, [], 'a wave came before the last one was heard')
  for (const { host } of earlier) checkHeard(sessions, host, at)
}

/** Those who take part and are still members, after the removal that the step may bring. */
function askedHosts({ before, cause }: Change, rollout: Rollout): readonly string[] {
  return Object.values(rollout.participants)
    .filter((p) => p.state === 'participating' && !p.counted)
    .filter((p) => before.members[p.host] !== undefined)
    .map((p) => p.host)
    .filter((host) => cause.type !== 'host-removed' || cause.host !== host)
    .filter((host) => before.excluded[host] === undefined)
    .sort()
}

/** A fresh promise of both trees under the newest fence, with `current` on the fallback. */
function checkReady({ before, sessions, at }: Change, rollout: Rollout, host: string): void {
  const { report } = checkHeard(sessions, host, at)
  assert.deepEqual(report.fence, before.decision?.fence, `${host} bears another fence`)
  assert.equal(report.ready?.target, rollout.target.tree, `${host} is not ready for the target`)
  const fallback: Release | null = before.committed
  assert.equal(report.ready?.fallback, fallback?.tree ?? null, `${host} promises no way back`)
  if (fallback === null) assert.match(report.standing, /^(?:before|kept)$/)
  else assert.equal(report.current?.tree, fallback.tree, `${host} is not on the fallback`)
  assert.equal(report.failure, null, `${host} failed`)
}

function checkHeard(sessions: Change['sessions'], host: string, at: number): SessionView {
  const view = sessions[host]
  assert.ok(view !== undefined && view.open, `${host} has no session`)
  assert.ok(at - view.reportedAt <= limits.leaseMs, `the lease of ${host} has lapsed`)
  return view
}
