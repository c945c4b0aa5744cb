// Desired releases and rollouts over HTTP: one answer for one request however often it is sent, and
// nothing half-done by one that is refused.

import t from 'tap'
import { digestOf, reportOf, shop } from '../support/fleet-facts.ts'
import { baseOf, openShop } from '../support/shop-server.ts'

const base = baseOf('production')

void t.test('a desired release starts a rollout, and asking again shows it', async (t) => {
  const { desire, call, obey } = await openShop(t)
  const first = await desire({ version: '1.0.0' })
  t.match(first, { status: 202, body: { outcome: 'started', rollout: { phase: 'staging' } } })
  const again = await desire({ version: '1.0.0' })
  t.match(again, {
    status: 200,
    body: { outcome: 'open', rollout: { id: first.body.rollout?.id } },
  })
  await obey()
  const ended = await call('GET', `/v1/rollouts/${first.body.rollout?.id}`)
  t.match(ended.body, {
    phase: 'committed',
    exitCode: 0,
    require: 'all',
    participants: [
      { name: 'web-1', counted: true, state: 'participating', phase: 'healthy', runs: '1.0.0' },
      { name: 'web-2', counted: true },
    ],
    unknown: [],
  })
  t.match(await desire({ version: '1.0.0' }), {
    status: 200,
    body: { outcome: 'unchanged', rollout: null },
  })
  const environment = await call('GET', base)
  t.match(environment.body, {
    committed: { version: '1.0.0' },
    desired: { version: '1.0.0' },
    fence: { term: 1, epoch: 3 },
    fencedBy: [],
    rollout: { phase: 'committed' },
    hosts: [{ name: 'web-1', apps: [{ runs: '1.0.0', phase: 'healthy' }] }, { name: 'web-2' }],
  })
})

void t.test('another release supersedes while staging; the committed one aborts', async (t) => {
  const { desire, obey, call } = await openShop(t)
  await desire({ version: '1.0.0' })
  await obey()
  const second = await desire({ version: '2.0.0' })
  const third = await desire({ version: '3.0.0' })
  t.match(third, {
    status: 202,
    body: { outcome: 'started', rollout: { target: { version: '3.0.0' } } },
  })
  const old = await call('GET', `/v1/rollouts/${second.body.rollout?.id}`)
  t.match(old.body, { phase: 'aborted', reason: 'superseded', exitCode: 4 })
  const back = await desire({ version: '1.0.0' })
  t.match(back, { status: 202, body: { outcome: 'returned', rollout: { phase: 'aborted' } } })
})

void t.test('a request key gives the first rollout for a day, whatever became of it', async (t) => {
  const { desire, obey, clock } = await openShop(t)
  const first = await desire({ version: '1.0.0' }, 'key-1')
  const id = first.body.rollout?.id
  t.match(await desire({ version: '1.0.0' }, 'key-1'), { status: 200, body: { rollout: { id } } })
  await obey()
  await desire({ version: '2.0.0' }, 'key-2')
  await obey()
  t.match(await desire({ version: '1.0.0' }, 'key-1'), {
    status: 200,
    body: { outcome: 'open', rollout: { id, phase: 'committed' } },
  })
  t.match(await desire({ version: '2.0.0' }, 'key-1'), {
    status: 409,
    body: { code: 'key-reused' },
  })
  clock.advance(24 * 3_600_000)
  const later = await desire({ version: '1.0.0' }, 'key-1')
  t.match(later, { status: 202, body: { outcome: 'started' } })
  t.not(later.body.rollout?.id, id)
})

void t.test('many at once with one key start one rollout', async (t) => {
  const { desire } = await openShop(t)
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => desire({ version: '1.0.0' }, 'key-1')),
  )
  t.equal(new Set(answers.map(({ body }) => body.rollout?.id)).size, 1)
  t.equal(answers.filter(({ status }) => status === 202).length, 1)
})

