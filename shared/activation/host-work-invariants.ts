// What must hold of the host's own work: trials, steps and the once run. Judged from journal, disk
// and cause; part of what invariants.ts asserts after every transition.

import assert from 'node:assert/strict'
import { compareFence, sameFence } from '../fence.ts'
import { type Release, sameRelease } from '../release.ts'
import type { ActivationEffect, EffectOf } from './events.ts'
import type { Change } from './invariants.ts'
import { type ActivationState, currentRelease, isHeld } from './state.ts'

export const hostWorkInvariants: Readonly<Record<string, (change: Change) => void>> = {
  'work-is-for-the-highest-fence': ({ after, effects }) => {
    const { trial, acting, journal } = after
    const isOf = (fence: ActivationState['due']) => sameFence(fence, journal.fence)
    assert.ok(trial === null || trial.stopping || isOf(trial.fence), 'an old trial goes on')
    assert.ok(acting?.kind !== 'reload' || acting.stopping || isOf(acting.fence), 'old steps go on')
    const isHooked = trial !== null && trial.kind !== 'gate' && !isOf(trial.fence)
    for (const effect of effects) {
      if (effect.type === 'swap' || effect.type === 'reload') {
        assert.ok(!isHooked, 'beside a hook of an older decision')
      }
      if (isTrial(effect) || effect.type === 'tell-failure') assert.ok(isOf(effect.fence))
    }
  },

  'one-trial-at-a-time': ({ cause, before, after, effects }) => {
    const started = effects.filter(isTrial)
    assert.ok(started.length <= 1, 'two at once')
    const [trial] = started
    if (trial === undefined) return
    assert.ok(before.trial === null || cause.type === 'trial-ended', 'beside another')
    const kind = trial.type === 'probe' ? 'gate' : trial.type
    const { fence, release } = trial
    assert.deepEqual(after.trial, { kind, fence, release, stopping: false })
  },

  'trials-are-of-what-was-told': ({ after, effects }) => {
    for (const effect of effects) {
      if (effect.type === 'preflight') checkPreflight(after, effect)
      if (effect.type === 'before-activate') checkBeforeActivate(after, effect)
      if (effect.type === 'probe') checkProbe(after, effect)
    }
  },

  'after-stage-runs-once-per-tree': ({ cause, before, after, effects }) => {
    const was = before.journal.afterStageDone
    const now = after.journal.afterStageDone
    for (const effect of effects) {
      if (effect.type !== 'preflight') continue
      assert.equal(effect.runHook, !now.includes(effect.release.tree))
    }
    const isHeldTree = (tree: string) => after.disk.held.some((held) => held.tree === tree)
    const lost = was.filter((tree) => !now.includes(tree) && isHeldTree(tree))
    assert.deepEqual(lost, [], 'forgotten though it is held')
    for (const tree of now.filter((one) => !was.includes(one))) {
      assert.ok(cause.type === 'trial-ended' && cause.trial === 'preflight')
      assert.ok(cause.outcome.kind === 'done' && cause.release.tree === tree)
    }
  },

  'only-a-gate-makes-healthy': ({ cause, before, after }) => {
    const { passed, proven } = after.gate
    if (passed === null || sameFence(passed, before.gate.passed)) return
    assert.ok(cause.type === 'trial-ended' && cause.trial === 'gate')
    assert.ok(cause.outcome.kind === 'done' && sameFence(cause.fence, passed))
    assert.ok(sameRelease(proven, cause.release))
  },

  'the-once-run-starts-once': (change) => {
    const { before, after, effects } = change
    const started = effects.filter((effect) => effect.type === 'run-once')
    const was = before.journal.once
    const now = after.journal.once
    if (was === now) return assert.equal(started.length, 0, 'started without a word of it')
    assert.ok(now !== null, 'forgotten')
    if (was !== null && sameFence(was.fence, now.fence)) {
      assert.equal(started.length, 0, 'started again')
      return checkOnceEnd(change)
    }
    assert.notEqual(was?.state, 'running', 'started beside another')
    assert.equal(compareFence(now.fence, was?.fence ?? null), 'higher', 'under a lower fence')
    const { told, fence } = after.journal
    assert.ok(sameFence(now.fence, fence), 'not under the highest fence')
    assert.ok(told?.once === true && told.stage?.tree === now.tree, 'this host was not elected')
    if (now.state === 'failed') return assert.equal(after.config.declares.once, null)
    assert.equal(now.state, 'running')
    assert.ok(isWholeStage(after, told.stage), 'not of what is whole')
    assert.deepEqual(
      started.map((effect) => [effect.fence, effect.release]),
      [[now.fence, told.stage]],
    )
  },

  'a-failure-is-told-once-per-fence': ({ before, after, effects }) => {
    const told = effects.filter((effect) => effect.type === 'tell-failure')
    if (told.length === 0) return
    assert.equal(told.length, 1)
    assert.ok(!sameFence(before.failureTold, after.journal.fence))
    assert.ok(sameFence(after.failureTold, after.journal.fence))
  },
}

type TrialEffect = EffectOf<'preflight'> | EffectOf<'before-activate'> | EffectOf<'probe'>

export function isTrial(effect: ActivationEffect): effect is TrialEffect {
  return ['preflight', 'before-activate', 'probe'].includes(effect.type)
}

function checkPreflight({ journal, disk }: ActivationState, effect: EffectOf<'preflight'>): void {
  const { told } = journal
  const named = [told?.run.release, told?.stage]
  assert.ok(named.some((one) => one && sameRelease(one, effect.release)))
  assert.ok(isHeld(disk, effect.release), 'of what is not staged')
}

function checkBeforeActivate(
  { journal, disk, acting, attested }: ActivationState,
  { release }: EffectOf<'before-activate'>,
): void {
  const { told } = journal
  assert.ok(sameRelease(told?.run.release ?? null, release))
  assert.notEqual(told?.kind, 'roll-back', 'in the way of a roll back')
  assert.ok(!sameRelease(currentRelease(disk), release), 'it runs already')
  assert.ok(isHeld(disk, release) && attested[release.version]?.result === 'whole')
  assert.ok(acting === null || acting.kind === 'attest')
}

function checkProbe(
  { journal, disk, gate }: ActivationState,
  { release, mode }: EffectOf<'probe'>,
): void {
  const { told, reloadDue } = journal
  assert.ok(sameRelease(told?.run.release ?? null, release) && told?.stage === null)
  assert.ok(sameRelease(currentRelease(disk), release), 'of what does not run')
  assert.ok(!reloadDue, 'before its reload steps')
  if (mode === 'confirm') assert.ok(sameRelease(gate.proven, release), 'nothing to confirm')
}

function checkOnceEnd({ cause, before, after }: Change): void {
  const was = before.journal.once
  const now = after.journal.once
  assert.ok(was?.state === 'running' && now !== null && now.tree === was.tree)
  assert.ok(cause.type === 'once-ended' || cause.type === 'once-gone', 'ended by nothing')
  assert.ok(sameFence(cause.fence, was.fence), 'ended by the end of another')
  if (cause.type === 'once-gone') return assert.equal(now.state, 'interrupted')
  assert.equal(now.state, cause.outcome.kind)
}

function isWholeStage({ disk, attested }: ActivationState, stage: Release): boolean {
  return isHeld(disk, stage) && attested[stage.version]?.result === 'whole'
}
