// What people decide about an environment, over HTTP: a freeze, where a release has to be committed
// first, and promotion from there. Refused before the machine is asked, and recorded as facts.

import t from 'tap'
import { digestOf, reportOf } from '../support/fleet-facts.ts'
import { baseOf, openShop } from '../support/shop-server.ts'

const production = baseOf('production')

void t.test('a frozen environment starts nothing, and says who froze it and why', async (t) => {
  const { desire, obey, call, clock } = await openShop(t, ['staging'])
  await desire({ version: '1.0.0' })
  await obey()
  await desire({ version: '2.0.0' })
  await obey()
  await desire({ version: '1.0.0' }, undefined, 'staging')
  await obey('staging')
  const at = clock.now()
  const freeze = { reason: 'the sale ends on Friday', owner: 'ana' }
  t.match(await call('POST', `${production}/freeze`, freeze), {
    status: 200,
    body: { freeze: { ...freeze, at }, requires: null, approvals: 0 },
  })
  const refused = {
    status: 409,
    body: {
      code: 'frozen',
      message: /frozen by ana at .*: the sale ends on Friday/,
      hint: /lockstep unfreeze shop --env production/,
      details: { owner: 'ana' },
    },
  }
  t.match(await desire({ version: '3.0.0' }), refused)
  t.match(await call('POST', `${production}/rollback`, {}), refused)
  t.match(await call('POST', `${production}/promote`, { from: 'staging' }), refused)
  t.match(await desire({ version: '2.0.0' }), { status: 200, body: { outcome: 'unchanged' } })
  const view = await call('GET', production)
  t.match(view.body, { freeze: { owner: 'ana' }, desired: { version: '2.0.0' } })
  t.match(await call('DELETE', `${production}/freeze`), { status: 200, body: { freeze: null } })
  t.match(await call('DELETE', `${production}/freeze`), { status: 200 }, 'once more is no mistake')
  t.match(await desire({ version: '3.0.0' }), { status: 202, body: { outcome: 'started' } })
  const facts = await call('GET', '/v1/facts?app=shop&environment=production')
  const told = facts.body.items.filter(({ type }: { type: string }) => type.includes('frozen'))
  t.match(told, [
    { type: 'frozen', at, text: /^frozen by ana \(.+\): the sale ends on Friday$/ },
    { type: 'unfrozen', text: /^unfrozen by .+; it was frozen by ana: the sale/ },
  ])
  const newest = await call('GET', '/v1/facts?environment=production&order=newest&limit=3')
  t.same(newest.body.items, facts.body.items.slice(-3).toReversed())
  const next = await call(
    'GET',
    `/v1/facts?order=newest&app=shop&limit=1&after=${newest.body.next}`,
  )
  t.ok(next.body.items[0].id < newest.body.items.at(-1).id)
})

void t.test('what is under way when it freezes goes on, is joined and is cancelled', async (t) => {
  const { desire, obey, call } = await openShop(t)
  await desire({ version: '1.0.0' })
  await obey()
  const { body } = await desire({ version: '2.0.0' }, 'key-1')
  await call('POST', `${production}/freeze`, { reason: 'audit' })
  const id = body.rollout?.id
  t.match(await desire({ version: '2.0.0' }), { status: 200, body: { rollout: { id } } })
  t.match(await desire({ version: '3.0.0' }), { status: 409 }, 'nothing takes its place')
  t.match(await call('POST', `/v1/rollouts/${id}/cancel`), {
    status: 200,
    body: { outcome: 'cancelled' },
  })
  t.match(await desire({ version: '2.0.0' }, 'key-1'), { status: 200, body: { outcome: 'open' } })
  t.match(await desire({ version: '2.0.0' }), { status: 409, body: { code: 'frozen' } })
})

void t.test('a freeze is not replaced unseen', async (t) => {
  const { call } = await openShop(t)
  const freeze = (body: object) => call('POST', `${production}/freeze`, body)
  const first = await freeze({ reason: 'audit', owner: 'ana' })
  t.match(first, { status: 200 })
  t.same(await freeze({ reason: 'audit', owner: 'ana' }), first, 'a repeat changes nothing')
  t.match(await freeze({ reason: 'holidays', owner: 'ben' }), {
    status: 409,
    body: { code: 'frozen', message: /frozen by ana already: audit/ },
  })
  for (const body of [{}, { reason: '' }, { reason: 'x'.repeat(201) }, { reason: 'a', who: 'b' }]) {
    t.match(await freeze(body), { status: 400, body: { code: 'bad-request' } })
  }
  t.match(await call('POST', `${baseOf('prodution')}/freeze`, { reason: 'audit' }), {
    status: 404,
    body: { code: 'unknown-environment' },
  })
})

