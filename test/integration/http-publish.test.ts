// Publishing over HTTP: once a version, whatever it is called, and nothing is left of what broke off.

import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { limits } from '#shared/limits.ts'
import { archive, directory, file, gzip, zstd } from '../support/archives.ts'
import { RunningController, tarballOf } from '../support/running-controller.ts'
import { openTestServer } from '../support/test-server.ts'

const path = '/v1/apps/shop/releases/1.0.0'

/** Everything that is stored of content, and what is being stored. */
function storedBy({ data }: RunningController): string[] {
  return readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('lockstep.sqlite'))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}

/** An upload that the test sends piece by piece. */
function upload(controller: RunningController, at = path, headers: Record<string, string> = {}) {
  const { hostname, port } = new URL(controller.url)
  const authorization = `Bearer ${controller.adminToken}`
  const sent = request({
    hostname,
    port,
    path: at,
    method: 'PUT',
    headers: { authorization, ...headers },
  })
  sent.on('error', () => undefined)
  sent.flushHeaders()
  return sent
}

void t.test('a tarball is published once, and is itself again however it is packed', async (t) => {
  const controller = await RunningController.start(t)
  const tar = archive(file('index.html', 'hello'))
  const put = (body: Buffer, at = path) => controller.call('PUT', at, { body })
  const first = await put(gzip(tar))
  t.equal(first.status, 201)
  t.match(first.body, { app: 'shop', version: '1.0.0', number: 1, entries: 1, treeBytes: 5 })
  const again = await put(zstd(tar))
  t.equal(again.status, 200)
  t.same(again.body, first.body, 'the release is the first one')
  const other = await put(tarballOf('other'))
  t.equal(other.status, 409)
  t.match(other.body, {
    code: 'version-exists',
    hint: /new one/,
    details: { published: /^[0-9a-f]{64}$/, uploaded: /^[0-9a-f]{64}$/ },
  })
  t.equal((await put(tar, '/v1/apps/shop/releases/2.0.0')).status, 201, 'another version may')
  const list = await controller.ask<{ items: unknown[] }>('GET', '/v1/apps/shop/releases')
  t.match(list.items, [{ version: '2.0.0' }, { version: '1.0.0' }])
  t.match(await controller.ask('GET', '/v1/apps'), {
    items: [{ app: 'shop', environments: [], releases: 2 }],
    next: null,
  })
})

void t.test('what the body is called does not matter, only what it is', async (t) => {
  const controller = await RunningController.start(t)
  const types = [
    undefined,
    'application/octet-stream',
    'application/gzip',
    'application/x-www-form-urlencoded',
    'application/json',
    'text/plain',
    'application/json; charset=utf-8',
  ]
  for (const type of types) {
    const headers = type === undefined ? undefined : { 'content-type': type }
    const call = { body: tarballOf('hello'), ...(headers === undefined ? {} : { headers }) }
    const { status } = await controller.call('PUT', path, call)
    t.ok(status === 201 || status === 200, `${type} ${status}`)
  }
})

void t.test('leading folders are stripped as asked for', async (t) => {
  const controller = await RunningController.start(t)
  const body = archive(directory('app/'), file('app/index.html', 'hello'))
  const plain = await controller.publish('1.0.0', 'hello')
  const stripped = await controller.call('PUT', '/v1/apps/shop/releases/2.0.0?strip=1', { body })
  t.match(stripped.body, { tree: plain })
  const bad = await controller.call('PUT', '/v1/apps/shop/releases/3.0.0?strip=-1', { body })
  t.match(bad, { status: 400, body: { code: 'bad-request', message: /strip/ } })
})

void t.test(
  'of uploads of one version at once, one tree wins and the others are told',
  async (t) => {
    const controller = await RunningController.start(t)
    const contents = ['a', 'b', 'c', 'a']
    const answers = await Promise.all(
      contents.map((content) => controller.call('PUT', path, { body: tarballOf(content) })),
    )
    t.equal(answers.filter(({ status }) => status === 201).length, 1)
    const { tree } = await controller.ask<{ tree: string }>('PUT', path).catch(() => ({ tree: '' }))
    t.equal(tree, '', 'no body is no tarball')
    for (const { status, body } of answers) {
      if (status === 409) t.match(body, { code: 'version-exists' })
      else t.ok(status === 200 || status === 201)
    }
  },
)

