// The stream of events over real sockets: facts once each and in order, changes as hints, and nothing
// left behind by a follower that goes.

import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { asker, shop } from '../support/fleet-facts.ts'
import { openTestServer, type TestServer } from '../support/test-server.ts'

interface SentEvent {
  readonly id: string | null
  readonly event: string
  readonly data: Record<string, unknown>
}

/** Reads a stream of events as the HTML Living Standard says, 9.2.6. */
class Follower {
  readonly request: ClientRequest
  readonly comments: string[] = []
  readonly events: SentEvent[] = []
  readonly ended: Promise<void>
  readonly #response: IncomingMessage
  readonly #waiting = new Set<() => void>()
  #text = ''

  constructor(sent: ClientRequest, response: IncomingMessage) {
    this.request = sent
    this.#response = response
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    response.setEncoding('utf8')
    response.on('data', (part: string) => this.#take(part))
    response.on('error', () => undefined)
    response.on('close', resolve)
  }

  get headers(): IncomingMessage['headers'] {
    return this.#response.headers
  }

  /** Whether the stream was ended, not cut. */
  get isComplete(): boolean {
    return this.#response.complete
  }

  async heard(events: number, comments = 0): Promise<readonly SentEvent[]> {
    while (this.events.length < events || this.comments.length < comments) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
    return this.events
  }

  #take(part: string): void {
    this.#text += part
    const blocks = this.#text.split('\n\n')
    this.#text = blocks.pop() ?? ''
    for (const block of blocks) this.#takeBlock(block.split('\n'))
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #takeBlock(lines: readonly string[]): void {
    const field = (name: string) =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null
    const data = field('data')
    if (data === null) this.comments.push(lines.join('\n'))
    else {
      this.events.push({ id: field('id'), event: field('event') ?? '', data: JSON.parse(data) })
    }
  }
}

/** A server on a real socket; its clock, and so its gathering of changes, is the test's. */
async function openServer(t: Test) {
  const stopping = new AbortController()
  const there = await openTestServer(t, { stopping: stopping.signal })
  await there.server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = there.server.server.address() as AddressInfo
  const listeners = countListeners(there)
  const dial = (query = '', headers: Record<string, string> = {}) => {
    const path = `/v1/events${query}`
    const authorization = `Bearer ${there.token}`
    const sent = request({ host: '127.0.0.1', port, path, headers: { authorization, ...headers } })
    sent.on('error', () => undefined)
    sent.end()
    return sent
  }
  return {
    ...there,
    stopping,
    listeners,
    dial,
    async follow(query = '', headers: Record<string, string> = {}) {
      const sent = dial(query, headers)
      const [response] = await once(sent, 'response')
      const follower = new Follower(sent, response)
      t.teardown(() => sent.destroy())
      await follower.heard(0, 1)
      return follower
    },
    /** Lets the gathered changes go out. */
    gather: () => there.clock.advance(50),
  }
}

function countListeners({ ports }: TestServer): { count: number } {
  const counter = { count: 0 }
  const listen = ports.announcements.listen.bind(ports.announcements)
  ports.announcements.listen = (listener) => {
    counter.count += 1
    const end = listen(listener)
    return () => {
      counter.count -= 1
      end()
    }
  }
  return counter
}

const change = { ...shop, rollout: null }

void t.test('a stream says what it is, and how soon to come back', async (t) => {
  const { follow } = await openServer(t)
  const { headers, comments } = await follow()
  t.equal(headers['content-type'], 'text/event-stream')
  t.equal(headers['cache-control'], 'no-store')
  t.match(
    headers['content-security-policy'],
    /^default-src 'none';/,
    'nor is it a page to a browser',
  )
  t.same(comments, ['retry: 1000'])
})

void t.test('a follower hears of facts as they are recorded, from now on', async (t) => {
  const { follow, enrol, gather, ports } = await openServer(t)
  await enrol('web-1')
  const follower = await follow()
  await enrol('web-2')
  ports.announcements.announce(change)
  gather()
  t.match(await follower.heard(2), [
    { id: '2', event: 'fact', data: { id: 2, type: 'host-joined', text: 'web-2 joined' } },
    { id: null, event: 'change', data: change },
  ])
})

