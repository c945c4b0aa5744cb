// What a host promises, and how it comes to keep it: staged, attested, reloaded, retried
// (ARCHITECTURE.md, "Ready" and "Attest").

import t from 'tap'
import { failure, Host, linkTo, v1, v2, v3 } from './host.ts'

function staging(): Host {
  return Host.running().told({ kind: 'stage', run: v1, stage: v2 }).attests()
}

void t.test('ready promises two trees, both found whole under this fence', async (t) => {
  const host = Host.running().told({ kind: 'stage', run: v1, stage: v2 })
  t.same(host.does, ['stage v2', 'attest v1', 'report'])
  host.stages()
  t.equal(host.said.ready, null)
  host.attests()
  t.same(host.does, ['attest v2'])
  host.attests()
  t.same(host.said.ready, { target: v2.tree, fallback: v1.tree })
  t.equal(host.said.phase, 'ready')
})

void t.test('a new fence looks at the trees anew before it promises', async (t) => {
  const host = staging().stages().attests()
  host.told({ kind: 'stage', run: v1, stage: v2 })
  t.same(host.does, ['attest v1+v2', 'report'])
  t.equal(host.said.ready, null)
  host.attests()
  t.not(host.said.ready, null)
})

void t.test('a fallback that has drifted is no promise, and is repaired', async (t) => {
  const host = staging().stages()
  host.attests()
  host.apply({ type: 'attest-due' }).attests([v1])
  t.equal(host.said.ready, null)
  t.equal(host.said.failure?.code, 'tree-drifted')
  t.ok(host.does.includes('stage v1'))
})

void t.test('a target that has drifted is staged again', async (t) => {
  const host = staging().stages().attests()
  host.apply({ type: 'attest-due' }).attests([v2])
  t.equal(host.said.ready, null)
  t.ok(host.does.includes('stage v2'))
  t.equal(host.said.failure, null)
})

void t.test('away from the fallback nobody is ready, and the host goes back to it', async (t) => {
  const host = staging().stages().attests()
  host.finds({ kind: 'foreign', link: 'elsewhere' })
  t.equal(host.said.ready, null)
  t.ok(host.does.includes('swap v1'))
})

void t.test('a host that joins while staging stages and runs the fallback first', async (t) => {
  const host = Host.fresh().told({ kind: 'stage', run: v1, stage: v2 })
  t.ok(host.does.includes('stage v1'))
  host.stages()
  t.ok(host.does.includes('stage v2'))
  host.attests()
  t.ok(host.does.includes('swap v1'))
  t.equal(host.said.ready, null)
  host.swaps().reloads().attests()
  t.equal(host.said.ready, null)
  host.stages().attests()
  t.same(host.said.ready, { target: v2.tree, fallback: v1.tree })
})

void t.test('a drifted or dangling link is replaced, a real directory never', async (t) => {
  for (const link of ['elsewhere', 'versions/gone']) {
    const host = Host.running().finds({ kind: 'foreign', link })
    t.ok(host.does.includes('swap v1'), link)
  }
  const host = Host.running().finds({ kind: 'directory' })
  t.notOk(host.does.some((what) => what.startsWith('swap')))
  t.equal(host.said.failure?.code, 'current-is-directory')
  host.told({ kind: 'stage', run: v1, stage: v2 })
  t.notOk(host.does.some((what) => what.startsWith('stage')))
  t.equal(host.said.phase, 'failed')
  host.finds({ kind: 'none' })
  t.ok(host.does.includes('stage v2'))
})

void t.test('a directory is found before the barrier: that host is not ready', async (t) => {
  const host = staging().stages().attests().finds({ kind: 'directory' })
  t.equal(host.said.ready, null)
})

void t.test(
  'healthy only after the reload steps and a look at the tree after the swap',
  async (t) => {
    const host = staging().stages().attests().told({ kind: 'activate', run: v2, fallback: v1 })
    host.swaps()
    t.equal(host.said.phase, 'activating')
    t.same(host.does, ['reload', 'report'])
    host.reloads()
    t.equal(host.said.phase, 'activating')
    t.same(host.does, ['attest v2'])
    host.attests()
    t.equal(host.said.phase, 'healthy')
  },
)

void t.test('a failed activation of a counted host is final until it hears more', async (t) => {
  const host = staging().stages().attests().told({ kind: 'activate', run: v2, fallback: v1 })
  const at = host.state.journal.fence
  if (at === null) throw new Error('nothing was told')
  host.apply({
    type: 'swap-ended',
    fence: at,
    outcome: { kind: 'failed', failure },
    disk: host.disk,
  })
  t.equal(host.said.phase, 'failed')
  t.same(host.said.failure, failure)
  host.apply({ type: 'retry-due' }).finds(linkTo(v1))
  t.notOk(host.does.some((what) => what.startsWith('swap')))
  host.told({ kind: 'roll-back', run: v1 })
  t.equal(host.said.failure, null)
})

void t.test('any other failed activation is tried again, later each time', async (t) => {
  const host = staging().stages().attests().told({ kind: 'settle', run: v2 })
  const at = host.state.journal.fence
  if (at === null) throw new Error('nothing was told')
  for (const attempt of [0, 1, 2]) {
    host.apply({
      type: 'swap-ended',
      fence: at,
      outcome: { kind: 'failed', failure },
      disk: host.disk,
    })
    t.ok(host.does.includes(`retry-later ${attempt}`))
    t.equal(host.said.phase, 'failed')
    host.apply({ type: 'retry-due' })
    t.ok(host.does.includes('swap v2'))
  }
})