void t.test(
  'a way back goes to the release before, and a repeat of it goes nowhere else',
  async (t) => {
    const { desire, obey, call } = await openShop(t)
    const back = (payload: object, key?: string) => call('POST', `${base}/rollback`, payload, key)
    t.match(await back({}), { status: 409, body: { code: 'nothing-to-return-to', hint: /--to/ } })
    await desire({ version: '1.0.0' })
    await obey()
    t.match(await back({}), { status: 409, body: { code: 'nothing-to-return-to' } })
    await desire({ version: '2.0.0' })
    t.match(await back({}), { status: 409, body: { code: 'rollout-open', hint: /cancel/ } })
    await obey()
    const first = await back({}, 'key-1')
    t.match(first, { status: 202, body: { rollout: { target: { version: '1.0.0' } } } })
    const { id } = first.body.rollout
    t.match(await back({}, 'key-1'), { status: 200, body: { rollout: { id, phase: 'staging' } } })
    await obey()
    t.match(await back({}, 'key-1'), { status: 200, body: { rollout: { id, phase: 'committed' } } })
    t.match((await call('GET', base)).body, { committed: { version: '1.0.0' } })
    t.match(await back({ version: '3.0.0' }, 'key-1'), {
      status: 409,
      body: { code: 'key-reused' },
    })
    t.match(await back({ version: '9.0.0' }), { status: 404, body: { code: 'unknown-version' } })
    t.match(await back({ version: '3.0.0' }), { status: 202 })
  },
)

void t.test('cancel answers once, and then says that there is nothing', async (t) => {
  const { desire, call, obey } = await openShop(t)
  const { body } = await desire({ version: '1.0.0' })
  const cancel = () => call('POST', `/v1/rollouts/${body.rollout?.id}/cancel`)
  t.match(await cancel(), {
    status: 200,
    body: { outcome: 'cancelled', rollout: { phase: 'aborted', reason: 'cancelled' } },
  })
  t.match(await cancel(), { status: 409, body: { code: 'nothing-to-cancel' } })
  await desire({ version: '2.0.0' })
  t.match(await cancel(), { status: 409 }, 'of another rollout than the open one')
  await obey()
  t.match((await call('GET', base)).body, { committed: { version: '2.0.0' } })
})

void t.test('a request that is refused leaves no trace', async (t) => {
  const { desire, call, runner, ports } = await openShop(t)
  const before = runner.state
  const cases: readonly [object, number, string][] = [
    [{ version: '9.0.0' }, 404, 'unknown-version'],
    [{ version: '1.0.0', exclude: { 'web-9': 'no reason' } }, 404, 'unknown-host'],
    [
      { version: '1.0.0', exclude: { 'web-1': 'broken', 'web-2': 'broken' } },
      409,
      'nobody-selected',
    ],
    [{ version: '1.0.0', require: '3' }, 409, 'too-few-hosts'],
    [{ version: '1.0.0', require: '0%' }, 400, 'bad-request'],
  ]
  for (const [payload, status, code] of cases) {
    t.match(await desire(payload), { status, body: { code, hint: /./ } })
  }
  t.equal(runner.state, before)
  const mistyped = '/v1/apps/shop/environments/prodution'
  const elsewhere = await call('PUT', `${mistyped}/desired`, { version: '1.0.0' })
  t.match(elsewhere, { status: 404, body: { code: 'unknown-environment', hint: /allow/ } })
  const wrong = { version: '1.0.0', allowEmpty: true, exclude: { 'web-9': 'no reason' } }
  t.match(await call('PUT', `${mistyped}/desired`, wrong), { status: 404 })
  t.match(await call('GET', mistyped), { status: 404 }, 'no environment was made by it')
  t.equal(ports.environments.all().length, 1)
  const unknown = { version: '1.0.0', allowEmpty: true }
  t.match(await call('PUT', '/v1/apps/blog/environments/production/desired', unknown), {
    status: 404,
    body: { code: 'unknown-app' },
  })
})

void t.test('an empty environment commits at once where that is asked for', async (t) => {
  const { call } = await openShop(t)
  const staging = '/v1/apps/shop/environments/staging'
  const answer = await call('PUT', `${staging}/desired`, { version: '1.0.0', allowEmpty: true })
  t.match(answer, { status: 202, body: { outcome: 'started', rollout: { phase: 'committed' } } })
  t.match((await call('GET', staging)).body, { committed: { version: '1.0.0' }, hosts: [] })
})

void t.test('whoever is fenced is told so, and recovered', async (t) => {
  const { desire, call, runner, hosts } = await openShop(t)
  await desire({ version: '1.0.0' })
  const fence = { term: 1, epoch: 9, hash: digestOf('e') }
  await runner.report(hosts[0]?.host ?? '', 1, reportOf({ fence }))
  await runner.idle()
  t.match(await desire({ version: '2.0.0' }), {
    status: 409,
    body: { code: 'fenced', message: /web-1/, details: { hosts: ['web-1'] } },
  })
  t.match((await call('GET', base)).body, {
    fencedBy: [{ name: 'web-1', term: 1, epoch: 9, why: 'higher-fence' }],
  })
  const recover = (payload: object) => call('POST', `${base}/recover`, payload)
  t.match(await recover({ run: '9.0.0' }), { status: 404, body: { code: 'unknown-version' } })
  t.match(await recover({ run: '1.0.0' }), {
    status: 200,
    body: {
      environment: { fencedBy: [], fence: { term: 2, epoch: 1 }, committed: { version: '1.0.0' } },
    },
  })
  t.match(await recover({}), { status: 409, body: { code: 'not-fenced' } })
})