void t.test('a follower that comes back goes on after what it has, without a gap', async (t) => {
  const { follow, enrol, gather } = await openServer(t)
  for (const name of ['web-1', 'web-2', 'web-3']) await enrol(name)
  const ids = async (lastEventId: string) => {
    const follower = await follow('', { 'last-event-id': lastEventId })
    gather()
    const last = lastEventId === '3' ? 0 : 3
    await follower.heard(last === 0 ? 0 : last - Number(lastEventId))
    return follower.events.map((event) => event.id)
  }
  t.same(await ids('1'), ['2', '3'])
  t.same(await ids('0'), ['1', '2', '3'])
  t.same(await ids('3'), [])
})

void t.test('a last id that is none is taken as none', async (t) => {
  const { follow, enrol, gather, ports } = await openServer(t)
  await enrol('web-1')
  for (const lastEventId of ['', '-5', 'x', '1e1', ' ']) {
    const follower = await follow('', { 'last-event-id': lastEventId })
    ports.announcements.announce(change)
    gather()
    t.match(await follower.heard(1), [{ event: 'change' }], JSON.stringify(lastEventId))
    follower.request.destroy()
  }
})

void t.test('changes within a moment are one event for each environment', async (t) => {
  const { follow, gather, ports } = await openServer(t)
  const follower = await follow()
  const blog = { ...change, app: 'blog' }
  for (const next of [
    change,
    blog,
    { ...change, rollout: 'r1' },
    change,
    { ...change, rollout: 'r2' },
  ])
    ports.announcements.announce(next)
  gather()
  t.same(
    (await follower.heard(2)).map((event) => event.data),
    [{ ...change, rollout: 'r2' }, blog],
  )
})

void t.test('a follower of one app, one environment or both hears of no other', async (t) => {
  const { follow, enrol, gather, ports } = await openServer(t)
  const followers = {
    both: await follow('?app=shop&environment=production'),
    app: await follow('?app=shop'),
    environment: await follow('?environment=production'),
    other: await follow('?app=blog'),
  }
  await enrol('web-1')
  const places = [
    change,
    { ...change, environment: 'staging' },
    { ...change, app: 'blog' },
    { ...change, app: 'blog', environment: 'staging' },
  ]
  for (const place of places) ports.announcements.announce(place)
  gather()
  const heardBy = async (follower: Follower, count: number) =>
    (await follower.heard(count)).map(
      ({ event, data }) => `${event} ${String(data['app'])}/${String(data['environment'])}`,
    )
  const fact = 'fact shop/production'
  t.same(await heardBy(followers.both, 2), [fact, 'change shop/production'])
  t.same(await heardBy(followers.app, 3), [fact, 'change shop/production', 'change shop/staging'])
  t.same(await heardBy(followers.environment, 3), [
    fact,
    'change shop/production',
    'change blog/production',
  ])
  t.same(await heardBy(followers.other, 2), ['change blog/production', 'change blog/staging'])
})

void t.test('a token that is revoked takes its streams with it, and no other', async (t) => {
  const { follow, server, ports, clock, token, listeners } = await openServer(t)
  const make = async () => {
    const grants = [{ role: 'viewer', app: '*', environment: '*' } as const]
    const more = { kind: 'api', owner: null, apps: [], usesMax: null, ...asker } as const
    const createdAt = clock.now()
    return ports.tokens.create({ ...more, grants, createdAt, expiresAt: createdAt + 1e6 })
  }
  const [one, other] = [await make(), await make()]
  const as = (text: string) => follow('', { authorization: `Bearer ${text}` })
  const [first, second, stays] = [await as(one.text), await as(one.text), await as(other.text)]
  t.equal(listeners.count, 3)
  await server.inject({
    method: 'DELETE',
    url: `/v1/tokens/${one.token.id}`,
    headers: { authorization: `Bearer ${token}` },
  })
  await Promise.all([first.ended, second.ended])
  t.ok(first.isComplete && second.isComplete)
  t.equal(listeners.count, 1)
  stays.request.destroy()
  await stays.ended
})

void t.test('a token that is revoked while its stream begins leaves none behind', async (t) => {
  const { dial, ports, clock, listeners } = await openServer(t)
  const createdAt = clock.now()
  const { text, token } = await ports.tokens.create({
    kind: 'api',
    grants: [{ role: 'viewer', ...shop }],
    owner: null,
    apps: [],
    createdAt,
    expiresAt: createdAt + 1e6,
    usesMax: null,
    ...asker,
  })
  const newest = ports.history.newestFact.bind(ports.history)
  ports.history.newestFact = async () => {
    await ports.tokens.revoke(token.id, { ...asker, at: createdAt })
    ports.openStreams.revoke(token.id)
    return newest()
  }
  const sent = dial('', { authorization: `Bearer ${text}` })
  const [response] = await once(sent, 'response')
  await once(response.resume(), 'close')
  t.ok(response.complete)
  t.equal(listeners.count, 0)
})

