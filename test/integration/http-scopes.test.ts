// What a token that is not good for everything is shown, and what it may give: lists hold what its
// reader may see, and what that is not is not said to be there.

import t, { type Test } from 'tap'
import { parseJoinToken } from '#controller/store/token-store.ts'
import type { Grant } from '#shared/api/token-schemas.ts'
import { asker, shop } from '../support/fleet-facts.ts'
import { openTestServer } from '../support/test-server.ts'

const staging = { app: 'shop', environment: 'staging' }
const blog = { app: 'blog', environment: 'production' }

/** Two apps, three environments, three hosts, one of them in two. */
async function openFleet(t: Test) {
  const there = await openTestServer(t)
  const { server, ports, clock, enrol } = there
  const ids = {
    production: (await enrol('web-1')).host,
    staging: (await enrol('test-1', staging)).host,
    blog: (await enrol('blog-1', blog)).host,
  }
  const createdAt = clock.now()
  const call = async (token: string, method: string, url: string, payload?: object) => {
    const answer = await server.inject({
      method: method as 'GET',
      url,
      headers: { authorization: `Bearer ${token}` },
      ...(payload === undefined ? {} : { payload }),
    })
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() }
  }
  const tokenFor = async (...grants: Grant[]) => {
    const { text, token } = await ports.tokens.create({
      kind: 'api',
      grants,
      owner: 'somebody',
      apps: [],
      createdAt,
      expiresAt: createdAt + 1e6,
      usesMax: null,
      ...asker,
    })
    return { text, id: token.id }
  }
  return { ...there, ids, call, tokenFor }
}

const viewer = (place: { app: string; environment: string }): Grant => ({
  role: 'viewer',
  ...place,
})
const names = (body: { items: { name?: string; app?: string }[] }) =>
  body.items.map(({ name, app }) => name ?? app)

void t.test('lists hold what their reader may see', async (t) => {
  const { call, tokenFor, token: admin } = await openFleet(t)
  const { text } = await tokenFor(viewer(staging))
  const hosts = await call(text, 'GET', '/v1/hosts')
  t.match(hosts.body.items, [{ name: 'test-1', apps: [staging] }])
  t.equal(hosts.body.items.length, 1)
  t.same(names((await call(text, 'GET', '/v1/hosts?app=blog')).body), [], 'a filter shows no more')
  const apps = await call(text, 'GET', '/v1/apps')
  t.same(apps.body.items, [{ app: 'shop', environments: ['staging'], releases: 0 }])
  for (const order of ['oldest', 'newest']) {
    const facts = await call(text, 'GET', `/v1/facts?order=${order}`)
    t.ok(facts.body.items.length > 0)
    for (const fact of facts.body.items) t.match(fact, staging)
    const others = await call(text, 'GET', `/v1/facts?order=${order}&environment=production`)
    t.same(others.body.items, [])
  }
  t.equal((await call(admin, 'GET', '/v1/hosts')).body.items.length, 3)
  t.equal((await call(admin, 'GET', '/v1/apps')).body.items.length, 2)
})

void t.test('a reader of an environment everywhere sees it in every app', async (t) => {
  const { call, tokenFor } = await openFleet(t)
  const { text } = await tokenFor(viewer({ app: '*', environment: 'production' }))
  t.same(names((await call(text, 'GET', '/v1/hosts')).body), ['blog-1', 'web-1'])
  t.same((await call(text, 'GET', '/v1/apps')).body.items, [
    { app: 'blog', environments: ['production'], releases: 0 },
    { app: 'shop', environments: ['production'], releases: 0 },
  ])
})

void t.test('of a host that serves elsewhere too, only what may be seen is shown', async (t) => {
  const { call, tokenFor, ports, clock, ids } = await openFleet(t)
  const { publicKey, name } = (await ports.hosts.get(ids.production)) ?? { publicKey: '', name: '' }
  const join = await ports.tokens.create({
    kind: 'join',
    grants: [],
    owner: null,
    apps: [blog],
    createdAt: clock.now(),
    expiresAt: clock.now() + 1e6,
    usesMax: 1,
    ...asker,
  })
  const host = { id: ids.production, name, publicKey, apps: [blog], enrolledAt: clock.now() }
  await ports.environments.join(await ports.hosts.enrol(host, parseJoinToken(join.text)))
  const { text } = await tokenFor({ role: 'deployer', ...shop })
  const [seen] = (await call(text, 'GET', '/v1/hosts')).body.items
  t.match(seen, { name: 'web-1' })
  t.same(
    seen.apps.map(({ app }: { app: string }) => app),
    ['shop'],
  )
  const place = await call(text, 'GET', '/v1/apps/shop/environments/production')
  t.same(
    place.body.hosts[0].apps.map(({ app }: { app: string }) => app),
    ['shop'],
  )
  const path = `/v1/hosts/${ids.production}/drain`
  const drain = await call(text, 'POST', path, { reason: 'repair' })
  t.match(drain, { status: 403, body: { code: 'forbidden' } }, 'it serves blog too')
  t.notMatch(JSON.stringify(drain.body), /blog/, 'which is not said')
  const both = await tokenFor({ role: 'deployer', ...shop }, { role: 'deployer', ...blog })
  t.equal((await call(both.text, 'POST', path, { reason: 'repair' })).status, 200)
})