void t.test(
  'a host that joins again as it is removed does not stay behind as a ghost',
  async (t) => {
    const { call, server, ports, hosts, runner } = await openShop(t)
    const [key] = hosts
    if (key === undefined) return
    const enrol = ports.hosts.enrol.bind(ports.hosts)
    ports.hosts.enrol = async (host, token) => {
      const known = await enrol(host, token)
      t.match(await call('DELETE', `/v1/hosts/${key.host}`), { status: 204 })
      return known
    }
    const challenge = (await server.inject('/v1/agent/challenge')).json()
    const token = `lsj1.${'i'.repeat(11)}.${'s'.repeat(43)}`
    const payload = key.enrolment(token, 'web-1', challenge)
    const joined = await server.inject({ method: 'POST', url: '/v1/enrol', payload })
    t.match(joined.json(), { code: 'unknown-host' })
    await runner.idle()
    t.same(Object.keys(runner.state.record.members), [hosts[1]?.host])
  },
)

void t.test('a removed host is gone from everywhere, once', async (t) => {
  const { call, hosts, runner } = await openShop(t)
  const url = `/v1/hosts/${hosts[0]?.host}`
  const gone = await call('DELETE', url)
  t.same(gone, { status: 204, body: null })
  await runner.idle()
  t.match((await call('GET', '/v1/hosts')).body.items, [{ name: 'web-2', connected: false }])
  t.equal(Object.keys(runner.state.record.members).length, 1)
  t.match(await call('DELETE', url), { status: 404, body: { code: 'unknown-host' } })
})

void t.test('lists come in pages that fit together', async (t) => {
  const { desire, call, clock } = await openShop(t)
  for (const version of ['1.0.0', '2.0.0', '3.0.0', '1.0.0', '2.0.0']) {
    await desire({ version })
    clock.advance(1)
  }
  const collect = async (url: string, limit: number) => {
    const ids: string[] = []
    let after = ''
    for (let pages = 0; pages < 100; pages += 1) {
      const { body } = await call('GET', `${url}?limit=${limit}${after}`)
      ids.push(
        ...body.items.map((item: { id?: string; version?: string }) => item.id ?? item.version),
      )
      t.ok(body.items.length <= limit)
      if (body.next === null) return ids
      after = `&after=${body.next}`
    }
    throw new Error('the pages have no end')
  }
  for (const url of [`${base}/rollouts`, '/v1/apps/shop/releases', '/v1/facts']) {
    const all = await collect(url, 500)
    for (const limit of [1, 2, 3]) t.same(await collect(url, limit), all, `${url} by ${limit}`)
  }
  t.same(await collect('/v1/apps/shop/releases', 2), ['3.0.0', '2.0.0', '1.0.0'])
  t.match(await call('GET', '/v1/facts?limit=9999'), { status: 200 })
})

void t.test('tokens are made, shown without their secret, and revoked', async (t) => {
  const { call, server } = await openShop(t)
  const join = await call('POST', '/v1/tokens', { kind: 'join', apps: [shop], uses: 3 })
  t.match(join, { status: 201, body: { token: /^lsj1\./, view: { kind: 'join', usesLeft: 3 } } })
  const grants = [{ role: 'admin', app: '*', environment: '*' }]
  const api = await call('POST', '/v1/tokens', { kind: 'api', grants, ttlMs: 60_000 })
  t.match(api, { status: 201, body: { token: /^lsk1\./, view: { grants, usesLeft: null } } })
  const list = await call('GET', '/v1/tokens')
  t.equal(list.body.items.length, 5)
  t.notOk(JSON.stringify(list.body).includes(api.body.token.split('.')[2]))
  const headers = { authorization: `Bearer ${api.body.token}` }
  t.equal((await server.inject({ url: '/v1/hosts', headers })).statusCode, 200)
  t.equal((await call('DELETE', `/v1/tokens/${api.body.view.id}`)).status, 204)
  t.equal((await server.inject({ url: '/v1/hosts', headers })).statusCode, 401)
  t.match(await call('DELETE', `/v1/tokens/${api.body.view.id}`), { status: 404 })
})