void t.test('a stream ends with its token, and says nothing after that', async (t) => {
  const { follow, gather, ports, clock, enrol, listeners } = await openServer(t)
  const createdAt = clock.now()
  const make = async (lifeMs: number) => {
    const grants = [{ role: 'viewer', app: '*', environment: '*' } as const]
    const more = { kind: 'api', owner: null, apps: [], usesMax: null, createdAt, ...asker } as const
    const { text } = await ports.tokens.create({ ...more, grants, expiresAt: createdAt + lifeMs })
    return follow('', { authorization: `Bearer ${text}` })
  }
  const quiet = await make(10_000)
  clock.advance(15_000)
  await quiet.ended
  t.ok(quiet.isComplete, 'with its next sign of life')
  const busy = await make(16_000)
  clock.advance(1000)
  await enrol('web-1')
  ports.announcements.announce(change)
  gather()
  await busy.ended
  t.same(busy.events, [])
  t.equal(listeners.count, 0)
})

void t.test('a follower is told of what it may see, and of nothing else', async (t) => {
  const { follow, gather, ports, clock, enrol } = await openServer(t)
  const createdAt = clock.now()
  const { text } = await ports.tokens.create({
    kind: 'api',
    grants: [{ role: 'viewer', ...shop }],
    owner: null,
    apps: [],
    createdAt,
    expiresAt: createdAt + 1e6,
    usesMax: null,
    ...asker,
  })
  const follower = await follow('', { authorization: `Bearer ${text}`, 'last-event-id': '0' })
  await enrol('blog-1', { app: 'blog', environment: 'production' })
  await enrol('test-1', { app: 'shop', environment: 'staging' })
  await enrol('web-1')
  for (const app of ['blog', 'shop']) {
    for (const environment of ['staging', 'production']) {
      ports.announcements.announce({ app, environment, rollout: null })
    }
  }
  gather()
  const events = await follower.heard(2)
  t.same(
    events.map(({ event }) => event),
    ['fact', 'change'],
  )
  for (const { data } of events) t.match(data, shop)
})

void t.test('more facts than fit into one page come all the same, once each', async (t) => {
  const { follow, gather, ports, clock } = await openServer(t)
  const total = 1200
  const all = Array.from({ length: total }, (_, at) => ({
    ...shop,
    id: at + 1,
    at: 1,
    type: 'host-joined',
    rollout: null,
    host: null,
    text: 'x',
  }))
  ports.history.facts = async (after, limit) => all.slice(after, after + limit)
  const follower = await follow('', { 'last-event-id': '0' })
  for (const page of [500, 1000, 1200]) {
    gather()
    await follower.heard(page)
    // The next page is asked for after this one was sent.
    while (page < total && clock.pending.length < 2) await new Promise(setImmediate)
  }
  t.same(
    follower.events.map((event) => Number(event.id)),
    all.map((fact) => fact.id),
  )
})

void t.test('facts that are slow to read are not sent twice', async (t) => {
  const { follow, gather, ports, enrol } = await openServer(t)
  const follower = await follow()
  await enrol('web-1')
  const read = ports.history.facts.bind(ports.history)
  const gate = Promise.withResolvers<void>()
  ports.history.facts = async (...query) => {
    const facts = await read(...query)
    await gate.promise
    return facts
  }
  for (let times = 0; times < 3; times += 1) {
    ports.announcements.announce(change)
    gather()
  }
  gate.resolve()
  await follower.heard(2)
  await new Promise(setImmediate)
  gather()
  await follower.heard(3)
  t.same(
    follower.events.map(({ event, id }) => [event, id]),
    [
      ['fact', '1'],
      ['change', null],
      ['change', null],
    ],
  )
})

void t.test('a quiet stream is kept alive by comments', async (t) => {
  const { follow, clock } = await openServer(t)
  const follower = await follow()
  clock.advance(15_000)
  await follower.heard(0, 2)
  clock.advance(15_000)
  await follower.heard(0, 3)
  t.same(follower.comments.slice(1), [': still here', ': still here'])
})

