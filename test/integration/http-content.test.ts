// Content over real sockets: the very bytes, in ranges, unchanged when they are; and nothing stays
// open of what nobody reads any more.

import { once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import type { OpenedContent } from '#controller/content/opened-content.ts'
import { sha256Hex } from '#shared/ids.ts'
import { archive, file } from '../support/archives.ts'
import { digestOf } from '../support/fleet-facts.ts'
import { RunningController, tarballOf } from '../support/running-controller.ts'
import { openTestServer } from '../support/test-server.ts'

interface Got {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
}

async function openShop(t: Test) {
  const controller = await RunningController.start(t)
  const tree = await controller.publish('1.0.0')
  const get = async (
    path: string,
    headers: Record<string, string> = {},
    method = 'GET',
  ): Promise<Got> => {
    const authorization = `Bearer ${controller.adminToken}`
    const response = await fetch(`${controller.url}${path}`, {
      method,
      headers: { authorization, ...headers },
    })
    const bytes = Buffer.from(await response.arrayBuffer())
    return { status: response.status, headers: response.headers, bytes }
  }
  const manifest = `/v1/trees/${tree}/manifest`
  const pack = `/v1/trees/${tree}/pack`
  const artifact = '/v1/apps/shop/releases/1.0.0/artifact'
  return { controller, tree, get, manifest, pack, artifact }
}

void t.test('manifest, pack and artifact come whole, named by what they are', async (t) => {
  const { get, tree, manifest, pack, artifact } = await openShop(t)
  const text = await get(manifest)
  t.equal(sha256Hex(text.bytes), tree)
  t.match(text.bytes.toString(), /^lockstep-manifest 1\n/)
  t.match(text.headers.get('content-type'), /^text\/plain/)
  t.equal(text.headers.get('etag'), `"${tree}"`)
  const packed = await get(pack)
  t.equal(packed.headers.get('content-type'), 'application/zstd')
  t.ok(packed.bytes.length > 0)
  const published = await get(artifact)
  t.same(published.bytes, tarballOf('1.0.0'), 'the very bytes that were published')
  for (const { status, headers, bytes } of [text, packed, published]) {
    t.equal(status, 200)
    t.equal(headers.get('accept-ranges'), 'bytes')
    t.match(headers.get('etag'), /^"[^"]+"$/)
    t.match(headers.get('cache-control'), /private.*immutable/)
    t.equal(headers.get('content-length'), String(bytes.length))
  }
})

void t.test('a range is a part of the same bytes', async (t) => {
  const { get, artifact } = await openShop(t)
  const whole = (await get(artifact)).bytes
  const size = whole.length
  const cases: readonly [string, number, number][] = [
    ['bytes=0-0', 0, 0],
    ['bytes=0-', 0, size - 1],
    ['bytes=5-9', 5, 9],
    [`bytes=${size - 1}-`, size - 1, size - 1],
    [`bytes=5-${size + 100}`, 5, size - 1],
    ['bytes=-1', size - 1, size - 1],
    ['bytes=-7', size - 7, size - 1],
    [`bytes=-${size + 100}`, 0, size - 1],
    ['BYTES=1-2', 1, 2],
  ]
  for (const [range, start, end] of cases) {
    const { status, headers, bytes } = await get(artifact, { range })
    t.equal(status, 206, range)
    t.equal(headers.get('content-range'), `bytes ${start}-${end}/${size}`, range)
    t.equal(headers.get('content-length'), String(end - start + 1), range)
    t.same(bytes, whole.subarray(start, end + 1), range)
  }
})

void t.test('a range behind the end is refused with where the end is', async (t) => {
  const { get, artifact } = await openShop(t)
  const size = (await get(artifact)).bytes.length
  for (const range of [`bytes=${size}-`, `bytes=${size + 5}-${size + 9}`, 'bytes=-0']) {
    const { status, headers, bytes } = await get(artifact, { range })
    t.equal(status, 416, range)
    t.equal(headers.get('content-range'), `bytes */${size}`)
    t.match(JSON.parse(bytes.toString()), { code: 'bad-range', hint: /./ })
    t.equal(headers.get('cache-control'), null, 'no cache keeps a refusal')
    t.equal(headers.get('etag'), null)
  }
})

void t.test('what is no single range of bytes is answered whole', async (t) => {
  const { get, artifact } = await openShop(t)
  const size = (await get(artifact)).bytes.length
  for (const range of [
    'bytes=',
    'bytes=-',
    'bytes=9-5',
    'bytes=0-1,4-5',
    'lines=1-2',
    'bytes=a-b',
  ]) {
    const { status, bytes } = await get(artifact, { range })
    t.equal(status, 200, range)
    t.equal(bytes.length, size, range)
  }
})

void t.test('a range counts only for the bytes that it was begun with', async (t) => {
  const { get, artifact } = await openShop(t)
  const etag = (await get(artifact)).headers.get('etag') ?? ''
  const statusFor = async (ifRange: string) =>
    (await get(artifact, { 'range': 'bytes=5-', 'if-range': ifRange })).status
  t.equal(await statusFor(etag), 206)
  t.equal(await statusFor('"other"'), 200)
  t.equal(await statusFor(`W/${etag}`), 200, 'a weak one proves nothing')
  t.equal(await statusFor(new Date().toUTCString()), 200)
})

void t.test('what the caller has is not sent again', async (t) => {
  const { get, artifact } = await openShop(t)
  const etag = (await get(artifact)).headers.get('etag') ?? ''
  for (const named of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const { status, headers, bytes } = await get(artifact, { 'if-none-match': named })
    t.equal(status, 304, named)
    t.equal(bytes.length, 0)
    t.equal(headers.get('etag'), etag)
  }
  t.equal((await get(artifact, { 'if-none-match': '"other"' })).status, 200)
  const ranged = await get(artifact, { 'if-none-match': etag, 'range': 'bytes=1-' })
  t.equal(ranged.status, 304, 'the condition comes before the range')
})

void t.test('HEAD says what GET would, without a byte and whatever the range', async (t) => {
  const { get, manifest, pack, artifact } = await openShop(t)
  for (const path of [manifest, pack, artifact]) {
    const whole = await get(path)
    const head = await get(path, {}, 'HEAD')
    t.equal(head.status, 200)
    t.equal(head.bytes.length, 0)
    for (const name of ['etag', 'content-length', 'content-type', 'accept-ranges']) {
      t.equal(head.headers.get(name), whole.headers.get(name), `${path} ${name}`)
    }
    const ranged = await get(path, { range: 'bytes=1-2' }, 'HEAD')
    t.equal(ranged.status, 200)
    t.equal(ranged.headers.get('content-length'), whole.headers.get('content-length'))
  }
})

void t.test('a pack beyond a tree that is held has only what is lacking', async (t) => {
  const { controller, get, pack, tree } = await openShop(t)
  const both = archive(file('index.html', '1.0.0'), file('more.html', 'more'))
  const published = await controller.call('PUT', '/v1/apps/shop/releases/2.0.0', { body: both })
  const { tree: next } = published.body as { tree: string }
  const delta = await get(`/v1/trees/${next}/pack?from=${tree}`)
  t.equal(delta.status, 200)
  t.not(delta.headers.get('etag'), (await get(`/v1/trees/${next}/pack`)).headers.get('etag'))
  const same = await get(`${pack}?from=${tree}`)
  t.equal(same.status, 200)
  const unknown = await get(`${pack}?from=${digestOf('e')}`)
  t.match(JSON.parse(unknown.bytes.toString()), { code: 'unknown-tree' })
})

// ---- content whose every step the test holds in its hands --------------------------------------

class HeldContent implements OpenedContent {
  sizeBytes = 10_000_000
  etag = '"held"'
  closed = 0
  readonly whenClosed = Promise.withResolvers<void>()
  stream: Readable | null = null
  failure: Error | null = null
  readonly whenRead = Promise.withResolvers<void>()
  gate: Promise<void> | null = null

  async read(): Promise<Readable> {
    this.whenRead.resolve()
    await this.gate
    if (this.failure !== null) throw this.failure
    // Never ends by itself: only who reads it can end it.
    this.stream = new Readable({ read: () => undefined })
    this.stream.push('beginning')
    return this.stream
  }

  close(): void {
    this.closed += 1
    this.whenClosed.resolve()
  }
}

/** The server on a real socket, whose packs are in the test's hands. */
async function openHeld(t: Test) {
  const content = new HeldContent()
  const asked = Promise.withResolvers<void>()
  const made = Promise.withResolvers<OpenedContent>()
  const there = await openTestServer(t)
  there.ports.content.openPack = () => {
    asked.resolve()
    return made.promise
  }
  await there.server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = there.server.server.address() as AddressInfo
  const call = (headers: Record<string, string> = {}) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      path: `/v1/trees/${digestOf('a')}/pack`,
      headers: { authorization: `Bearer ${there.token}`, ...headers },
    })
    sent.on('error', () => undefined)
    sent.end()
    return sent
  }
  return { ...there, content, asked: asked.promise, made, call }
}

