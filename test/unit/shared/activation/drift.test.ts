// What becomes of a release whose files somebody changes (ARCHITECTURE.md, guarantee 7).

import t from 'tap'
import { Host, plain, v1, v2 } from './host.ts'

/** What was just attested has drifted since. */
function drifts(host: Host): Host {
  return host.apply({ type: 'attest-due' }).attests([v1])
}

void t.test('what has drifted is repaired at once', async (t) => {
  const host = drifts(Host.running())
  t.ok(host.does.includes('stage v1'))
  host.stages().attests()
  t.equal(host.said.phase, 'healthy')
  t.ok(drifts(host).does.includes('stage v1'), 'and so the next time')
})

void t.test('what drifts again as soon as it is repaired waits, longer each time', async (t) => {
  const host = drifts(Host.running()).stages()
  for (const attempt of [0, 1, 2]) {
    host.attests([v1])
    t.ok(host.does.includes(`retry-later ${attempt}`))
    t.notOk(host.does.includes('stage v1'))
    t.equal(host.said.failure?.code, 'tree-drifted')
    host.apply({ type: 'retry-due' })
    t.ok(host.does.includes('stage v1'))
    host.stages()
  }
  host.attests()
  t.equal(host.said.phase, 'healthy')
  drifts(host).stages().attests([v1])
  t.ok(host.does.includes('retry-later 0'), 'the count begins anew with what was found whole')
})

void t.test('a target that drifts as it is staged is not ready, and says so', async (t) => {
  const host = Host.running().told({ kind: 'stage', run: v1, stage: v2 }).attests()
  host.stages().attests([v2])
  t.same(host.does, ['retry-later 0', 'report'])
  t.match(host.said, { phase: 'failed', ready: null, failure: { code: 'tree-drifted' } })
  t.equal(host.said.serving, true)
})

void t.test('with drift = "report" what runs is reported, and left as it is', async (t) => {
  const host = drifts(Host.running('at once', { ...plain, drift: 'report' }))
  t.match(host.said, {
    phase: 'failed',
    failure: { code: 'tree-drifted', hint: /report this only/ },
  })
  t.notOk(host.does.some((what) => what.startsWith('stage')))
  t.notOk(host.does.some((what) => what.startsWith('retry')))
  host.told({ kind: 'stage', run: v1, stage: v2 })
  t.ok(host.does.includes('stage v2'))
  const ready = Host.running('at once', { ...plain, drift: 'report' })
  ready.told({ kind: 'stage', run: v1, stage: v2 }).attests().stages().attests()
  ready.apply({ type: 'attest-due' }).attests([v2])
  t.ok(ready.does.includes('stage v2'), 'what does not run yet is built anew all the same')
})

void t.test('what a host only keeps holds up no later release', async (t) => {
  const host = Host.fresh().told({ kind: 'stage', stage: v1 }).stages().attests()
  host.told({ kind: 'activate', run: v1, fallback: null }).swaps().reloads().attests()
  drifts(host).told({ kind: 'roll-back', run: null })
  host.apply({ type: 'stage-ended', release: v1, outcome: { kind: 'cancelled' }, disk: host.disk })
  t.match(host.said, { standing: 'kept', failure: null })
  host.told({ kind: 'stage', run: null, stage: v2 }).stages().attests()
  t.match(host.said.ready, { target: v2.tree, fallback: null })
})
