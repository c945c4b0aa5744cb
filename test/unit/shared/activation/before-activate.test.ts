// The hook before the rename, the steps after it, and what a newer decision does to both
// (docs/protocol.md, "Trials").

import t from 'tap'
import type { ActivationEffect, EffectType } from '#shared/activation/events.ts'
import { failure, Host, linkTo, v1, v2, v3 } from './host.ts'

const activateAt = 5000

function ready(): Host {
  const host = Host.running('by hand').told({ kind: 'stage', run: v1, stage: v2 })
  return host.attests().stages().attests().passes()
}

function activating(): Host {
  return ready().told({ kind: 'activate', run: v2, fallback: v1, activateAt })
}

function effect(host: Host, type: EffectType): ActivationEffect {
  const found = host.last.find((one) => one.type === type)
  if (found === undefined) throw new Error(`no ${type} was asked for`)
  return found
}

void t.test('it runs on receipt, and the rename waits for it and for its instant', async (t) => {
  const host = activating()
  t.same(host.does, ['schedule 5000', 'before-activate v2', 'report'])
  host.comes()
  t.same(host.does, ['unschedule'], 'the instant comes while the hook runs')
  t.equal(host.said.serving, true)
  host.passes()
  t.ok(host.does.includes('swap v2'))

  const quick = activating().passes()
  t.same(quick.does, [])
  quick.comes()
  t.same(quick.does, ['unschedule', 'swap v2'], 'at its instant nothing happens but the rename')
})

void t.test('it is told what runs and where the host goes', async (t) => {
  const asked = effect(activating(), 'before-activate')
  t.match(asked, { release: v2, previous: v1, fence: { epoch: 3 } })
})

void t.test(
  'a counted host whose hook fails swaps nothing, and takes the fleet back',
  async (t) => {
    const host = activating().refuses()
    t.equal(host.said.phase, 'failed')
    t.ok(host.does.includes('tell-failure disk-error'))
    host.comes().apply({ type: 'retry-due' }).looks()
    t.notOk(host.does.some((what) => what.startsWith('swap')))
    host.told({ kind: 'roll-back', run: v1 }).attests()
    t.equal(host.said.failure, null)
    t.equal(host.said.standing, 'run')
    t.equal(host.state.journal.reloadDue, false, 'no step follows on a swap that never was')
  },
)

void t.test('anywhere else the hook is tried again', async (t) => {
  const host = ready().told({ kind: 'settle', run: v2 }).passes().refuses()
  t.ok(host.does.includes('retry-later 0'))
  host.apply({ type: 'retry-due' })
  t.ok(host.does.includes('before-activate v2'))
})

void t.test('a roll back stops it, runs none, and waits for nothing', async (t) => {
  const host = activating().told({ kind: 'roll-back', run: v1 })
  t.same(host.does, ['unschedule', 'attest v1', 'stop-trial', 'report'])
  const late = activating().passes().comes().swaps()
  late.told({ kind: 'roll-back', run: v1 })
  t.same(late.does, ['stop-reload', 'report'])
  late.apply({
    type: 'reload-ended',
    fence: { ...(late.state.acting?.fence ?? { term: 1, hash: '' }), epoch: 3 },
    outcome: { kind: 'failed', failure },
  })
  t.same(late.does, ['swap v1'], 'the steps of the way there count for nothing')
  t.equal(late.said.failure, null)
})

void t.test('it waits until the steps of an older decision are gone', async (t) => {
  const host = activating().passes().comes().swaps()
  const older = host.state.journal.fence
  if (older === null) throw new Error('nothing was told')
  host.told({ kind: 'settle', run: v1 })
  t.same(host.does, ['stop-reload', 'preflight v1 with hook', 'report'])
  t.same(host.passes().does, [])
  host.apply({ type: 'reload-ended', fence: older, outcome: { kind: 'failed', failure } })
  t.same(host.does, ['before-activate v1'])
})

void t.test('a release that was built anew meanwhile is tried anew', async (t) => {
  const host = ready().told({ kind: 'settle', run: v2 }).passes().passes()
  const at = host.state.journal.fence
  if (at === null) throw new Error('nothing was told')
  const outcome = { kind: 'failed' as const, failure }
  host.apply({ type: 'swap-ended', fence: at, outcome, disk: host.disk })
  host.apply({ type: 'attest-ended', fence: at, results: [{ version: 'v2', result: 'drifted' }] })
  host.stages().apply({ type: 'retry-due' }).attests()
  t.same(host.does, ['preflight v2'])
  host.passes()
  t.ok(host.does.includes('swap v2'), 'the hook before it has run for this swap')
})

void t.test('it runs once for each swap', async (t) => {
  const host = ready().told({ kind: 'settle', run: v2 }).passes().passes()
  t.ok(host.does.includes('swap v2'))
  host.swaps().reloads().attests().passes()
  host.finds(linkTo(v1))
  t.same(host.does, ['before-activate v2', 'report'])
})

void t.test('after a restart it runs again before the swap that is owed', async (t) => {
  const host = activating().passes().restart().attests()
  t.same(host.does, ['before-activate v2'])
  host.passes()
  t.ok(host.does.includes('swap v2'))
})

