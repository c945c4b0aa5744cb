// Tokens at the command line: what is asked of the controller, and what people read of the answers.

import t, { type Test } from 'tap'
import type { TokenView } from '#shared/api/token-schemas.ts'
import { FakeController } from './cli-fake-controller.ts'
import { ran } from './cli-run.ts'
import { startedAt } from './cli-views.ts'

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

const token: TokenView = {
  id: 'abcdefghijk',
  kind: 'join',
  grants: [],
  owner: null,
  apps: [
    { app: 'shop', environment: 'production' },
    { app: 'blog', environment: 'staging' },
  ],
  createdAt: startedAt,
  expiresAt: startedAt + 3_600_000,
  usesLeft: 5,
  lastUsedAt: null,
}

void t.test('a token alone on standard output', async (t) => {
  const fake = await controller(t)
  fake.answer('POST /v1/tokens', { token: 'lsj1.secret', view: token }, 201)
  const pairs = ['--app', 'shop', '--env', 'production', '--app', 'blog', '--env', 'staging']
  const join = ['token', 'create', '--join', ...pairs, '--ttl', '1h', '--uses', '5']
  const { out, err } = await ran(join, { url: fake.url })
  t.equal(out, 'lsj1.secret\n')
  t.match(
    err,
    /^token abcdefghijk, good until 2026-11-23 15:03:22; its text is shown only this once\n/,
  )
  const bodies = () => fake.asked.map(({ body }) => JSON.parse(body.toString() || 'null'))
  t.same(bodies(), [{ kind: 'join', apps: token.apps, ttlMs: 3_600_000, uses: 5 }])
  await ran(['token', 'create', '--role', 'admin', '--ttl', '90d'], { url: fake.url })
  const everything = { role: 'admin', app: '*', environment: '*' }
  t.same(bodies()[1], { kind: 'api', grants: [everything], ttlMs: 7_776_000_000 })
  const json = await ran(['token', 'create', '--role', 'admin', '--json'], { url: fake.url })
  t.same(JSON.parse(json.out), { token: 'lsj1.secret', view: token })
  for (const wrong of [
    [],
    ['--join'],
    ['--join', '--role', 'admin'],
    ['--join', '--app', 'shop'],
    ['--join', ...pairs, '--app', 'x'],
    ['--role', 'admin', '--uses', '2'],
    ['--role', 'root'],
    ['--role', 'admin', '--env', 'production'],
    ['--role', 'admin', '--ttl', '1h', '--expires', '2027-01-31'],
    ['--role', 'admin', '--expires', '2020-01-31'],
    ['--role', 'admin', '--expires', 'tomorrow'],
    ['--join', '--app', '*', '--env', 'production'],
    ['--join', ...pairs, '--owner', 'me'],
    ['--role', 'admin', '--ttl', 'long'],
  ]) {
    const { exitCode } = await ran(['token', 'create', ...wrong], { url: fake.url })
    t.equal(exitCode, 2, wrong.join(' '))
  }
  t.equal(fake.asked.length, 3, 'nothing was asked for what is wrong')
})

void t.test('a token for people and CI says what it is good for', async (t) => {
  const fake = await controller(t)
  fake.answer('POST /v1/tokens', { token: 'lsk1.secret', view: token }, 201)
  const asked = async (...words: string[]) => {
    const { exitCode, out } = await ran(['token', 'create', ...words], { url: fake.url })
    t.same([exitCode, out], [0, 'lsk1.secret\n'])
    return JSON.parse(fake.asked.at(-1)?.body.toString() ?? '')
  }
  const grant = (role: string, app: string, environment: string) => ({ role, app, environment })
  t.same(await asked('--role', 'publisher', '--app', 'shop', '--owner', 'ci'), {
    kind: 'api',
    grants: [grant('publisher', 'shop', '*')],
    owner: 'ci',
  })
  const pairs = ['--app', 'shop', '--env', 'production', '--app', '*', '--env', 'staging']
  t.same(await asked('--role', 'deployer', ...pairs, '--expires', '2026-11-24'), {
    kind: 'api',
    grants: [grant('deployer', 'shop', 'production'), grant('deployer', '*', 'staging')],
    ttlMs: Date.parse('2026-11-24T23:59:59Z') - startedAt,
  })
})

void t.test('whoami says what the token is good for', async (t) => {
  const fake = await controller(t)
  const who = {
    id: 'abcdefghijk',
    owner: 'anna',
    grants: [
      { role: 'admin', app: '*', environment: '*' },
      { role: 'deployer', app: 'shop', environment: 'production' },
      { role: 'viewer', app: '*', environment: 'staging' },
      { role: 'publisher', app: 'blog', environment: '*' },
    ],
    expiresAt: startedAt,
  }
  fake.answer('GET /v1/whoami', who)
  t.equal(
    (await ran(['whoami'], { url: fake.url })).out,
    `token abcdefghijk of anna
  admin of everything
  deployer of shop in production
  viewer of every app in staging
  publisher of blog
  until 2026-11-23 14:03:22
`,
  )
  t.same(JSON.parse((await ran(['whoami', '--json'], { url: fake.url })).out), who)
})

void t.test('tokens are listed and revoked', async (t) => {
  const fake = await controller(t)
  const admin = {
    ...token,
    id: 'admin-token',
    kind: 'api' as const,
    grants: [
      { role: 'deployer' as const, app: 'shop', environment: 'qa' },
      { role: 'viewer' as const, app: 'qq', environment: '*' },
    ],
    owner: 'anna',
    apps: [],
    usesLeft: null,
    lastUsedAt: startedAt,
  }
  fake.answer('GET /v1/tokens', { items: [token, admin], next: null })
  fake.answer('DELETE /v1/tokens/abcdefghijk', undefined, 204)
  t.equal(
    (await ran(['token', 'list'], { url: fake.url })).out,
    `ID           FOR                                   OWNER  GOOD UNTIL           USES LEFT  LAST USED
abcdefghijk  join shop production, blog staging    -      2026-11-23 15:03:22  5 uses     never
admin-token  deployer of shop in qa, viewer of qq  anna   2026-11-23 15:03:22  -          2026-11-23 14:03:22
`,
  )
  t.same(await ran(['token', 'revoke', 'abcdefghijk'], { url: fake.url }), {
    exitCode: 0,
    out: 'revoked abcdefghijk\n',
    err: '',
  })
  const secret = `lsk1.abcdefghijk.${'s'.repeat(43)}`
  const wrong = await ran(['token', 'revoke', secret], { url: fake.url })
  t.match(wrong, { exitCode: 2, err: /token or private key on the command line[\s\S]*revoke it/ })
  t.notMatch(wrong.err, /sss/, 'a secret is not repeated')
  const mistyped = await ran(['token', 'revoke', 'ssssssssss.'], { url: fake.url })
  t.match(mistyped, { exitCode: 2, err: /no id of a token[\s\S]*token list/ })
  t.notMatch(mistyped.err, /sss/, 'nor is what may be one')
})
