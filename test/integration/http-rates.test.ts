// Rates and limits over the HTTP server and its sockets: what is too much is refused by name, with the
// time to wait, and nobody else is harmed.

import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { CallRates } from '#controller/access/call-rates.ts'
import { parseJoinToken } from '#controller/store/token-store.ts'
import { limits } from '#shared/limits.ts'
import { asker, shop } from '../support/fleet-facts.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { openTestServer } from '../support/test-server.ts'

async function openLimited(t: Test) {
  const clock = new FakeClock()
  const rates = new CallRates(clock)
  const there = await openTestServer(t, { rates })
  const { server, ports } = there
  const get = async (url: string, token: string | null, address = '10.0.0.1') => {
    const headers = token === null ? {} : { authorization: `Bearer ${token}` }
    const answer = await server.inject({ url, headers, remoteAddress: address })
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() }
  }
  const another = async () => {
    const { text, token } = await ports.tokens.create({
      kind: 'api',
      grants: [{ role: 'viewer', app: '*', environment: '*' }],
      owner: null,
      apps: [],
      createdAt: there.clock.now(),
      expiresAt: there.clock.now() + 1e9,
      usesMax: null,
      ...asker,
    })
    return { text, id: token.id }
  }
  return { ...there, rates, ratesClock: clock, get, another }
}

void t.test('a token that is used too often waits, and the others do not', async (t) => {
  const { rates, ratesClock, get, another } = await openLimited(t)
  const [one, other] = [await another(), await another()]
  for (let call = 0; call < limits.tokenCallsBurst; call += 1) rates.ofToken(one.id)
  const refused = await get('/v1/whoami', one.text)
  t.match(refused, { status: 429, body: { code: 'too-many-requests', hint: /Wait 1 s/ } })
  t.equal(refused.headers['retry-after'], '1')
  t.equal((await get('/v1/whoami', other.text)).status, 200)
  ratesClock.advance(1000)
  t.equal((await get('/v1/whoami', one.text)).status, 200)
})

void t.test('guesses from one address end in 429, and its neighbours go on', async (t) => {
  const { get, another } = await openLimited(t)
  const { text } = await another()
  const guess = `${text.slice(0, -4)}AAAA`
  const statuses: number[] = []
  for (let call = 0; call <= limits.refusedCallsBurst; call += 1) {
    statuses.push((await get('/v1/whoami', guess)).status)
  }
  t.same([...new Set(statuses)], [401, 429])
  t.equal(statuses.indexOf(429), limits.refusedCallsBurst)
  t.equal((await get('/v1/whoami', text)).status, 200, 'a good token from the same address')
  t.equal((await get('/v1/whoami', guess, '10.0.0.2')).status, 401, 'another address')
})

void t.test('whoever floods from an address does not lock out its good tokens', async (t) => {
  const { get, rates, another, ports } = await openLimited(t)
  const [mine, fresh] = [await another(), await another()]
  t.equal((await get('/v1/whoami', mine.text)).status, 200)
  for (let call = 1; call < limits.addressCallsBurst; call += 1) rates.ofAddress('10.0.0.1')
  t.equal((await get('/v1/whoami', `${mine.text.slice(0, -4)}AAAA`)).status, 429)
  t.equal((await get('/v1/whoami', mine.text)).status, 200, 'it was good before')
  t.equal((await get('/v1/whoami', fresh.text)).status, 429, 'nobody knows it yet')
  await ports.tokens.revoke(mine.id, { ...asker, at: 0 })
  t.equal((await get('/v1/whoami', mine.text)).status, 401)
  t.equal((await get('/v1/whoami', mine.text)).status, 429, 'it is a good one no more')
})

void t.test('agents are not counted with the others at their address', async (t) => {
  const { server, rates } = await openLimited(t)
  for (let call = 0; call < limits.addressCallsBurst; call += 1) rates.ofAddress('10.0.0.1')
  const challenge = await server.inject({ url: '/v1/agent/challenge', remoteAddress: '10.0.0.1' })
  t.equal(challenge.statusCode, 200)
  const health = await server.inject({ url: '/healthz', remoteAddress: '10.0.0.1' })
  t.equal(health.statusCode, 429)
})

void t.test('one token holds only so many streams', async (t) => {
  const { ports, get, another } = await openLimited(t)
  const { text, id } = await another()
  const ends = Array.from({ length: limits.streamsPerTokenMax }, () =>
    ports.openStreams.add(id, () => undefined),
  )
  t.match(await get('/v1/events', text), { status: 429, body: { message: /streams/ } })
  ends[0]?.()
  t.doesNotThrow(() => ports.openStreams.checkRoom(id))
})

void t.test('an environment takes no more hosts than it may have', async (t) => {
  const { ports, database, clock } = await openLimited(t)
  // The rows of a full fleet, but for one host.
  await sql`
    WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL
      SELECT i + 1 FROM n WHERE i < ${limits.hostsPerEnvironmentMax})
    INSERT INTO host (id, name, public_key, enrolled_at) SELECT 'h' || i, 'h' || i, 'k', 1 FROM n`.execute(
    database.db,
  )
  await sql`
    INSERT INTO host_app SELECT id, ${shop.app}, ${shop.environment} FROM host`.execute(database.db)
  const join = async (name: string) => {
    const times = { createdAt: clock.now(), expiresAt: clock.now() + 1e6 }
    const token = { kind: 'join', grants: [], owner: null, apps: [shop], usesMax: 1 } as const
    const { text } = await ports.tokens.create({ ...token, ...times, ...asker })
    const host = { id: name, name, publicKey: 'k', apps: [shop], enrolledAt: 1 }
    return ports.hosts.enrol(host, parseJoinToken(text))
  }
  await t.resolves(join('web-1'))
  await t.rejects(join('web-2'), { code: 'environment-full', status: 409, hint: /./ })
  t.equal(await ports.hosts.get('web-2'), null)
})

async function dial(t: Test) {
  const { server } = await openTestServer(t)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  return async (text: string) => {
    const socket: Socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    let answer = ''
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part
    })
    socket.write(text)
    await once(socket, 'close')
    return answer
  }
}

void t.test('heads of requests are bounded, and the answer says so', async (t) => {
  const ask = await dial(t)
  const long = 'x'.repeat(limits.headBytesMax)
  const close = 'Connection: close\r\n\r\n'
  for (const head of [
    `GET /${long} HTTP/1.1\r\nHost: 127.0.0.1\r\n${close}`,
    `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ${long}\r\n${close}`,
  ]) {
    const answer = await ask(head)
    t.match(answer, /^HTTP\/1\.1 4(00|31) /)
    t.match(answer, /"code":"bad-request"/)
  }
  const few = await ask(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n${close}`)
  t.match(few, /^HTTP\/1\.1 200 /)
})
