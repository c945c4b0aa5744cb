// Asserted after every transition of the agent's machine, in the daemon as in the simulator: a step
// that breaks one is never saved, and none of its effects runs. The machine's own judgements are
// not asked again: what may be swapped to is judged here from journal and disk.

import assert from 'node:assert/strict'
import { compareFence, sameFence } from '../fence.ts'
import { type Release, sameRelease } from '../release.ts'
import type { ActivationEffect, ActivationEvent, Step } from './events.ts'
import { hostWorkInvariants, isTrial } from './host-work-invariants.ts'
import { observe } from './observe.ts'
import { type ActivationState, currentRelease, isHeld, linkOf } from './state.ts'

/** What an agent does first after it started counts as an event too. */
export type Cause = ActivationEvent | { readonly type: 'resumed' }

export interface Change {
  readonly cause: Cause
  readonly before: ActivationState
  readonly after: ActivationState
  readonly effects: readonly ActivationEffect[]
}

/** @throws AssertionError that begins with the name of the invariant */
export function checkActivationInvariants(before: ActivationState, cause: Cause, step: Step): void {
  const change = { cause, before, after: step.state, effects: step.effects }
  for (const [name, holds] of Object.entries({ ...invariants, ...hostWorkInvariants })) {
    try {
      holds(change)
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error
      throw new assert.AssertionError({
        message: `${name}: ${error.message} (after ${cause.type})`,
      })
    }
  }
}

const invariants: Readonly<Record<string, (change: Change) => void>> = {
  'fences-only-grow': ({ cause, before, after }) => {
    const held = before.journal.fence
    const { fence, told } = after.journal
    assert.ok(sameFence(fence, told?.fence ?? null), 'what was told has another fence')
    if (before.journal === after.journal || sameFence(fence, held)) return
    assert.equal(compareFence(fence, held), 'higher')
    assert.ok(cause.type === 'desired-received' && cause.session === before.session)
    assert.deepEqual(told, cause.desired, 'a decision was not taken whole')
  },

  'one-fence-one-content': ({ before, after }) => {
    if (before.journal === after.journal) return
    if (!sameFence(before.journal.fence, after.journal.fence)) return
    const content = ({ told }: ActivationState['journal']) =>
      told === null ? null : { ...told, run: { ...told.run, activateAt: null } }
    assert.deepEqual(content(after.journal), content(before.journal))
  },

  'before-is-written-once': ({ before, after }) => {
    const was = before.journal.before
    const { before: now, told } = after.journal
    if (was === now) return
    const uncommitted =
      told?.kind === 'activate' && told.run.release !== null && told.run.fallback === null
    if (was === null) {
      assert.ok(uncommitted, 'written without an uncommitted activation')
      return assert.equal(now?.link, linkOf(after.disk.current))
    }
    assert.equal(now, null, 'overwritten')
    assert.ok(!uncommitted, 'forgotten though nothing is committed')
    const isBack = linkOf(after.disk.current) === was.link
    assert.ok(told?.run.release !== null || isBack, 'forgotten though the host is not back on it')
    const isSwapping = before.acting?.kind === 'activate' && after.acting?.kind === 'activate'
    assert.ok(told?.run.release !== null || !isSwapping, 'forgotten while a swap is under way')
  },

  'swap-only-as-told-to-what-is-whole': ({ before, after, effects }) => {
    for (const effect of effects) {
      if (effect.type === 'swap') checkSwap(before, after, effect)
    }
  },

  'reload-only-under-the-highest-fence': ({ after, effects }) => {
    for (const effect of effects) {
      if (effect.type !== 'reload') continue
      assert.ok(sameFence(effect.fence, after.journal.fence))
      assert.ok(after.journal.reloadDue, 'reloaded without need')
      assert.deepEqual(after.acting, { kind: 'reload', fence: effect.fence, stopping: false })
      assert.deepEqual(effect.release, currentRelease(after.disk))
    }
  },

  'reload-steps-are-owed-until-they-ran': ({ cause, before, after }) => {
    if (!before.journal.reloadDue || after.journal.reloadDue) return
    const { previous } = before.journal
    const isUntouched = previous !== null && linkOf(after.disk.current) === previous.link
    if (isUntouched && after.acting?.kind !== 'activate') return
    assert.ok(cause.type === 'reload-ended' && cause.outcome.kind === 'done')
    assert.ok(sameFence(cause.fence, before.journal.fence))
  },

  'one-thing-at-a-time': ({ cause, before, effects }) => {
    const kinds = new Set<string>(['swap', 'reload', 'attest'])
    const started = effects.filter((effect) => kinds.has(effect.type))
    assert.ok(started.length <= 1, 'two at once')
    const ends = ['swap-ended', 'reload-ended', 'attest-ended']
    const [first] = started
    if (first !== undefined) {
      const { acting } = before
      const isOvertaken =
        first.type === 'swap' && acting?.kind === 'attest' && !sameFence(acting.fence, first.fence)
      assert.ok(acting === null || isOvertaken || ends.includes(cause.type), 'beside another')
    }
    const stages = effects.filter((effect) => effect.type === 'stage')
    assert.ok(stages.length <= 1, 'two stages at once')
    if (stages.length === 1) assert.ok(before.staging === null || cause.type === 'stage-ended')
  },

  'a-held-host-changes-nothing': ({ after, effects }) => {
    const { told } = after.journal
    if (told !== null && !told.hold && after.disk.hold === null) return
    // Reload steps that are still owed for a swap of before do run: it did happen.
    const busy = new Set<string>(['stage', 'schedule', 'swap', 'clean-up', 'run-once'])
    assert.deepEqual(
      effects.filter((effect) => busy.has(effect.type) || isTrial(effect)),
      [],
    )
  },

  'stage-only-what-was-told': ({ after, effects }) => {
    const { told } = after.journal
    for (const effect of effects) {
      if (effect.type !== 'stage') continue
      const { release } = effect
      assert.ok(sameRelease(told?.run.release ?? null, release) || isStaged(after, release))
    }
  },

  'a-timer-is-set-for-the-highest-fence': ({ after, effects }) => {
    for (const effect of effects) {
      if (effect.type !== 'schedule') continue
      assert.ok(sameFence(effect.fence, after.journal.fence))
      assert.equal(effect.activateAt, after.journal.told?.run.activateAt)
    }
  },

  'clean-up-spares-what-is-needed': ({ after, effects }) => {
    for (const effect of effects) {
      if (effect.type !== 'clean-up') continue
      const { told, before } = after.journal
      const link = before?.link ?? null
      const behind = after.disk.held.find((held) => link === `versions/${held.version}`)
      const needed = [
        currentRelease(after.disk),
        told?.run.release,
        told?.run.fallback,
        told?.stage,
        after.staging?.release,
        behind,
      ].flatMap((release) => (release ? [release.tree] : []))
      const { once } = after.journal
      if (once?.state === 'running') needed.push(once.tree)
      for (const tree of needed) assert.ok(effect.pinned.includes(tree), `${tree} is not pinned`)
      assert.notEqual(after.acting?.kind, 'activate', 'cleaned up while swapping')
    }
  },

  'a-promise-is-kept-by-the-disk': ({ before, after }) => {
    if (before === after) return
    const said = observe(after)
    const { told } = after.journal
    if (said.ready !== null) {
      assert.ok(told?.stage && isWhole(after, told.stage), 'the target is not whole')
      assert.equal(said.ready.target, told.stage.tree)
      assert.equal(said.ready.fallback, told.run.fallback?.tree ?? null)
      if (told.run.release !== null) {
        assert.ok(sameRelease(currentRelease(after.disk), told.run.release))
        assert.ok(isWhole(after, told.run.release), 'the fallback is not whole')
      }
      assert.ok(after.acting?.kind !== 'activate' && after.acting?.kind !== 'reload')
      assert.ok(!after.journal.reloadDue && after.journal.once?.state !== 'running')
      assert.ok(Object.values(after.failed).every((failed) => failed === null))
      assert.ok(sameFence(after.fit[told.stage.tree] ?? null, after.journal.fence), 'not tried')
      assert.equal(after.disk.hold, null, 'held by its operator')
    }
    const { phase } = said
    if (phase === 'healthy') {
      assert.ok(told?.run.release && sameRelease(said.current, told.run.release))
      assert.ok(isWhole(after, told.run.release), 'healthy without an attest')
      assert.ok(sameFence(after.gate.passed, after.journal.fence), 'healthy without its gate')
      assert.ok(!after.journal.reloadDue && after.acting?.kind !== 'activate')
    }
    if (after.serving && !before.serving) assert.equal(phaseOfRun(after), true, 'served too early')
    if (said.standing === 'before' && told !== null) {
      assert.notEqual(after.acting?.kind, 'activate', 'said to be back while a swap is under way')
    }
  },

  'nothing-is-said-without-a-session': ({ after, effects }) => {
    const said = effects.some((effect) => effect.type === 'report')
    assert.ok(!said || after.session !== null)
  },
}

