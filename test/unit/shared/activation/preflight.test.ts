// What a host tries before it promises, and before it swaps by itself (docs/protocol.md, "Trials").

import t from 'tap'
import { failure, Host, v1, v2, v3 } from './host.ts'

/** v2 is staged beside v1 and was found whole; its preflight is under way. */
function staged(): Host {
  return Host.running('by hand')
    .told({ kind: 'stage', run: v1, stage: v2 })
    .attests()
    .stages()
    .attests()
}

const unfit = { code: 'unfit', message: 'php 8.1 is older than 8.2' } as const

void t.test('ready is promised only when the preflight is passed', async (t) => {
  const host = staged()
  t.same(host.does, ['preflight v2 with hook'])
  t.equal(host.said.phase, 'staged')
  t.equal(host.said.ready, null)
  host.passes()
  t.same(host.said.ready, { target: v2.tree, fallback: v1.tree })
  t.same(host.state.journal.afterStageDone, [v2.tree])
})

void t.test('a new fence asks whether they fit, and runs no hook again', async (t) => {
  const host = staged().passes().told({ kind: 'prepare', run: v1, stage: v2 })
  t.equal(host.said.ready, null)
  host.attests()
  t.same(host.does, ['preflight v2'])
  host.passes()
  t.not(host.said.ready, null)
})

void t.test('nor does a restart run it again', async (t) => {
  const host = staged().passes().restart().attests()
  t.same(host.does, ['preflight v2'])
})

void t.test('a release that does not fit is not ready, and says why', async (t) => {
  const host = staged().refuses(unfit)
  t.equal(host.said.phase, 'failed')
  t.same(host.said.failure, unfit)
  t.equal(host.said.ready, null)
  t.same(host.state.journal.afterStageDone, [])
  t.same(host.does, ['retry-later 0', 'tell-failure unfit', 'report'])
  host.apply({ type: 'retry-due' })
  t.same(host.does, ['preflight v2 with hook', 'report'])
  host.refuses(unfit)
  t.same(host.does, ['retry-later 1', 'report'], 'hook on-failure comes once per fence')
  host.apply({ type: 'retry-due' }).passes()
  t.not(host.said.ready, null)
})

void t.test('a refusal takes no host out of service', async (t) => {
  t.equal(staged().refuses(unfit).said.serving, true)
})

void t.test('a tree that the host no longer holds is a new one when it comes again', async (t) => {
  const host = staged().passes()
  host.disk = { ...host.disk, held: [v1] }
  host.looks()
  t.same(host.state.journal.afterStageDone, [])
  host.stages().attests()
  t.ok(host.does.includes('preflight v2 with hook'))
})

void t.test('a higher fence stops the hook of a release that nobody wants now', async (t) => {
  const host = staged().told({ kind: 'stage', run: v1, stage: v3 })
  t.ok(host.does.includes('stop-trial'))
  host.attests().stages().attests()
  t.notOk(host.does.includes('preflight v3 with hook'), 'the next waits until it is gone')
  host.refuses()
  t.same(host.does, ['preflight v3 with hook'])
  t.equal(host.said.failure, null, 'what a stopped hook comes to is nobody\u2019s word')
})

void t.test('a hook that ran to its end has run, though it was to be stopped', async (t) => {
  const host = staged().told({ kind: 'stage', run: v1, stage: v3 }).passes()
  t.same(host.state.journal.afterStageDone, [v2.tree])
  t.equal(host.said.ready, null)
})

void t.test('a host that converges by itself tries before it swaps', async (t) => {
  const host = Host.running('by hand').told({ kind: 'settle', run: v2 }).stages().attests()
  t.same(host.does, ['preflight v2 with hook'])
  host.refuses(unfit)
  t.equal(host.said.phase, 'failed')
  t.notOk(host.does.some((what) => what.startsWith('swap')))
  host.apply({ type: 'retry-due' }).passes()
  t.same(host.does, ['before-activate v2'])
  host.passes()
  t.ok(host.does.includes('swap v2'))
})

void t.test('an activation waits for no preflight, and neither does a roll back', async (t) => {
  const host = staged().passes().told({ kind: 'activate', run: v2, fallback: v1 })
  t.same(host.does, ['before-activate v2', 'report'])
  host.passes().swaps().reloads().attests()
  host.told({ kind: 'roll-back', run: v1 })
  t.ok(host.does.includes('swap v1'))
})

void t.test('a link that drifts is put back without one: what runs fits', async (t) => {
  const host = Host.running('by hand').finds({ kind: 'foreign', link: 'elsewhere' })
  t.same(host.does, ['before-activate v1', 'report'])
  t.equal(host.said.serving, true)
  host.passes()
  t.ok(host.does.includes('swap v1'))
})

void t.test(
  'a failed stage, a failed preflight and a failed swap wait each for itself',
  async (t) => {
    const host = staged().refuses(unfit)
    host.apply({ type: 'attest-due' }).attests([v1])
    t.ok(host.does.includes('stage v1'), 'a refusal holds up no repair')
    host.apply({
      type: 'stage-ended',
      release: v1,
      outcome: { kind: 'failed', failure },
      disk: host.disk,
    })
    host.apply({ type: 'retry-due' })
    t.ok(host.does.includes('stage v1') && host.does.includes('preflight v2 with hook'))
  },
)
