// The health gate of what runs (docs/protocol.md, "Gate").

import t from 'tap'
import { Host, linkTo, v1, v2, v3 } from './host.ts'

const unhealthy = { code: 'unhealthy', message: 'GET /healthz: 503, three times' } as const

/** v2 was swapped to under an activate decision, its steps are done, its gate is under way. */
function gating(): Host {
  const host = Host.running('by hand').told({ kind: 'stage', run: v1, stage: v2 })
  host.attests().stages().attests().passes()
  host.told({ kind: 'activate', run: v2, fallback: v1 }).passes()
  return host.swaps().reloads().attests()
}

void t.test('active until the whole window is passed, then healthy', async (t) => {
  const host = gating()
  t.same(host.does, ['probe v2 whole', 'report'])
  t.equal(host.said.phase, 'active')
  host.passes()
  t.equal(host.said.phase, 'healthy')
})

void t.test('an unhealthy counted host has failed for good under this fence', async (t) => {
  const host = gating().refuses(unhealthy)
  t.equal(host.said.phase, 'failed')
  t.same(host.said.failure, unhealthy)
  t.same(host.does, ['tell-failure unhealthy', 'report'])
  host.apply({ type: 'retry-due' }).looks().apply({ type: 'session-opened', session: 1 })
  t.notOk(host.does.some((what) => what.startsWith('probe')))
  t.equal(host.said.phase, 'failed')
})

void t.test('the gate takes no host out of service, nor puts it in', async (t) => {
  const host = gating()
  t.equal(host.said.serving, true)
  t.equal(host.refuses(unhealthy).said.serving, true)
})

void t.test('a roll back waits for no gate of the way there', async (t) => {
  const host = gating().told({ kind: 'roll-back', run: v1 })
  t.same(host.does, ['swap v1', 'stop-trial', 'report'])
  host.disk = { ...host.disk, current: linkTo(v1) }
  host.swaps().reloads().attests()
  t.equal(host.said.phase, 'active', 'which is enough for it to be back')
  t.notOk(host.does.includes('probe v1 whole'), 'its own gate waits until the old one is gone')
  host.refuses()
  t.same(host.does, ['probe v1 whole'])
  t.equal(host.said.failure, null)
})

void t.test('anywhere else an unhealthy host is asked again, and stays active', async (t) => {
  const host = gating().passes().told({ kind: 'settle', run: v2 }).attests()
  t.same(
    host.does.filter((what) => what.startsWith('probe')),
    ['probe v2 confirm'],
  )
  host.refuses(unhealthy)
  t.ok(host.does.includes('retry-later 0'))
  t.equal(host.said.phase, 'active')
  t.same(host.said.failure, unhealthy)
  host.apply({ type: 'retry-due' })
  t.ok(host.does.includes('probe v2 whole'), 'it has to prove itself anew')
  host.refuses(unhealthy)
  t.ok(host.does.includes('retry-later 1'))
  host.apply({ type: 'session-opened', session: 1 })
  t.same(host.does, ['report'], 'a new session is no reason to ask sooner')
  host.apply({ type: 'retry-due' }).passes()
  t.equal(host.said.phase, 'healthy')
})

void t.test('a new fence alone needs to be confirmed only; a restart the whole', async (t) => {
  const host = gating().passes()
  host.told({ kind: 'activate', run: v2, fallback: v1 }).attests()
  t.equal(host.said.phase, 'active')
  t.ok(host.does.includes('probe v2 confirm'))
  host.passes()
  t.equal(host.said.phase, 'healthy')
  const again = host.restart().attests()
  t.same(again.does, ['probe v2 whole'])
})

void t.test('a window that was cut short is begun anew under the next fence', async (t) => {
  const host = gating().told({ kind: 'settle', run: v2 }).attests()
  t.equal(host.said.phase, 'active')
  host.refuses()
  t.same(host.does, ['probe v2 whole'])
})

void t.test('a swap in between needs the whole window again', async (t) => {
  const host = gating().passes().told({ kind: 'settle', run: v2 }).attests().passes()
  host.finds({ kind: 'foreign', link: 'elsewhere' }).passes().swaps().reloads().attests()
  t.ok(host.does.includes('probe v2 whole'))
})

void t.test(
  'between waves the gate is asked with every look, and its last word stands',
  async (t) => {
    const host = gating().passes()
    for (let looks = 0; looks < 3; looks += 1) {
      host.looks()
      t.same(host.does, ['probe v2 confirm', 'report'])
      t.equal(host.said.phase, 'healthy')
      host.looks()
      t.same(host.does, ['report'], 'one at a time')
      host.passes()
      t.equal(host.said.phase, 'healthy')
    }
    host.looks().refuses(unhealthy)
    t.equal(host.said.phase, 'failed')
  },
)

void t.test('what somebody else put there was never proven', async (t) => {
  const host = Host.running('by hand').told({ kind: 'stage', run: v1, stage: v2 })
  host.attests().stages().attests().passes().finds(linkTo(v2)).refuses()
  host.told({ kind: 'settle', run: v2 }).attests()
  t.same(
    host.does.filter((what) => what.startsWith('probe')),
    ['probe v2 whole'],
  )
})

void t.test('it is asked neither while a rollout stages nor after its end', async (t) => {
  const settled = Host.running('by hand')
  t.same(settled.looks().does, ['report'])
  const host = settled.told({ kind: 'stage', run: v1, stage: v2 }).attests().stages().attests()
  host.passes().looks()
  t.same(host.does, ['report'])
  t.equal(host.said.phase, 'ready')
})

void t.test('a drifted tree is not probed, and the gate goes on from its repair', async (t) => {
  const host = gating().apply({ type: 'attest-due' }).attests([v2])
  t.ok(host.does.includes('stop-trial'))
  t.equal(host.said.failure?.code, 'tree-drifted')
  host.refuses().stages().attests()
  t.ok(host.does.includes('probe v2 whole'))
  host.passes()
  t.equal(host.said.phase, 'healthy')
})

void t.test('those left behind are not asked: they run what they ran', async (t) => {
  const host = Host.running('by hand').told({ kind: 'activate', run: v1, stage: v3 })
  t.notOk(host.attests().does.some((what) => what.startsWith('probe')))
})