void t.test('more uploads at once than there are places are asked to come again', async (t) => {
  const controller = await RunningController.start(t)
  const slow = Array.from({ length: limits.publishesMax }, (_, at) => {
    const sent = upload(controller, `/v1/apps/shop/releases/slow-${at}`)
    sent.write(tarballOf('slow').subarray(0, 20))
    return sent
  })
  // Each holds its place as soon as its file is there.
  while (storedBy(controller).length < 1 + slow.length) await new Promise(setImmediate)
  const body = tarballOf('hello')
  const refused = await controller.call('PUT', path, { body })
  t.match(refused, { status: 503, body: { code: 'busy', hint: /again/ } })
  t.equal(refused.headers.get('retry-after'), '1')
  const responses = slow.map((sent) => once(sent, 'response'))
  for (const sent of slow) sent.end(tarballOf('slow').subarray(20))
  for (const [response] of await Promise.all(responses)) {
    t.equal(response.statusCode, 201)
    response.resume()
  }
  t.equal((await controller.call('PUT', path, { body })).status, 201)
})

void t.test('an upload that breaks off leaves nothing, and no complaint', async (t) => {
  const controller = await RunningController.start(t)
  const before = storedBy(controller)
  const body = tarballOf('x'.repeat(100_000))
  const cuts = [1, 20, Math.floor(body.length / 2), body.length - 1]
  for (const cut of cuts) {
    const sent = upload(controller, path, { 'content-length': String(body.length) })
    await new Promise((resolve) => sent.write(body.subarray(0, cut), resolve))
    while (storedBy(controller).length === before.length) await new Promise(setImmediate)
    sent.destroy()
    while (storedBy(controller).length !== before.length) await new Promise(setImmediate)
    t.same(storedBy(controller), before, `cut at ${cut}`)
  }
  t.match(await controller.call('GET', '/v1/apps/shop/releases'), { body: { items: [] } })
  t.same(controller.log, [], 'a client that leaves is no error')
  t.equal((await controller.call('PUT', path, { body })).status, 201)
})

void t.test('what is refused early is answered while the client still sends', async (t) => {
  const controller = await RunningController.start(t)
  const cases: readonly [string, Record<string, string>, number][] = [
    [path, { authorization: 'Bearer nobody' }, 401],
    ['/v1/apps/Shop/releases/1.0.0', {}, 400],
    [path, { 'content-length': String(limits.artifactBytesMax + 1) }, 422],
  ]
  for (const [at, headers, status] of cases) {
    const sent = upload(controller, at, headers)
    const answered = once(sent, 'response')
    sent.write(Buffer.alloc(100_000))
    const [response] = await answered
    t.equal(response.statusCode, status)
    sent.destroy()
  }
})

void t.test('hostile names are refused by the address already', async (t) => {
  const controller = await RunningController.start(t)
  for (const name of ['..', '.', 'a%2fb', '1..2', '-1', 'x'.repeat(65), '%00']) {
    const { status } = await controller.call('PUT', `/v1/apps/shop/releases/${name}`, {
      body: tarballOf('x'),
    })
    t.ok(status === 400 || status === 404, `${name} ${status}`)
  }
  t.match(await controller.ask('GET', '/v1/apps'), { items: [] })
})

void t.test('a client that goes silent in the middle of its JSON is let go', async (t) => {
  const { server, clock, token } = await openTestServer(t)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  const connected = once(server.server, 'connection')
  const sent = request({
    port,
    path: '/v1/tokens',
    method: 'POST',
    headers: {
      'authorization': `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': '1000',
    },
  })
  const failed = once(sent, 'error')
  const before = clock.pending.length
  sent.write('{')
  const [socket] = await connected
  while (clock.pending.length === before) await new Promise(setImmediate)
  clock.advance(limits.bodyPatienceMs - 1)
  t.equal(socket.destroyed, false)
  clock.advance(1)
  await failed
  t.equal(clock.pending.length, before)
})

void t.test('who sends on after the answer is read from for a moment, then let go', async (t) => {
  const { server, clock } = await openTestServer(t)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  // The first denied attempt of a kind begins the time in which others are only counted.
  const first = request({ port, path, method: 'PUT' }).end()
  const [denied] = await once(first, 'response')
  await once(denied.resume(), 'close')
  const before = clock.pending.length
  const sent = request({ port, path, method: 'PUT', headers: { 'content-length': '100000' } })
  sent.write(Buffer.alloc(1000))
  const [response] = await once(sent, 'response')
  t.equal(response.statusCode, 401)
  response.resume()
  while (clock.pending.length === before) await new Promise(setImmediate)
  const closed = once(sent, 'close')
  clock.advance(limits.drainMs)
  await closed
  t.equal(clock.pending.length, before)
})
