// The hold of a host's own operator (docs/protocol.md, "Hold"): nothing changes on the host, whatever
// it is told.

import t from 'tap'
import { Host, linkTo, v1, v2 } from './host.ts'

const changes = (host: Host) =>
  host.does.filter((what) => /^(stage|swap|schedule|preflight|before|run-once|clean)/.test(what))

function staging(): Host {
  return Host.running('by hand').told({ kind: 'stage', run: v1, stage: v2 }).attests()
}

void t.test('a held host stages nothing, is not ready, and says why', async (t) => {
  const host = staging().isHeld('the disk is being replaced')
  t.ok(host.does.includes('cancel-stage'))
  t.equal(host.said.standing, 'held')
  t.equal(host.said.phase, 'failed')
  t.match(host.said.failure, { code: 'on-hold', message: /the disk is being replaced/ })
  t.equal(host.said.ready, null)
  host.told({ kind: 'settle', run: v2 })
  t.same(changes(host), [])
})

void t.test('it takes the promise back that it gave', async (t) => {
  const host = staging().stages().attests().passes()
  t.not(host.said.ready, null)
  t.equal(host.isHeld('no').said.ready, null)
})

void t.test('a decision that has not come to the rename is not acted on', async (t) => {
  const host = staging().stages().attests().passes()
  host.told({ kind: 'activate', run: v2, fallback: v1, activateAt: 5000 })
  host.isHeld('not now')
  t.same(host.does, ['unschedule', 'stop-trial', 'report'])
  host.refuses().comes()
  t.same(changes(host), [])
  t.same(host.disk.current, linkTo(v1))
})

void t.test('steps that are owed for a swap of before do run', async (t) => {
  const host = staging().stages().attests().passes()
  host.told({ kind: 'activate', run: v2, fallback: v1 }).passes().swaps().isHeld('now')
  t.equal(host.state.acting?.kind, 'reload')
  host.reloads()
  t.equal(host.state.journal.reloadDue, false)
})

void t.test('what runs goes on being served, as long as it is what was told', async (t) => {
  const host = Host.running('by hand').isHeld('a while')
  t.equal(host.said.serving, true)
  host.told({ kind: 'settle', run: v2 })
  t.equal(host.said.serving, false)
  host.told({ kind: 'settle', run: v1 }).attests()
  t.equal(host.said.serving, true)
})

void t.test('a link that drifts while it is held is left alone', async (t) => {
  const host = Host.running('by hand').isHeld('a while').finds({ kind: 'foreign', link: 'mine' })
  t.same(changes(host), [])
  t.equal(host.said.serving, false)
})

void t.test('with the end of the hold it goes on from where it is', async (t) => {
  const host = staging().isHeld('a while')
  host.apply({ type: 'stage-ended', release: v2, outcome: { kind: 'cancelled' }, disk: host.disk })
  t.same(changes(host), [])
  host.isHeld(null)
  t.same(changes(host), ['stage v2'])
  t.equal(host.said.failure, null)
})

void t.test('the run of a fleet is not made on a host that is held', async (t) => {
  const host = staging().stages().attests().passes().isHeld('a while')
  host.told({ kind: 'prepare', run: v1, stage: v2, once: true })
  t.same(changes(host), [])
  t.equal(host.said.once, null)
})

void t.test('a host that knows no decision yet says it too', async (t) => {
  const host = Host.fresh().isHeld('a while')
  t.match(host.said, { phase: 'idle', standing: 'held', failure: { code: 'on-hold' } })
})

void t.test('a drained host does not serve until it is let in again', async (t) => {
  const host = staging().stages().attests().passes()
  t.equal(host.said.serving, true)
  host.told({ kind: 'settle', hold: true, drain: true })
  t.equal(host.said.serving, false)
  t.equal(host.said.standing, 'held')
  host.told({ kind: 'settle', run: v1 }).attests()
  t.equal(host.said.serving, true)
})