function checkSwap(
  before: ActivationState,
  after: ActivationState,
  { fence, target }: Extract<ActivationEffect, { type: 'swap' }>,
): void {
  const { told, before: kept, reloadDue } = after.journal
  assert.ok(told !== null && !told.hold && after.disk.hold === null)
  assert.ok(sameFence(fence, after.journal.fence), 'not the highest fence')
  assert.ok(reloadDue, 'the reload steps are not journalled')
  assert.notEqual(after.disk.current.kind, 'directory', 'a directory would be overwritten')
  assert.deepEqual(after.acting, { kind: 'activate', fence })
  const { activateAt, release, fallback } = told.run
  assert.ok(activateAt === null || sameFence(after.due, fence), 'before its time')
  if (target.kind === 'link') {
    assert.equal(release, null, 'a way back though a release is to run')
    return assert.equal(target.link, (before.journal.before ?? kept)?.link)
  }
  assert.ok(sameRelease(target.release, release), 'not the release that was told')
  assert.ok(isHeld(after.disk, target.release), 'the release is not staged')
  assert.equal(
    after.attested[target.release.version]?.result,
    'whole',
    'the release was not attested',
  )
  if (told.kind !== 'roll-back') {
    const { cleared } = after
    assert.ok(sameFence(cleared?.fence ?? null, fence), 'before-activate has not run')
    assert.ok(sameRelease(cleared?.release ?? null, target.release))
    const isPromised = told.kind === 'activate' && told.stage === null
    const isFit = sameFence(after.fit[target.release.tree] ?? null, fence)
    assert.ok(isPromised || isFit, 'its preflight was not passed')
  }
  if (told.kind === 'activate' && fallback === null) assert.notEqual(kept, null, 'no way back')
  if (told.kind === 'stage') assert.ok(sameRelease(release, fallback), 'activated while staging')
}

function isStaged(state: ActivationState, release: Release): boolean {
  return sameRelease(state.journal.told?.stage ?? null, release)
}

function isWhole(state: ActivationState, { version }: Release): boolean {
  const attested = state.attested[version]
  return attested?.result === 'whole' && sameFence(attested.fence, state.journal.fence)
}

/** Whether what was told to run is at `current` and attested. */
function phaseOfRun(state: ActivationState): boolean {
  const release = state.journal.told?.run.release ?? null
  return (
    release !== null && sameRelease(currentRelease(state.disk), release) && isWhole(state, release)
  )
}