void t.test('a failed reload under a committed release is tried again', async (t) => {
  const host = staging().stages().attests().told({ kind: 'settle', run: v2 }).swaps()
  const at = host.state.journal.fence
  if (at === null) throw new Error('nothing was told')
  host.apply({ type: 'reload-ended', fence: at, outcome: { kind: 'failed', failure } })
  t.ok(host.does.includes('retry-later 0'))
  host.apply({ type: 'retry-due' }).attests()
  t.ok(host.does.includes('reload'))
})

void t.test('a failed stage and a failed swap wait each for itself', async (t) => {
  const host = Host.fresh().told({ kind: 'stage', run: v1, stage: v2 }).stages().attests()
  const at = host.state.journal.fence
  if (at === null) throw new Error('nothing was told')
  host.apply({
    type: 'swap-ended',
    fence: at,
    outcome: { kind: 'failed', failure },
    disk: host.disk,
  })
  t.same(host.does, ['retry-later 0', 'report'])
  host.apply({
    type: 'stage-ended',
    release: v2,
    outcome: { kind: 'failed', failure },
    disk: host.disk,
  })
  t.same(host.does, ['retry-later 0'])
  host.apply({ type: 'retry-due' })
  t.same(host.does, ['swap v1', 'stage v2', 'report'])
})

void t.test(
  'a stage that nobody wants any more is cancelled, and its end starts the next',
  async (t) => {
    const host = staging().told({ kind: 'stage', run: v1, stage: v3 })
    t.ok(host.does.includes('cancel-stage'))
    host.apply({
      type: 'stage-ended',
      release: v2,
      outcome: { kind: 'failed', failure },
      disk: host.disk,
    })
    t.ok(host.does.includes('stage v3'))
    t.equal(host.said.failure, null)
  },
)

void t.test('a release that is staged for two decisions in a row is not begun anew', async (t) => {
  const host = staging().told({ kind: 'stage', run: v1, stage: v2 })
  t.notOk(host.does.includes('cancel-stage'))
})

void t.test('a host that comes back while its controller is away repeats its reload', async (t) => {
  const host = staging().stages().attests().told({ kind: 'activate', run: v2, fallback: v1 })
  host.disk = { ...host.disk, current: linkTo(v2) }
  const again = host.restart()
  t.same(again.does, ['reload'])
  again.reloads()
  t.equal(again.state.journal.reloadDue, false)
  t.same(again.does, ['attest v2'])
  t.same(again.restart().does, ['attest v2'])
})

void t.test('a failed stage of the next release takes no host out of service', async (t) => {
  const host = staging()
  host.apply({
    type: 'stage-ended',
    release: v2,
    outcome: { kind: 'failed', failure },
    disk: host.disk,
  })
  t.equal(host.said.phase, 'failed')
  t.equal(host.said.serving, true)
  host.apply({ type: 'retry-due' })
  t.equal(host.said.serving, true)
})

void t.test(
  'service ends with what the host no longer attests, and begins again with it',
  async (t) => {
    const host = Host.running().apply({ type: 'attest-due' }).attests([v1])
    t.ok(host.does.includes('serve no more'))
    host.stages().attests()
    t.ok(host.does.includes('serve'))
  },
)

void t.test('service outlasts a swap, a new fence and a restart', async (t) => {
  const host = staging().stages().attests()
  host.told({ kind: 'activate', run: v2, fallback: v1 })
  t.equal(host.said.serving, true)
  host.swaps()
  t.equal(host.said.serving, true)
  host.reloads().attests()
  t.equal(host.restart().said.serving, true)
})

void t.test('an excluded host holds what it runs, and goes on serving it', async (t) => {
  const host = staging().told({ kind: 'stage', hold: true })
  t.ok(host.does.includes('cancel-stage'))
  t.equal(host.said.standing, 'held')
  t.equal(host.said.phase, 'idle')
  t.equal(host.said.serving, true)
  host.finds({ kind: 'foreign', link: 'elsewhere' })
  t.notOk(host.does.some((what) => what.startsWith('swap')))
  t.equal(host.said.serving, false)
})

void t.test(
  'clean-up comes once per fence, spares what is needed, and never before the end',
  async (t) => {
    const host = staging().stages().attests()
    const cleans = () => host.last.find((effect) => effect.type === 'clean-up')
    host.told({ kind: 'activate', run: v2, fallback: v1 })
    host.swaps().reloads().attests()
    t.equal(cleans(), undefined)
    host.told({ kind: 'settle', run: v2 }).attests()
    t.same(cleans()?.pinned, [v2.tree, v2.tree, v2.tree])
    host.apply({ type: 'attest-due' }).attests()
    t.equal(cleans(), undefined)
  },
)

void t.test('two versions of one tree are looked at each for itself', async (t) => {
  const again = { version: 'v1-again', tree: v1.tree }
  const host = Host.running().told({ kind: 'stage', run: v1, stage: again }).attests()
  host.stages()
  t.same(host.does, ['attest v1-again', 'report'])
  t.equal(host.said.ready, null)
  host.attests()
  t.same(host.said.ready, { target: v1.tree, fallback: v1.tree })
  host.apply({ type: 'attest-due' }).attests([again])
  t.equal(host.said.failure, null)
  t.ok(host.does.includes('stage v1-again'))
})