void t.test(
  'promotion is refused until it was committed where it has to be, then allowed',
  async (t) => {
    const { desire, obey, fail, call } = await openShop(t, ['staging'])
    const settings = { requires: 'staging', reason: 'two pairs of eyes' }
    t.match(await call('PUT', `${production}/settings`, settings), {
      status: 200,
      body: { requires: 'staging', freeze: null },
    })
    const promote = (payload: object = { from: 'staging' }, key?: string) =>
      call('POST', `${production}/promote`, payload, key)
    t.match(await promote(), {
      status: 409,
      body: { code: 'not-promotable', message: /nothing is committed in staging yet/ },
    })
    const refused = {
      status: 409,
      body: {
        code: 'not-promotable',
        message: /shop 1\.0\.0 was never committed in staging, as production requires/,
        hint: /lockstep deploy shop 1\.0\.0 --env staging/,
        details: { requires: 'staging', tree: digestOf('1') },
      },
    }
    t.match(await desire({ version: '1.0.0' }), refused)
    await desire({ version: '1.0.0' }, undefined, 'staging')
    t.match(await desire({ version: '1.0.0' }), refused, 'while it is under way there')
    await obey('staging')
    const first = await promote({ from: 'staging' }, 'key-1')
    t.match(first, {
      status: 202,
      body: {
        outcome: 'started',
        release: { version: '1.0.0', tree: digestOf('1') },
        rollout: { target: { version: '1.0.0', tree: digestOf('1') } },
      },
    })
    await obey()
    await desire({ version: '2.0.0' }, undefined, 'staging')
    await obey('staging')
    t.match(await promote({ from: 'staging' }, 'key-1'), {
      status: 200,
      body: { outcome: 'open', release: { version: '1.0.0' }, rollout: { phase: 'committed' } },
    })
    await desire({ version: '3.0.0' }, undefined, 'staging')
    await fail('staging')
    t.match(await desire({ version: '3.0.0' }), { status: 409, body: { code: 'not-promotable' } })
    t.match(await promote(), { status: 202, body: { release: { version: '2.0.0' } } })
    await obey()
    t.match(await promote(), { status: 200, body: { outcome: 'unchanged', release: {} } })
    const back = await call('POST', `${production}/rollback`, {})
    t.match(back, { status: 202, body: { release: { version: '1.0.0' } } }, 'back at any time')
  },
)

void t.test(
  'promotion takes the policy of a deploy, and names what is wrong with it',
  async (t) => {
    const { desire, obey, call } = await openShop(t, ['staging'])
    await desire({ version: '1.0.0' }, undefined, 'staging')
    await obey('staging')
    const promote = (payload: object) => call('POST', `${production}/promote`, payload)
    t.match(await promote({ from: 'production' }), { status: 400, body: { message: /to itself/ } })
    t.match(await promote({ from: 'stagin' }), { status: 404, body: { message: /stagin/ } })
    t.match(await promote({ from: 'staging', version: '1.0.0' }), { status: 400 })
    t.match(await promote({ from: 'staging', require: '3' }), { body: { code: 'too-few-hosts' } })
    const answer = await promote({ from: 'staging', require: '1', exclude: { 'web-2': 'repair' } })
    t.match(answer.body.rollout, {
      require: '1',
      participants: [{ name: 'web-1' }],
      excluded: [{ name: 'web-2', reason: 'repair' }],
    })
  },
)

void t.test('nothing is promoted from where nobody knows what runs', async (t) => {
  const { desire, obey, call, ports } = await openShop(t, ['staging'])
  await desire({ version: '1.0.0' }, undefined, 'staging')
  await obey('staging')
  const runner = ports.environments.of({ app: 'shop', environment: 'staging' })
  const [host = ''] = Object.keys(runner?.state.record.members ?? {})
  const fence = { term: 1, epoch: 99, hash: digestOf('e') }
  await runner?.report(host, 1, reportOf({ seq: 999, fence }))
  await runner?.idle()
  t.match(await call('POST', `${production}/promote`, { from: 'staging' }), {
    status: 409,
    body: { code: 'fenced', hint: /recover shop --env staging/ },
  })
})

void t.test('environments cannot require each other round and round', async (t) => {
  const { call } = await openShop(t, ['staging'])
  const require = (environment: string, requires: string | null) =>
    call('PUT', `${baseOf(environment)}/settings`, { requires })
  t.match(await require('production', 'production'), { status: 400, body: { message: /get in/ } })
  t.match(await require('production', 'nowhere'), { status: 404, body: { message: /nowhere/ } })
  t.match(await require('production', 'staging'), { status: 200 })
  t.match(await require('staging', 'production'), {
    status: 400,
    body: { message: /staging requires production requires staging/ },
  })
  t.match(await require('production', null), { status: 200, body: { requires: null } })
  t.match(await require('staging', 'production'), { status: 200 })
  const facts = await call('GET', '/v1/facts')
  const told = facts.body.items.filter(({ type }: { type: string }) => type === 'requirement-set')
  t.match(told, [
    { text: /^requires that releases were committed in staging first, by / },
    { text: /^no longer requires that releases were committed in staging first, by / },
    { environment: 'staging' },
  ])
})
