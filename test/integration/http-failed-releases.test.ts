// A release that failed on its hosts is marked where it failed, is never chosen as the way back, and
// still goes where somebody names it.

import t from 'tap'
import { digestOf, reportOf } from '../support/fleet-facts.ts'
import { baseOf, openShop } from '../support/shop-server.ts'

const base = baseOf('production')

void t.test('a release that failed is marked, and no way back leads to it', async (t) => {
  const { desire, obey, fail, call } = await openShop(t)
  for (const version of ['1.0.0', '2.0.0', '3.0.0']) {
    await desire({ version })
    await obey()
  }
  await desire({ version: '2.0.0' })
  await fail()
  const rollout = (await call('GET', base)).body.rollout
  t.match(rollout, { phase: 'rolled-back', target: { version: '2.0.0' } })
  const mark = { environment: 'production', rollout: rollout.id, reason: 'host-failed' }
  t.match((await call('GET', base)).body, {
    committed: { version: '3.0.0' },
    failed: [{ release: { version: '2.0.0', tree: digestOf('2') }, mark }],
  })
  const releases = await call('GET', '/v1/apps/shop/releases')
  t.match(releases.body.items, [{ failed: [] }, { failed: [mark] }, { failed: [] }])
  const list = await call('GET', `${base}/rollouts`)
  t.match(
    list.body.items.map((item: { targetFailed: object }) => item.targetFailed),
    [mark, null, mark, null],
    'committed once, and failed later: it counts as failed',
  )
  const back = await call('POST', `${base}/rollback`, {})
  t.match(back, { status: 202, body: { release: { version: '1.0.0' } } })
  t.equal(back.body.notes, undefined)
})

void t.test('named, it still goes, with a note; and committed, it is failed no more', async (t) => {
  const { desire, obey, fail, call } = await openShop(t)
  await desire({ version: '1.0.0' })
  await obey()
  await desire({ version: '2.0.0' })
  await fail()
  const nothing = await call('POST', `${base}/rollback`, {})
  t.match(nothing, { status: 409, body: { code: 'nothing-to-return-to', hint: /--to/ } })
  const named = await call('POST', `${base}/rollback`, { version: '2.0.0' })
  t.match(named, {
    status: 202,
    body: { notes: [/^2\.0\.0 failed in production before \(host-failed, /] },
  })
  t.equal((await call('GET', base)).body.failed.length, 1, 'while it is open')
  await call('POST', `/v1/rollouts/${named.body.rollout.id}/cancel`)
  t.equal((await call('GET', base)).body.failed.length, 1, 'a cancel says nothing of a release')
  t.match(await desire({ version: '2.0.0' }), { status: 202, body: { notes: [/failed/] } })
  await obey()
  t.same((await call('GET', base)).body.failed, [])
  t.match(await call('POST', `${base}/rollback`, {}), { body: { release: { version: '1.0.0' } } })
})

void t.test('what failed in one environment is not marked in another', async (t) => {
  const { desire, obey, fail, call } = await openShop(t, ['staging'])
  await desire({ version: '1.0.0' }, undefined, 'staging')
  await obey('staging')
  await desire({ version: '2.0.0' }, undefined, 'staging')
  await fail('staging')
  t.same((await call('GET', base)).body.failed, [])
  t.match(await desire({ version: '2.0.0' }), { status: 202, body: { notes: undefined } })
  const releases = await call('GET', '/v1/apps/shop/releases')
  t.match(releases.body.items[1], { version: '2.0.0', failed: [{ environment: 'staging' }] })
})

void t.test('what was recovered to counts as failed no more', async (t) => {
  const { desire, obey, fail, call, runner, hosts } = await openShop(t)
  await desire({ version: '1.0.0' })
  await obey()
  await desire({ version: '2.0.0' })
  await fail()
  const fence = { term: 1, epoch: 99, hash: digestOf('e') }
  await runner.report(hosts[0]?.host ?? '', 1, reportOf({ seq: 999, fence }))
  await runner.idle()
  const recovered = await call('POST', `${base}/recover`, { run: '2.0.0' })
  t.match(recovered, {
    status: 200,
    body: { environment: { committed: { version: '2.0.0' }, failed: [] } },
  })
})
