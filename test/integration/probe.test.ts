// Probes against real sockets on loopback: what passes, what does not, and what never answers.

import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import t, { type Test } from 'tap'
import type { UrlTarget } from '#agent/config-health.ts'
import { probeTcp, probeUrl } from '#agent/health/probe.ts'
import { limits } from '#shared/limits.ts'

async function portOf(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Probes a site that answers as `answer` does. */
async function probeSite(t: Test, answer: RequestListener, wishes: Partial<UrlTarget> = {}) {
  const server = createServer(answer)
  t.teardown(() => server.closeAllConnections())
  const url = `http://127.0.0.1:${await portOf(t, server)}/healthz`
  const target: UrlTarget = { kind: 'url', url, host: null, statuses: null, body: null, ...wishes }
  return probeUrl(target, new AbortController().signal)
}

const answering =
  (status: number, body = '', headers = {}): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, headers).end(body)

void t.test('any good status passes, unless others are named', async (t) => {
  t.same(await probeSite(t, answering(204)), { kind: 'passed' })
  t.match(await probeSite(t, answering(500)), { kind: 'failed', reason: /healthz answered 500$/ })
  t.same(await probeSite(t, answering(401), { statuses: [200, 401] }), { kind: 'passed' })
  t.match(await probeSite(t, answering(204), { statuses: [200] }), { kind: 'failed' })
})

void t.test('a redirect is not followed, and is no success', async (t) => {
  let count = 0
  const moved: RequestListener = (request, response) => {
    count += 1
    answering(302, '', { location: '/login' })(request, response)
  }
  t.match(await probeSite(t, moved), { kind: 'failed', reason: /302 to \/login, which is not/ })
  t.equal(count, 1)
})

void t.test('the words are looked for in a bounded part of the body', async (t) => {
  const body = 'I am well'
  t.same(await probeSite(t, answering(200, 'Yes, I am well.'), { body }), { kind: 'passed' })
  t.match(await probeSite(t, answering(200, 'I am ill'), { body }), {
    reason: /answered 200 without "I am well"/,
  })
  const late = ' '.repeat(limits.probeBodyBytesMax) + body
  t.match(await probeSite(t, answering(200, late), { body }), { kind: 'failed' })
  const endless: RequestListener = (_request, response) => {
    const write = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536))) continue
    }
    response.on('drain', write)
    write()
  }
  t.match(await probeSite(t, endless, { body }), { kind: 'failed' }, 'one without an end too')
})

void t.test('the site is asked for by its name', async (t) => {
  const byName: RequestListener = (request, response) =>
    answering(request.headers.host === 'shop.example.com' ? 200 : 404)(request, response)
  t.same(await probeSite(t, byName, { host: 'shop.example.com' }), { kind: 'passed' })
  t.match(await probeSite(t, byName), { kind: 'failed' })
})

void t.test('nobody there, and somebody who says something else', async (t) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    socket.resume().end('SSH-2.0-x\r\n')
  })
  const port = await portOf(t, server)
  const { signal } = new AbortController()
  const url = `http://127.0.0.1:${port}/`
  const target: UrlTarget = { kind: 'url', url, host: null, statuses: null, body: null }
  t.match(await probeUrl(target, signal), { kind: 'failed', reason: /HPE_/ })
  const tcp = { kind: 'tcp', address: '127.0.0.1', port } as const
  t.same(await probeTcp(tcp, signal), { kind: 'passed' })
  server.close()
  await once(server, 'close')
  t.match(await probeUrl(target, signal), { kind: 'failed', reason: /ECONNREFUSED/ })
  t.match(await probeTcp(tcp, signal), { kind: 'failed', reason: /ECONNREFUSED/ })
})

void t.test('an answer that does not come is given up when that is asked for', async (t) => {
  const abort = new AbortController()
  const server = createTcpServer((socket) => {
    t.teardown(() => void socket.destroy())
    socket.on('data', () => abort.abort())
    socket.on('error', () => undefined)
  })
  const url = `http://127.0.0.1:${await portOf(t, server)}/`
  const target: UrlTarget = { kind: 'url', url, host: null, statuses: null, body: null }
  t.match(await probeUrl(target, abort.signal), { kind: 'failed', reason: /given up/ })
  const tcp = { kind: 'tcp', address: '127.0.0.1', port: 1 } as const
  t.match(await probeTcp(tcp, abort.signal), { kind: 'failed', reason: /given up/ })
})