void t.test('what may not be seen is answered as what is not there', async (t) => {
  const { call, tokenFor, ids } = await openFleet(t)
  const { text } = await tokenFor({ role: 'admin', ...staging })
  const at = '/v1/apps/shop/environments'
  for (const [method, path, there, nowhere] of [
    ['DELETE', '/v1/hosts/NAME', ids.blog, 'x'.repeat(26)],
    ['POST', '/v1/hosts/NAME/drain', ids.blog, 'x'.repeat(26)],
    ['GET', `${at}/NAME`, 'production', 'nowhere'],
    ['PUT', `${at}/NAME/desired`, 'production', 'nowhere'],
    ['GET', `${at}/NAME/rollouts`, 'production', 'nowhere'],
    ['GET', '/v1/apps/NAME/releases', 'blog', 'none'],
    ['PUT', '/v1/apps/NAME/releases/1.0.0', 'blog', 'none'],
  ] as const) {
    const answers = []
    for (const name of [there, nowhere]) {
      const { status, body } = await call(text, method, path.replace('NAME', name))
      answers.push({ status, body: JSON.stringify(body).replaceAll(name, 'NAME') })
    }
    t.equal(answers[0]?.status, 404, `${method} ${path}`)
    t.same(answers[0], answers[1], `${method} ${path}`)
  }
})

void t.test('a promotion takes the right to read where it comes from', async (t) => {
  const { call, tokenFor } = await openFleet(t)
  const { text } = await tokenFor({ role: 'deployer', ...shop })
  const path = '/v1/apps/shop/environments/production/promote'
  for (const from of ['staging', 'nowhere']) {
    const answer = await call(text, 'POST', path, { from })
    t.match(answer, { status: 404, body: { message: `shop has no environment ${from}` } })
  }
  const both = await tokenFor({ role: 'deployer', ...shop }, viewer(staging))
  t.match(await call(both.text, 'POST', path, { from: 'staging' }), {
    body: { code: 'not-promotable' },
  })
  const admin = await tokenFor({ role: 'admin', ...shop })
  const settings = '/v1/apps/shop/environments/production/settings'
  const set = (requires: string) => call(admin.text, 'PUT', settings, { requires })
  t.match(await set('staging'), { status: 404, body: { code: 'unknown-environment' } })
})

void t.test('an admin gives, sees and revokes only what is theirs', async (t) => {
  const { call, tokenFor, token: root } = await openFleet(t)
  const { text } = await tokenFor({ role: 'admin', app: 'shop', environment: '*' })
  const make = (body: object) => call(text, 'POST', '/v1/tokens', body)
  for (const given of [
    { role: 'viewer', app: 'blog', environment: 'production' },
    { role: 'viewer', app: '*', environment: '*' },
    { role: 'viewer', app: '*', environment: 'production' },
    { role: 'admin', app: '*', environment: '*' },
  ]) {
    const mine = { role: 'viewer', app: 'shop', environment: '*' }
    for (const grants of [[given], [mine, given]]) {
      t.match(
        await make({ kind: 'api', grants }),
        { status: 403, body: { code: 'forbidden' } },
        JSON.stringify(grants),
      )
    }
  }
  t.match(await make({ kind: 'join', apps: [shop, blog] }), { status: 403 })
  t.match(await make({ kind: 'join', apps: [shop] }), { status: 201 })
  const grants = [{ role: 'deployer', app: 'shop', environment: 'production' }]
  const made = await make({ kind: 'api', grants, owner: 'anna' })
  t.match(made, { status: 201, body: { view: { grants, owner: 'anna' } } })
  const publisher = [{ role: 'publisher', app: 'shop', environment: 'production' }]
  t.match(await make({ kind: 'api', grants: publisher }), {
    status: 400,
    body: { code: 'bad-request', message: /could publish nothing/ },
  })
  const foreign = await tokenFor(viewer(blog))
  const half = await tokenFor(viewer(shop), viewer(blog))
  const list = (await call(text, 'GET', '/v1/tokens')).body.items.map(
    ({ id }: { id: string }) => id,
  )
  t.ok(list.includes(made.body.view.id))
  for (const { id } of [foreign, half]) {
    t.notOk(list.includes(id))
    t.match(await call(text, 'DELETE', `/v1/tokens/${id}`), { status: 404 })
  }
  t.equal((await call(foreign.text, 'GET', '/v1/apps')).status, 200, 'it is still good')
  t.equal((await call(text, 'DELETE', `/v1/tokens/${made.body.view.id}`)).status, 204)
  t.equal((await call(made.body.token, 'GET', '/v1/apps')).status, 401)
  t.ok((await call(root, 'GET', '/v1/tokens')).body.items.length > list.length)
})

void t.test('everybody is told who they are', async (t) => {
  const { call, tokenFor, token } = await openFleet(t)
  const grants = [viewer(shop), { role: 'deployer', ...staging } as const]
  const { text, id } = await tokenFor(...grants)
  t.match(await call(text, 'GET', '/v1/whoami'), {
    status: 200,
    body: { id, owner: 'somebody', grants, expiresAt: Number },
  })
  t.match(await call(token, 'GET', '/v1/whoami'), {
    body: { owner: null, grants: [{ role: 'admin', app: '*', environment: '*' }] },
  })
})
