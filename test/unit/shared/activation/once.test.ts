// The run that a fleet makes once per release, on the elected host (docs/protocol.md, "The once run").

import t from 'tap'
import { elected, failure, fence, Host, plain, v1, v2, v3 } from './host.ts'

function ready(config = elected): Host {
  const host = Host.running('at once', config).told({ kind: 'stage', run: v1, stage: v2 })
  return host.attests().stages().attests()
}

const prepare = { kind: 'prepare', run: v1, stage: v2 } as const

/** Told to run it under fence 9, which it does. */
function running(): Host {
  return ready()
    .told({ ...prepare, once: true, at: fence(9) })
    .attests()
}

function ends(host: Host, how: 'done' | 'failed', at = fence(9)): Host {
  const outcome = how === 'done' ? { kind: how } : { kind: how, failure }
  return host.apply({ type: 'once-ended', fence: at, outcome })
}

const runs = (host: Host) => host.does.filter((what) => what.startsWith('run-once'))

void t.test('it is journalled with its fence, in the same write, and then started', async (t) => {
  const before = ready()
  t.equal(before.state.journal.once, null)
  const host = before.told({ ...prepare, once: true, at: fence(9) })
  t.same(runs(host), ['run-once v2'])
  t.same(host.state.journal.fence, fence(9))
  t.same(host.state.journal.once, {
    fence: fence(9),
    tree: v2.tree,
    state: 'running',
    message: null,
  })
  t.same(host.said.once, host.state.journal.once)
})

void t.test('only the host that is elected runs it', async (t) => {
  const host = ready().told({ ...prepare, at: fence(9) })
  t.same(runs(host), [])
  t.equal(host.said.once, null)
})

void t.test('a host is not ready while its own run is under way', async (t) => {
  const host = running()
  t.equal(host.said.phase, 'staged')
  t.equal(host.said.ready, null)
  ends(host, 'done')
  t.match(host.said, { once: { state: 'done', message: null }, phase: 'ready' })
})

void t.test('its failure is said in words', async (t) => {
  const host = ends(running(), 'failed')
  t.match(host.said.once, { state: 'failed', message: failure.message, tree: v2.tree })
})

void t.test('the same told again starts nothing, running, ended or restarted', async (t) => {
  const again = { ...prepare, once: true, at: fence(9) }
  const host = running().told(again)
  t.same(runs(host), [])
  ends(host, 'failed').looks().told(again)
  t.same(runs(host), [])
  const restarted = host.restart().apply({ type: 'session-opened', session: 1 })
  restarted.attests().told(again).looks()
  t.same(runs(restarted), [])
  t.equal(restarted.said.once?.state, 'failed')
})

void t.test(
  'a higher fence ends nothing, and the late result is journalled and said',
  async (t) => {
    const host = running().told({ kind: 'settle', run: v1, at: fence(10) })
    t.notOk(host.does.includes('stop-trial'))
    t.equal(host.said.once?.state, 'running')
    host.attests()
    ends(host, 'done')
    t.match(host.said, { fence: fence(10), once: { fence: fence(9), state: 'done' } })
    t.ok(host.does.includes('report'))
  },
)

void t.test('after a crash it is interrupted, once nothing of it is left', async (t) => {
  const host = running().restart()
  t.ok(host.does.includes('await-once'))
  t.same(runs(host), [])
  t.equal(host.said.once?.state, 'running', 'it may still be')
  ends(host, 'done')
  t.equal(host.said.once?.state, 'running', 'this process has started nothing')
  host.attests().apply({ type: 'once-gone', fence: fence(9) })
  t.same(runs(host), [])
  t.equal(host.said.once?.state, 'interrupted')
  t.same(runs(host.restart()), [], 'never again under this fence')
})

void t.test('a crash before the write is one before anything: it is told again', async (t) => {
  const host = ready().restart().attests().apply({ type: 'session-opened', session: 1 })
  t.same(runs(host.told({ ...prepare, once: true, at: fence(9) })), ['run-once v2'])
})

void t.test(
  'another run waits for the end of the one before, and until that was said',
  async (t) => {
    const host = running()
      .told({ ...prepare, once: true, at: fence(10) })
      .attests()
    t.same(runs(host), [])
    ends(host, 'failed')
    t.same(runs(host), [])
    t.match(host.said.once, { fence: fence(9), state: 'failed' })
    host.looks()
    t.same(runs(host), ['run-once v2'])
    t.match(host.said.once, { fence: fence(10), state: 'running' })
  },
)

void t.test('what ended without a session is said in the next one first', async (t) => {
  const host = running()
    .told({ ...prepare, once: true, at: fence(10) })
    .attests()
  host.apply({ type: 'session-closed', session: 1 })
  ends(host, 'failed').looks()
  t.same(runs(host), [])
  host.apply({ type: 'session-opened', session: 2 })
  t.same(runs(host), [])
  t.match(host.said.once, { fence: fence(9), state: 'failed' })
  t.same(runs(host.looks()), ['run-once v2'])
})

void t.test('what is not whole on the disk is not run', async (t) => {
  const host = ready().apply({ type: 'attest-due' }).attests([v2])
  host.told({ ...prepare, once: true, at: fence(9) })
  t.same(runs(host), [])
  host.stages().attests()
  t.same(runs(host), ['run-once v2'])
})

void t.test('a host that declares no run says so, and runs nothing', async (t) => {
  const host = ready(plain).told({ ...prepare, once: true, at: fence(9) })
  t.same(runs(host), [])
  t.match(host.said.once, { fence: fence(9), state: 'failed', message: /declares no such run/ })
})

void t.test('the end of another run changes nothing', async (t) => {
  const host = running()
  const { journal } = host.state
  ends(host, 'done', fence(8)).apply({ type: 'once-gone', fence: fence(9) })
  t.equal(host.state.journal, journal)
})

void t.test('clean-up spares the release that it works in', async (t) => {
  const host = running()
  host.told({ kind: 'settle', run: v1, at: fence(10) }).attests()
  const [cleans] = host.last.filter((effect) => effect.type === 'clean-up')
  t.ok(cleans?.pinned.includes(v2.tree))
})

void t.test('a run of the next release begins a new line in the journal', async (t) => {
  const host = ends(running(), 'done')
  host
    .told({ kind: 'stage', run: v1, stage: v3, at: fence(11) })
    .attests()
    .stages()
    .attests()
  host.looks().told({ kind: 'prepare', run: v1, stage: v3, once: true, at: fence(12) })
  t.same(runs(host), ['run-once v3'])
  t.match(host.said.once, { fence: fence(12), tree: v3.tree, state: 'running' })
})
