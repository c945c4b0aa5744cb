// While nothing is committed a host goes back to what it ran before, and to nothing else
// (ARCHITECTURE.md, "Fallback").

import t from 'tap'
import { Host, linkTo, v1, v2 } from './host.ts'

/** Told to activate v1 with nothing to fall back on. */
function activating(link: string | null): Host {
  return Host.fresh(link)
    .told({ kind: 'stage', stage: v1 })
    .stages()
    .attests()
    .told({ kind: 'activate', run: v1, fallback: null })
}

const back = { kind: 'roll-back', run: null } as const

void t.test('the before is journalled with the decision, before the swap', async (t) => {
  const host = activating('old/site')
  t.ok(host.does.includes('swap v1'))
  t.same(host.state.journal.before, { link: 'old/site' })
})

void t.test('a roll back takes the host to its before', async (t) => {
  const host = activating('old/site').swaps().told(back)
  t.equal(host.said.standing, 'elsewhere')
  host.reloads()
  t.same(host.does, ['swap old/site'])
  host.swaps()
  t.equal(host.said.standing, 'elsewhere', 'its steps are still to come')
  t.equal(host.state.journal.before, null)
  host.reloads()
  t.equal(host.said.standing, 'before')
  t.equal(host.said.current, null)
})

void t.test('a host that missed the roll back goes back under any later decision', async (t) => {
  for (const told of [
    { kind: 'settle', run: null },
    { kind: 'stage', run: null, stage: v2 },
    { kind: 'roll-back', run: null },
  ] as const) {
    const host = activating('old/site').swaps().reloads().attests()
    host.told(told)
    t.ok(host.does.includes('swap old/site'), told.kind)
    t.equal(host.said.ready, null)
  }
})

void t.test('it is not ready before it is back', async (t) => {
  const host = activating('old/site').swaps().reloads().attests()
  host.told({ kind: 'stage', run: null, stage: v2 }).stages()
  t.equal(host.said.ready, null)
})

void t.test('a crash between the rename and the journal leaves the true before', async (t) => {
  const host = activating('old/site')
  host.disk = { ...host.disk, current: linkTo(v1) }
  const again = host.restart().apply({ type: 'session-opened', session: 1 })
  t.same(again.state.journal.before, { link: 'old/site' })
  again.told(back)
  again.reloads()
  t.ok(again.does.includes('swap old/site'))
})

void t.test('a repeated or a later activation does not overwrite it', async (t) => {
  const host = activating('old/site').swaps().reloads().attests()
  host.finds({ kind: 'foreign', link: 'drifted' })
  t.ok(host.does.includes('swap v1'))
  t.same(host.state.journal.before, { link: 'old/site' })
  host.swaps().reloads().attests()
  host.told({ kind: 'activate', run: v2, fallback: null })
  t.same(host.state.journal.before, { link: 'old/site' })
})

void t.test('it ends when a release is committed', async (t) => {
  const host = activating('old/site').swaps().reloads().attests()
  host.told({ kind: 'settle', run: v1 })
  t.equal(host.state.journal.before, null)
})

void t.test('a host without a before keeps what it runs, and says so', async (t) => {
  const host = activating(null).swaps().reloads().attests()
  t.same(host.state.journal.before, { link: null })
  host.told(back)
  t.same(host.disk.current, linkTo(v1))
  t.equal(host.said.standing, 'kept')
  host.told({ kind: 'stage', run: null, stage: v2 }).stages().attests()
  t.equal(host.said.standing, 'kept')
  t.same(host.said.ready, { target: v2.tree, fallback: null })
})

void t.test('a host that never left says before, not kept', async (t) => {
  const host = Host.fresh(null).told({ kind: 'stage', stage: v1 }).stages().attests()
  t.equal(host.said.standing, 'before')
  host.told({ kind: 'activate', run: v1, fallback: null, activateAt: 5000 })
  host.told(back)
  t.equal(host.said.standing, 'before')
})

void t.test('a host whose link cannot be read says neither', async (t) => {
  const host = activating(null).swaps().reloads().attests().told(back)
  host.finds({ kind: 'unreadable', reason: 'EIO' })
  t.equal(host.said.standing, 'elsewhere')
})

void t.test('a roll back heard between the rename and its end forgets no before', async (t) => {
  const host = activating('old/site')
  host.told(back)
  t.same(host.state.journal.before, { link: 'old/site' })
  t.not(host.said.standing, 'before')
  const activation = { activatedAt: 1, errorMs: 1, mode: 'timed' as const }
  host.disk = { ...host.disk, current: linkTo(v1) }
  const outcome = { kind: 'swapped' as const, activation }
  const { fence } = host.state.acting ?? {}
  if (fence === undefined) throw new Error('no swap is under way')
  host.apply({ type: 'swap-ended', fence, outcome, disk: host.disk })
  t.ok(host.does.includes('swap old/site'))
})
