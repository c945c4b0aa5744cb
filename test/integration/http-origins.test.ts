// What a page of a browser can do with a controller: nothing. Its own name that leads here is refused
// where no certificate would do that, no cookie is ever given or read, no other origin reads an answer.

import { request } from 'node:http'
import { once } from 'node:events'
import t from 'tap'
import { ControllerTls } from '#controller/tls/controller-tls.ts'
import { RunningController } from '../support/running-controller.ts'
import { openTestServer, routesOf } from '../support/test-server.ts'

const foreign = [
  'evil.example',
  'evil.example:7400',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  '127.0.0.1@evil.example',
  'evil.example@127.0.0.1',
  'localhost:1@evil.example',
  '[::1].evil.example',
  '0.0.0.0',
  '10.0.0.1',
  '192.168.1.1:80',
  '[::2]',
  '[::ffff:10.0.0.1]',
  'xn--lcalhost-1oa',
  '2130706434',
  'localhost:port',
  'localhost:123456',
  'local host',
]
/** Without any token: nothing is behind them that needs keeping. */
const open = /^\/(?:healthz|readyz|openapi\.json|v1\/agent\/challenge)$/
const local = [
  'localhost',
  'localhost:7400',
  'LOCALHOST',
  '127.0.0.1:7400',
  '127.8.9.10',
  '[::1]:7400',
]

void t.test('a controller on loopback goes by the names of its machine only', async (t) => {
  const { server, token } = await openTestServer(t)
  const authorization = `Bearer ${token}`
  const routes = routesOf(server).filter(({ path }) => path !== '/v1/events')
  for (const { method, path } of routes) {
    const url = path.replaceAll(/:\w+/g, 'shop')
    const headers = { authorization, host: 'evil.example' }
    const answer = await server.inject({ method: method as 'GET', url, headers })
    t.equal(answer.statusCode, 421, `${method} ${path}`)
  }
  for (const host of foreign) {
    const answer = await server.inject({ url: '/v1/hosts', headers: { authorization, host } })
    t.equal(answer.statusCode, 421, host)
    t.match(answer.json(), { code: 'wrong-host', hint: /--behind-proxy/ })
    t.notMatch(answer.body, /evil/, 'it is not said back')
  }
  for (const host of local) {
    const answer = await server.inject({ url: '/v1/hosts', headers: { authorization, host } })
    t.equal(answer.statusCode, 200, host)
  }
  t.comment(
    `${routes.length} routes and ${foreign.length} foreign names refused, ${local.length} own`,
  )
})

void t.test('and so it does over a socket', async (t) => {
  const controller = await RunningController.start(t)
  const ask = async (host: string) => {
    const asking = request(`${controller.url}/healthz`, { headers: { host } })
    asking.end()
    const [answer] = await once(asking, 'response')
    answer.resume()
    return answer.statusCode
  }
  t.equal(await ask('rebound.example'), 421)
  t.equal(await ask('localhost'), 200)
})

void t.test('behind a proxy the name is the proxy\u2019s to judge', async (t) => {
  const { ports, clock } = await openTestServer(t)
  const where = { clock, host: '127.0.0.1', data: '', log: ports.log }
  const tls = await ControllerTls.open({ mode: 'behind-proxy' }, where)
  const { server, token } = await openTestServer(t, { tls })
  const headers = { authorization: `Bearer ${token}`, host: 'deploy.example.com' }
  t.equal((await server.inject({ url: '/v1/hosts', headers })).statusCode, 200)
})

void t.test('no answer gives a cookie, lets another origin read, or heeds either', async (t) => {
  const { server, token } = await openTestServer(t)
  const routes = routesOf(server).filter(({ path }) => path !== '/v1/events')
  for (const { method, path } of routes) {
    const url = path.replaceAll(/:\w+/g, 'shop')
    const origin = 'https://evil.example'
    for (const headers of [
      { origin, cookie: `token=${token}` },
      { origin, authorization: 'x' },
    ]) {
      const answer = await server.inject({ method: method as 'GET', url, headers })
      const given = Object.keys(answer.headers)
      t.same(
        given.filter((name) => /cookie|^access-control-/.test(name)),
        [],
        `${method} ${path}`,
      )
      if (!open.test(path)) t.not(answer.statusCode, 200, `a cookie opens nothing: ${path}`)
    }
    const asked = { origin: 'https://evil.example', 'access-control-request-method': method }
    const preflight = await server.inject({ method: 'OPTIONS', url, headers: asked })
    t.ok(preflight.statusCode >= 400, `no preflight: ${path}`)
  }
  t.comment(`${routes.length} routes`)
})
