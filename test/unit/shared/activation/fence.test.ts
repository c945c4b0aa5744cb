// What an agent acts on, and what it says (ARCHITECTURE.md, guarantee 2).

import t from 'tap'
import { failure, fence, Host, linkTo, v1, v2, v3 } from './host.ts'

function activating(activateAt: number | null = 5000): Host {
  return Host.running()
    .told({ kind: 'stage', run: v1, stage: v2 })
    .attests()
    .stages()
    .attests()
    .told({ kind: 'activate', run: v2, fallback: v1, activateAt })
}

void t.test('a higher fence is taken whole, a lower one is ignored', async (t) => {
  const host = Host.running()
  host.told({ kind: 'settle', run: v2, at: fence(5) })
  t.same(host.said.fence, fence(5))
  const { journal } = host.state
  host.told({ kind: 'settle', run: v3, at: fence(4) })
  t.equal(host.state.journal, journal)
  t.same(host.last, [])
})

void t.test('a higher term is higher whatever its epoch', async (t) => {
  const host = Host.running().told({ kind: 'settle', run: v2, at: fence(50) })
  host.told({ kind: 'settle', run: v1, at: { ...fence(1), term: 2 } })
  t.equal(host.said.fence?.term, 2)
})

void t.test('one fence with two contents is refused, and said', async (t) => {
  const host = Host.running().told({ kind: 'settle', run: v2, at: fence(5) })
  const { journal } = host.state
  host.told({ kind: 'settle', run: v3, at: fence(5, 'c') })
  t.equal(host.state.journal, journal)
  t.same(host.does, ['raise-conflict', 'report'])
  t.same(host.said.conflict, fence(5, 'c'))
  host.told({ kind: 'settle', run: v1, at: fence(6) })
  t.equal(host.said.conflict, null)
})

void t.test('what another session says is not acted on', async (t) => {
  const host = Host.running()
  host.session = 0
  host.told({ kind: 'settle', run: v2 })
  t.same(host.said.fence, fence(1))
  host.apply({ type: 'session-closed', session: 1 })
  host.session = 1
  host.told({ kind: 'settle', run: v2 })
  t.same(host.said.fence, fence(1))
})

void t.test('the end of an old session does not end the new one', async (t) => {
  const host = Host.running().apply({ type: 'session-opened', session: 2 })
  host.apply({ type: 'session-closed', session: 1 })
  t.equal(host.state.session, 2)
})

void t.test('a higher fence cancels a pending timer', async (t) => {
  const host = activating()
  t.same(host.state.scheduled?.activateAt, 5000)
  host.told({ kind: 'roll-back', run: v1 })
  t.ok(host.does.includes('unschedule'))
  host.apply({ type: 'activation-due', fence: fence(3) })
  t.same(host.disk.current, linkTo(v1))
  t.equal(host.state.journal.reloadDue, false, 'nothing was swapped that steps could follow')
})

void t.test('the same decision at another instant only sets the timer anew', async (t) => {
  const host = activating()
  const { told, fence: held } = host.state.journal
  if (told === null || held === null) throw new Error('nothing was told')
  const again = { ...told, run: { ...told.run, activateAt: 6000 } }
  host.apply({ type: 'desired-received', session: 1, desired: again })
  t.same(host.does, ['schedule 6000'])
  t.equal(host.said.conflict, null)
})

void t.test(
  'nothing is swapped before its instant, and then only the rename is done',
  async (t) => {
    const host = activating()
    t.notOk(host.does.some((what) => what.startsWith('swap')))
    t.equal(host.state.journal.reloadDue, true)
    host.comes()
    t.same(host.does, ['unschedule', 'swap v2'])
  },
)

void t.test('an attest that fell due does not hold the rename up', async (t) => {
  const host = activating()
  host.apply({ type: 'attest-due' })
  t.same(host.does, [])
  host.comes()
  t.same(host.does, ['unschedule', 'swap v2'])
})

void t.test('without an instant it is swapped on receipt', async (t) => {
  t.ok(activating(null).does.includes('swap v2'))
})

void t.test('a roll back that is heard while a swap is under way waits for its end', async (t) => {
  const host = activating().comes()
  host.told({ kind: 'roll-back', run: v1 })
  t.same(host.does, ['report'])
  t.equal(host.said.standing, 'elsewhere')
  t.not(host.said.phase, 'healthy')
  const activation = { activatedAt: 1, errorMs: 1, mode: 'timed' as const }
  host.disk = { ...host.disk, current: linkTo(v2) }
  const outcome = { kind: 'swapped' as const, activation }
  host.apply({ type: 'swap-ended', fence: fence(3), outcome, disk: host.disk })
  t.ok(host.does.includes('swap v1'))
})

void t.test('a swap that fails after a roll back was heard leaves no steps owed', async (t) => {
  const host = activating().comes()
  host.told({ kind: 'roll-back', run: v1 })
  const outcome = { kind: 'failed' as const, failure }
  host.apply({ type: 'swap-ended', fence: fence(3), outcome, disk: host.disk })
  t.equal(host.state.journal.reloadDue, false)
})

void t.test('a swap under an older fence is not told as the newest one’s', async (t) => {
  const host = activating().comes()
  host.told({ kind: 'roll-back', run: v1 })
  const activation = { activatedAt: 1, errorMs: 1, mode: 'timed' as const }
  const outcome = { kind: 'swapped' as const, activation }
  host.apply({
    type: 'swap-ended',
    fence: fence(3),
    outcome,
    disk: { ...host.disk, current: linkTo(v2) },
  })
  t.equal(host.said.activation, null)
})

void t.test('after a restart the persisted decision is acted on, and due at once', async (t) => {
  const host = activating().restart()
  t.same(host.does, ['attest v2'])
  host.attests()
  t.same(host.does, ['before-activate v2', 'swap v2'])
  t.same(host.said.fence, fence(3))
})

void t.test('nothing is reported without a session', async (t) => {
  const host = Host.running().apply({ type: 'session-closed', session: 1 })
  host.finds({ kind: 'foreign', link: 'elsewhere' })
  t.notOk(host.does.includes('report'))
})

void t.test('every look at the disk is reported, and every news at once', async (t) => {
  const host = Host.running().finds(linkTo(v1))
  t.same(host.does, ['report'])
  host.apply({ type: 'session-opened', session: 2 })
  t.same(host.does, ['report'])
  host.session = 2
  host.told({ kind: 'stage', run: v1, stage: v2 })
  t.ok(host.does.includes('report'))
})
