// Bad input to a real controller: tarballs, names, bodies, tokens, and everything that an agent's
// connection can get wrong. Every refusal has its code, says what is wrong and what to do, and
// nothing is lost or half done by it.

import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { errorCodes, isErrorCode, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { archive, file, gzip, zstd } from '../../support/archives.ts'
import { hostileArchives } from '../../support/hostile-archives.ts'
import { smallRelease } from '../../support/small-release.ts'
import { Fleet, place } from '../fleet/fleet.ts'
import { RawAgent } from '../fleet/raw-agent.ts'

const fleet = await Fleet.start(t, ['web-1'])
await fleet.publish('1', smallRelease('1'))
await fleet.deploy('1')

const desired = '/v1/apps/shop/environments/production/desired'

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
}

/** Checks a refusal as a whole: status, code, words, and a hint that says what to do. */
function checkRefusal(t: Test, answer: Answer, code: string, words: RegExp, name: string): void {
  const { status, body } = answer
  t.equal(body['code'], code, `${name}: ${String(body['message'])}`)
  t.match(body['message'], words, `${name}: words`)
  t.match(body['hint'], /^[A-Z`].{10,}/s, `${name}: hint`)
  if (isErrorCode(code)) t.equal(status, errorCodes[code].status, `${name}: status`)
}

/** Publishes as any client may. */
async function put(path: string, bytes: Buffer): Promise<Answer> {
  const response = await fetch(`${fleet.url}${path}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${fleet.token}`, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(bytes),
  })
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

/** Everything below the data directory but the database, which writes when it likes. */
function stored(): string[] {
  return pathsBelow(fleet.data, '')
    .filter((path) => !path.startsWith('lockstep.sqlite'))
    .sort()
}

/** A directory may go while it is being looked through. */
function pathsBelow(root: string, directory: string): string[] {
  try {
    return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
      const path = join(directory, entry.name)
      return entry.isDirectory() ? [path, ...pathsBelow(root, path)] : [path]
    })
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error
    return []
  }
}

void t.test('tarballs that are no releases leave nothing behind', async (t) => {
  const before = stored()
  const zeros = gzip(archive(file('package/zeros', Buffer.alloc(96 * 1024 * 1024))))
  const bombs = { 'a bomb': { bytes: zeros, code: 'archive-too-large', words: /./, strip: 0 } }
  const cases = Object.entries({ ...hostileArchives, ...bombs })
  for (const [name, { bytes, code, words, strip }] of cases) {
    const query = strip === undefined || strip === 0 ? '' : `?strip=${strip}`
    const answer = await put(`/v1/apps/shop/releases/bad${query}`, bytes)
    checkRefusal(t, answer, code, words, name)
  }
  t.same(stored(), before)
  const { items } = await fleet.client.releases('shop')
  t.same(
    items.map(({ version }) => version),
    ['1'],
  )
  t.comment(`${cases.length} tarballs refused`)
})

void t.test('an upload that breaks off leaves nothing behind', async (t) => {
  const before = stored()
  const bytes = smallRelease('2')
  const { port } = new URL(fleet.url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(
    [
      'PUT /v1/apps/shop/releases/2?strip=1 HTTP/1.1',
      'host: localhost',
      `authorization: Bearer ${fleet.token}`,
      'content-type: application/octet-stream',
      `content-length: ${bytes.length}`,
      '',
      '',
    ].join('\r\n'),
  )
  await new Promise<void>((resolve) => {
    socket.write(bytes.subarray(0, bytes.length - 10), () => resolve())
  })
  // What is being published shows as soon as its first bytes were read.
  await fleet.until('it is being published', async () => {
    await fleet.request('GET', '/healthz')
    return stored().length > before.length || undefined
  })
  socket.destroy()
  await fleet.until('it is gone again', async () => {
    await fleet.request('GET', '/healthz')
    return stored().length === before.length || undefined
  })
  t.same(stored(), before)
})

void t.test('a version never changes', async (t) => {
  const same = await put('/v1/apps/shop/releases/1?strip=1', smallRelease('1', zstd))
  t.equal(same.status, 200, 'the same tree, otherwise compressed, is the same release')
  const other = await put('/v1/apps/shop/releases/1?strip=1', smallRelease('1b'))
  checkRefusal(
    t,
    other,
    'version-exists',
    /shop 1 was published before with other/,
    'other content',
  )
})

void t.test('names and bodies that are wrong change nothing', async (t) => {
  const before = await fleet.environment()
  const put = (path: string, body: unknown) => fleet.request('PUT', path, { body })
  const get = (path: string) => fleet.request('GET', path)
  const at = (app: string, environment: string) =>
    `/v1/apps/${app}/environments/${environment}/desired`
  const id = '0'.repeat(26)
  const cases: [name: string, answer: Promise<Answer>, code: string, words: RegExp][] = [
    ['unknown app', put(at('shoop', 'production'), { version: '1' }), 'unknown-app', /shoop/],
    ['unknown version', put(desired, { version: '9' }), 'unknown-version', /9/],
    [
      'unknown environment',
      put(at('shop', 'prod'), { version: '1' }),
      'unknown-environment',
      /prod/,
    ],
    ['unknown view', get('/v1/apps/shop/environments/prod'), 'unknown-environment', /prod/],
    ['unknown rollout', get('/v1/rollouts/nope'), 'unknown-rollout', /nope/],
    ['unknown host', fleet.request('DELETE', `/v1/hosts/${id}`), 'unknown-host', /0000/],
    ['unknown tree', get(`/v1/trees/${'0'.repeat(64)}/pack`), 'unknown-tree', /0000/],
    ['unknown address', get('/v1/nothing'), 'not-found', /\/v1\/nothing/],
    ['a bad app', put(at('Shop!', 'production'), { version: '1' }), 'bad-request', /app/],
    ['a bad version', put(desired, { version: '../1' }), 'bad-request', /version/],
    ['no version', put(desired, {}), 'bad-request', /version/],
    ['an unknown member', put(desired, { version: '1', requires: '3' }), 'bad-request', /./],
    ['a bad policy', put(desired, { version: '1', require: '0' }), 'bad-request', /require/],
    ['a short wait', put(desired, { version: '1', waitMs: 1 }), 'bad-request', /waitMs/],
    ['no object', put(desired, [1]), 'bad-request', /./],
    ['nothing', put(desired, null), 'bad-request', /./],
    ['a large body', put(desired, { version: 'x'.repeat(limits.bodyBytesMax) }), 'too-large', /./],
    ['a bad tree', get('/v1/trees/../pack'), 'not-found', /./],
    ['no such cancel', fleet.request('POST', '/v1/rollouts/nope/cancel'), 'unknown-rollout', /./],
  ]
  for (const [name, answer, code, words] of cases) {
    checkRefusal(t, await answer, code, words, name)
  }
  const after = await fleet.environment()
  t.same([after.fence, after.desired], [before.fence, before.desired])
})

void t.test('without a good token nothing is shown', async (t) => {
  const { client } = fleet
  const revoked = await client.createToken({
    kind: 'api',
    grants: [{ role: 'admin', app: '*', environment: '*' }],
  })
  await client.revokeToken(revoked.view.id)
  const join = await client.createToken({ kind: 'join', apps: [place] })
  const tokens: [name: string, token: string | null][] = [
    ['none', null],
    ['nonsense', 'let me in'],
    ['unknown', `${fleet.token.slice(0, -4)}AAAA`],
    ['revoked', revoked.token],
    ['a join token', join.token],
    ['very long', 'x'.repeat(5000)],
  ]
  for (const [name, token] of tokens) {
    for (const [method, path] of [
      ['GET', '/v1/hosts'],
      ['GET', '/v1/events'],
      ['PUT', desired],
      ['POST', '/v1/tokens'],
      ['GET', `/v1/trees/${'0'.repeat(64)}/pack`],
    ] as const) {
      const body = method === 'GET' ? {} : { body: { version: '1' } }
      const answer = await fleet.request(method, path, { token, ...body })
      checkRefusal(t, answer, 'unauthorised', /token/, `${name}: ${method} ${path}`)
    }
  }
  t.equal((await fleet.request('GET', '/healthz', { token: null })).status, 200)
})

void t.test('only a good join token and a good signature enrol a host', async (t) => {
  const { client } = fleet
  const join = await client.createToken({ kind: 'join', apps: [place] })
  const elsewhere = { app: 'shop', environment: 'staging' }
  const other = await client.createToken({ kind: 'join', apps: [elsewhere] })
  const agent = new RawAgent(fleet, 'raw-1')
  const stranger = new RawAgent(fleet, 'raw-1')
  const cases: [name: string, answer: Promise<Answer>, code: string][] = [
    ['an unknown token', agent.enrol(`${join.token.slice(0, -4)}AAAA`), 'bad-join-token'],
    ['no token at all', agent.enrol('let me in'), 'bad-join-token'],
    ['an API token', agent.enrol(fleet.token), 'bad-join-token'],
    ['a token for elsewhere', agent.enrol(other.token), 'join-not-allowed'],
    ['another key', agent.enrol(join.token, { publicKey: stranger.publicKey }), 'bad-signature'],
    ['another name', agent.enrol(join.token, { name: 'raw-2' }), 'bad-signature'],
    ['no curve point', agent.enrol(join.token, { publicKey: '_'.repeat(43) }), 'bad-signature'],
    ['a bad name', agent.enrol(join.token, { name: '-' }), 'bad-request'],
    ['no apps', agent.enrol(join.token, { apps: [] }), 'bad-request'],
  ]
  for (const [name, answer, code] of cases) checkRefusal(t, await answer, code, /./, name)
  const taken = new RawAgent(fleet, 'web-1')
  checkRefusal(t, await taken.enrol(join.token), 'name-taken', /web-1/, 'a name that is taken')

  const usesLeft = async () =>
    (await client.tokens()).find(({ id }) => id === join.view.id)?.usesLeft ?? 0
  t.equal(await usesLeft(), 1, 'no refusal has used the token up')
  t.equal((await agent.enrol(join.token)).status, 201)
  t.equal((await agent.enrol(join.token)).status, 201, 'a lost answer is given again')
  t.equal(await usesLeft(), 0)
  const late = await new RawAgent(fleet, 'raw-2').enrol(join.token)
  checkRefusal(t, late, 'bad-join-token', /./, 'a token that is used up')
  await client.removeHost(agent.id)
})

void t.test('a connection that breaks the protocol is refused by name', async (t) => {
  const agent = new RawAgent(fleet, 'raw-3')
  await agent.enrol(await fleet.joinToken())
  const hello = {
    type: 'hello',
    protocol: 1,
    agentVersion: '0.0.1',
    instance: '0'.repeat(32),
    apps: [place],
    labels: {},
  }
  const elsewhere = [{ app: 'other', environment: 'production' }]
  const observed = { ...place, type: 'observed', seq: 1 }
  const say = (...messages: unknown[]) => agent.say(...messages.map((m) => JSON.stringify(m)))
  // One after another: of one host only a few may arrive at a time.
  const cases: [name: string, answer: () => ReturnType<typeof say>, code: string, words: RegExp][] =
    [
      ['no JSON', () => agent.say('{"type":'), 'bad-message', /not JSON/],
      ['no object', () => say('hello'), 'bad-message', /type/],
      ['no type', () => say({ protocol: 1 }), 'bad-message', /type/],
      ['an unknown type', () => say({ type: 'constructor' }), 'bad-message', /constructor/],
      ['a binary message', () => agent.say(Buffer.from('{}')), 'bad-message', /text/],
      ['a member too many', () => say({ ...hello, admin: true }), 'bad-message', /hello/],
      ['a member too few', () => say({ ...hello, apps: undefined }), 'bad-message', /apps/],
      ['a wrong member', () => say({ ...hello, instance: 'x' }), 'bad-message', /instance/],
      [
        'an endless number',
        () => agent.say('{"type":"clock","sentAt":1e999}'),
        'bad-message',
        /sentAt/,
      ],
      ['another protocol', () => say({ ...hello, protocol: 2 }), 'protocol-version', /protocol 2/],
      ['an app of others', () => say({ ...hello, apps: elsewhere }), 'join-not-allowed', /other/],
      ['a second hello', () => say(hello, hello), 'bad-message', /second hello/],
      ['the clock before hello', () => say({ type: 'clock', sentAt: 1 }), 'bad-message', /hello/],
      ['half a report', () => say(hello, observed), 'bad-message', /observed/],
      [
        'what only goes down',
        () => say(hello, { type: 'welcome', contentToken: 'x' }),
        'bad-message',
        /./,
      ],
    ]
  for (const [name, answer, code, words] of cases) {
    const { code: closed, messages } = await answer()
    t.equal(closed, 4400, `${name}: close code`)
    const refused = messages.at(-1) ?? {}
    t.match(refused, { type: 'refused', code, message: words }, name)
    t.match(refused['hint'], /^[A-Z`].{10,}/s, `${name}: hint`)
  }
  const large = await say({ ...hello, agentVersion: 'x'.repeat(limits.messageBytesMax) })
  t.equal(large.code, 1009, 'a message over the limit is not even read (RFC 6455, 7.4.1)')
  await fleet.client.removeHost(agent.id)
})