void t.test('a follower that leaves leaves nothing behind', async (t) => {
  const { follow, clock, listeners, ports, server } = await openServer(t)
  const gone = once(server.server, 'connection').then(([socket]) => once(socket, 'close'))
  const before = clock.pending.length
  const follower = await follow()
  ports.announcements.announce(change)
  t.equal(listeners.count, 1)
  t.ok(clock.pending.length > before)
  follower.request.destroy()
  await gone
  await new Promise(setImmediate)
  t.equal(listeners.count, 0)
  t.equal(clock.pending.length, before)
})

void t.test('one that leaves before it is answered leaves nothing behind either', async (t) => {
  const { dial, clock, listeners, ports, server } = await openServer(t)
  const gone = once(server.server, 'connection').then(([socket]) => once(socket, 'close'))
  const before = clock.pending.length
  const asked = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<number>()
  ports.history.newestFact = () => {
    asked.resolve()
    return gate.promise
  }
  const sent = dial()
  await asked.promise
  sent.destroy()
  await gone
  gate.resolve(0)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  t.equal(listeners.count, 0)
  t.equal(clock.pending.length, before)
})

void t.test(
  'a controller that stops ends its streams, in the middle of a question too',
  async (t) => {
    const { follow, clock, stopping, listeners, gather, ports, enrol } = await openServer(t)
    const before = clock.pending.length
    const quiet = await follow()
    const busy = await follow()
    await enrol('web-1')
    const gate = Promise.withResolvers<void>()
    const read = ports.history.facts.bind(ports.history)
    ports.history.facts = async (...query) => {
      await gate.promise
      return read(...query)
    }
    ports.announcements.announce(change)
    gather()
    stopping.abort()
    ports.announcements.announce(change)
    gate.resolve()
    await Promise.all([quiet.ended, busy.ended])
    gather()
    t.equal(quiet.isComplete, true)
    t.same(busy.events, [])
    t.equal(listeners.count, 0)
    t.equal(clock.pending.length, before)
  },
)

void t.test('facts that cannot be read end the stream, not the controller', async (t) => {
  const { follow, gather, ports, errors, server, listeners } = await openServer(t)
  const follower = await follow()
  ports.history.facts = () => Promise.reject(new Error('the disk failed'))
  ports.announcements.announce(change)
  gather()
  await follower.ended
  t.equal(follower.isComplete, false, 'it is cut, so that the follower comes back')
  t.match(errors, [{ err: { message: 'the disk failed' } }])
  t.equal(listeners.count, 0)
  t.equal((await server.inject('/healthz')).statusCode, 200)
})

void t.test('a follower that does not read is let go, however much there is to say', async (t) => {
  const { dial, gather, ports, server, listeners } = await openServer(t)
  const connected = once(server.server, 'connection')
  const text = 'x'.repeat(4000)
  ports.history.facts = async (after, limit) =>
    Array.from({ length: limit }, (_, at) => ({
      ...shop,
      id: after + at + 1,
      at: 1,
      type: 'host-joined',
      rollout: null,
      host: null,
      text,
    }))
  const [response] = await once(dial('', { 'last-event-id': '0' }), 'response')
  response.on('error', () => undefined)
  const [socket] = await connected
  const gone = Promise.withResolvers<void>()
  socket.once('close', gone.resolve)
  let pages = 0
  for (; !socket.destroyed; pages += 1) {
    gather()
    await new Promise(setImmediate)
  }
  await gone.promise
  t.ok(pages > 1, `${pages} pages of 2 MB`)
  t.equal(listeners.count, 0)
})

void t.test('there is no head of a stream that never ends', async (t) => {
  const { server, token } = await openServer(t)
  const headers = { authorization: `Bearer ${token}` }
  const answer = await server.inject({ method: 'HEAD', url: '/v1/events', headers })
  t.equal(answer.statusCode, 404)
})

void t.test('the same facts are there as a list, page after page', async (t) => {
  const { server, token, enrol } = await openServer(t)
  for (const name of ['web-1', 'web-2', 'web-3']) await enrol(name)
  const headers = { authorization: `Bearer ${token}` }
  const get = async (query: string) =>
    (await server.inject({ url: `/v1/facts${query}`, headers })).json()
  const first = await get('?limit=2')
  t.match(first, { items: [{ text: 'web-1 joined' }, { text: 'web-2 joined' }], next: '2' })
  t.match(await get(`?limit=2&after=${first.next}`), { items: [{ id: 3 }], next: null })
  t.same(await get('?app=blog'), { items: [], next: null })
  t.equal((await get('?environment=production')).items.length, 3)
})