void t.test('the steps are told where the host comes from, and on which way it is', async (t) => {
  const host = activating().passes().comes().swaps()
  t.match(effect(host, 'reload'), { release: v2, previous: v1, rollingBack: false })
  const again = host.restart()
  t.match(effect(again, 'reload'), { release: v2, previous: v1, rollingBack: false })
  again.reloads().attests().passes()
  again.apply({ type: 'session-opened', session: 1 }).told({ kind: 'roll-back', run: v1 })
  again.attests()
  again.disk = { ...again.disk, current: linkTo(v1) }
  const end = { kind: 'swapped' as const, activation: null }
  const fence = again.state.journal.fence
  if (fence === null) throw new Error('nothing was told')
  again.apply({ type: 'swap-ended', fence, outcome: end, disk: again.disk })
  t.match(effect(again, 'reload'), { release: v1, previous: v2, rollingBack: true })
})

void t.test('back on a link of before, the steps run without a release', async (t) => {
  const host = Host.fresh('old/site').told({ kind: 'stage', stage: v1 }).stages().attests()
  host.told({ kind: 'activate', run: v1, fallback: null }).swaps().reloads().attests()
  host.told({ kind: 'roll-back', run: null }).swaps()
  t.match(effect(host, 'reload'), { release: null, previous: v1, rollingBack: true })
})

void t.test('a decision that came before the swap leaves no steps owed', async (t) => {
  for (const told of [
    { kind: 'roll-back', run: v1 },
    { kind: 'settle', run: v1 },
    { kind: 'stage', run: v1, stage: v3 },
    { kind: 'stage', hold: true },
  ] as const) {
    const host = activating()
    t.equal(host.state.journal.reloadDue, true)
    host.told(told)
    t.equal(host.state.journal.reloadDue, false, told.kind)
    t.notOk(host.does.some((what) => what.startsWith('reload')))
  }
})

void t.test('a link that cannot be read is no sign that nothing was swapped', async (t) => {
  const host = Host.fresh(null).told({ kind: 'stage', stage: v1 }).stages().attests()
  host.told({ kind: 'activate', run: v1, fallback: null })
  const at = host.state.journal.fence
  if (at === null) throw new Error('nothing was told')
  const current = { kind: 'unreadable' as const, reason: 'EIO' }
  const outcome = { kind: 'swapped' as const, activation: null }
  host.apply({ type: 'swap-ended', fence: at, outcome, disk: { ...host.disk, current } })
  host.told({ kind: 'roll-back', run: null }).attests()
  t.equal(host.state.journal.reloadDue, true)
  host.finds(linkTo(v1))
  t.ok(host.does.includes('reload (rolling back)'))
})

void t.test('a swap whose end nobody saw leaves them owed', async (t) => {
  const host = activating().passes().comes()
  host.told({ kind: 'roll-back', run: v1 })
  t.equal(host.state.journal.reloadDue, true)
  host.disk = { ...host.disk, current: linkTo(v2) }
  const again = host.restart()
  t.same(again.does, ['attest v1'])
  again.attests()
  t.same(again.does, ['swap v1'])
})

void t.test('a roll back swaps when the hook of before is gone, and not beside it', async (t) => {
  const host = activating()
  t.equal(host.state.trial?.kind, 'before-activate')
  host.finds({ kind: 'foreign', link: 'drifted' })
  host.told({ kind: 'roll-back', run: v1 })
  t.ok(host.does.includes('stop-trial'))
  t.notOk(host.does.some((what) => what.startsWith('swap')))
  t.ok(host.refuses().does.includes('swap v1'))
})

void t.test('the steps of a roll back stay its own under a newer decision', async (t) => {
  const host = activating().passes().comes().swaps().reloads().attests().passes()
  host.told({ kind: 'roll-back', run: v1 }).swaps()
  const older = host.state.journal.fence
  if (older === null) throw new Error('nothing was told')
  host.told({ kind: 'stage', run: v1, stage: v3 })
  host.apply({ type: 'reload-ended', fence: older, outcome: { kind: 'failed', failure } })
  t.match(effect(host, 'reload'), { release: v1, rollingBack: true })
  t.match(effect(host.restart(), 'reload'), { release: v1, rollingBack: true })
})

void t.test('at its instant it is renamed, though the regular attest is under way', async (t) => {
  const host = ready().apply({ type: 'attest-due' })
  const older = host.state.acting?.fence
  if (older === undefined) throw new Error('nothing is looked at')
  host.told({ kind: 'activate', run: v2, fallback: v1, activateAt }).passes().comes()
  t.same(host.does, ['unschedule', 'swap v2'])
  const results = [{ version: 'v2', result: 'whole' as const }]
  host.swaps().apply({ type: 'attest-ended', fence: older, results })
  t.equal(host.state.acting?.kind, 'reload')
  host.reloads()
  t.same(host.does, ['attest v2'])
  host.apply({ type: 'attest-ended', fence: older, results })
  t.equal(host.said.phase, 'activating', 'what was seen before the swap is no word on it')
  host.attests().passes()
  t.equal(host.said.phase, 'healthy')
})