void t.test('an upgrade that is not signed freshly by an enrolled key is refused', async (t) => {
  const agent = new RawAgent(fleet, 'raw-4')
  const stranger = new RawAgent(fleet, 'raw-5')
  await agent.enrol(await fleet.joinToken())
  const used = await agent.authorization()
  const forged = `${used.slice(0, -6)}AAAAAA`
  const path = '/v1/agent'
  const cases: [name: string, answer: Answer, code: string][] = [
    ['no authorization', await agent.refused(path, null), 'unauthorised'],
    ['a bearer token', await agent.refused(path, `Bearer ${fleet.token}`), 'unauthorised'],
    ['a forged signature', await agent.refused(path, forged), 'bad-signature'],
    ['a nonce used before', await agent.refused(path, used), 'bad-signature'],
    ['a stranger', await stranger.refused(path, await stranger.authorization()), 'unknown-host'],
    ['another address', await agent.refused('/v1/hosts', await agent.authorization()), 'not-found'],
  ]
  for (const [name, answer, code] of cases) checkRefusal(t, answer, code, /./, name)
  await fleet.client.removeHost(agent.id)
})

void t.test('after all of that it deploys as before', async (t) => {
  await fleet.publish('2', smallRelease('2'))
  t.equal((await fleet.deploy('2')).phase, 'committed')
  const words = fleet.controller.lines.filter(({ level }) => level >= 50)
  t.same(words, [], 'and nothing of it was an error of the controller')
})