void t.test('who leaves while the pack is made keeps nothing open', async (t) => {
  const { content, asked, made, call, server } = await openHeld(t)
  const gone = once(server.server, 'connection').then(([socket]) => once(socket, 'close'))
  const sent = call()
  await asked
  sent.destroy()
  await gone
  made.resolve(content)
  await content.whenClosed.promise
  t.equal(content.closed, 1)
  t.equal(content.stream, null, 'and nothing was read')
})

void t.test('who leaves while the file is opened keeps nothing open', async (t) => {
  const { content, made, call, server } = await openHeld(t)
  const gone = once(server.server, 'connection').then(([socket]) => once(socket, 'close'))
  const gate = Promise.withResolvers<void>()
  content.gate = gate.promise
  made.resolve(content)
  const sent = call()
  await content.whenRead.promise
  sent.destroy()
  await gone
  gate.resolve()
  await content.whenClosed.promise
  await gate.promise
  const { stream } = content
  if (stream !== null && !stream.destroyed) await once(stream, 'close')
  t.ok(stream?.destroyed, 'the file is closed')
  t.equal(content.closed, 1)
})

void t.test('who leaves in the middle of the bytes keeps nothing open', async (t) => {
  const { content, made, call } = await openHeld(t)
  made.resolve(content)
  const sent = call()
  const [response] = await once(sent, 'response')
  await once(response, 'data')
  response.on('error', () => undefined)
  sent.destroy()
  await content.whenClosed.promise
  t.equal(content.closed, 1)
  const { stream } = content
  if (stream !== null && !stream.destroyed) await once(stream, 'close')
  t.ok(stream?.destroyed, 'the file is closed')
})

void t.test('who reads to the end closes it as well', async (t) => {
  const { content, made, call } = await openHeld(t)
  content.sizeBytes = 'beginning'.length
  made.resolve(content)
  const [response] = await once(call(), 'response')
  response.resume()
  content.stream?.push(null)
  await once(response, 'end')
  await content.whenClosed.promise
  t.equal(content.closed, 1)
})

void t.test('content that cannot be read is an error, and no cache keeps it', async (t) => {
  const { content, made, call } = await openHeld(t)
  content.failure = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
  made.resolve(content)
  const [response] = await once(call({ range: 'bytes=1-2' }), 'response')
  response.setEncoding('utf8')
  let body = ''
  for await (const part of response) body += part
  t.equal(response.statusCode, 500)
  t.match(JSON.parse(body), { code: 'internal' })
  for (const name of ['etag', 'cache-control', 'content-range', 'accept-ranges']) {
    t.equal(response.headers[name], undefined, name)
  }
  await content.whenClosed.promise
})

void t.test('bytes that end early end the connection, not the controller', async (t) => {
  const { content, made, call, server } = await openHeld(t)
  made.resolve(content)
  const [response] = await once(call(), 'response')
  await once(response, 'data')
  content.stream?.destroy(new Error('the disk failed'))
  await t.rejects(once(response, 'end'), /aborted/)
  t.equal((await server.inject('/healthz')).statusCode, 200)
})
