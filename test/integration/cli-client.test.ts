// What the command says when the other side is away, is something else, or answers what it must not.

import { createServer } from 'node:net'
import { Readable } from 'node:stream'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { ControllerClient } from '#cli/client/controller-client.ts'
import { exchange } from '#cli/client/http-exchange.ts'
import { limits } from '#shared/limits.ts'
import { type Answer, FakeController } from './cli-fake-controller.ts'
import { ran } from './cli-run.ts'

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

/** Says the bytes to whoever connects. */
async function speaker(t: Test, bytes: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.end(bytes)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const status = ['status', 'shop', '--env', 'production']

void t.test('nobody there', async (t) => {
  const { exitCode, err } = await ran(status, { url: 'http://127.0.0.1:1' })
  t.equal(exitCode, 1)
  t.equal(
    err,
    'lockstep: the controller at http://127.0.0.1:1 does not answer: ' +
      'nothing listens there (ECONNREFUSED) (unreachable)\n' +
      '  If it is being restarted, try again. Otherwise check LOCKSTEP_URL and its service.\n',
  )
})

void t.test('the wrong scheme, either way', async (t) => {
  const fake = await controller(t)
  const plain = await ran(status, { url: fake.url.replace('http:', 'https:') })
  t.match(plain.err, /it does not speak TLS.*\n {2}Should LOCKSTEP_URL begin with http:\/\/\?/)
  const other = await ran(status, { url: `http://${await speaker(t, '\x15\x03\x01 alert')}` })
  t.match(other.err, /its answer is not HTTP \(HPE_.*\n.*should it begin with https:\/\/\?/)
  const silent = await ran(status, { url: `http://${await speaker(t, '')}` })
  t.match(silent.err, /the connection broke \(ECONNRESET\)/)
})

void t.test('answers that are no controller’s', async (t) => {
  const fake = await controller(t)
  const html = { 'content-type': 'text/html' }
  const cases: [string, Answer, RegExp][] = [
    [
      'a web page',
      { raw: '<html>', headers: html },
      /answers 200 with text\/html, and not with JSON \(bad-answer\)\n.*Check LOCKSTEP_URL/,
    ],
    ['no content type', { raw: '{}' }, /answers 200 with no content type/],
    [
      'broken JSON',
      { raw: '{"a":', headers: { 'content-type': 'application/json' } },
      /and not with JSON/,
    ],
    [
      'a page of an error',
      { status: 404, raw: 'no', headers: html },
      /answers 404 with text\/html/,
    ],
    [
      'an error without words',
      { status: 400, raw: '{}', headers: { 'content-type': 'application/json' } },
      /answers 400 without saying why/,
    ],
    [
      'a proxy',
      { status: 502, raw: 'bad gateway', headers: html },
      /answers 502, and that is a proxy’s answer \(unreachable\)/,
    ],
    [
      'a login page',
      { status: 302, raw: '', headers: { location: 'https://login.example\x9b' } },
      /a redirection to https:\/\/login\.example\\x9b \(bad-answer\)\n.*set LOCKSTEP_URL to it/,
    ],
    [
      'another shape',
      { raw: '{"app":"shop"}', headers: { 'content-type': 'application/json' } },
      /an answer of another shape: .*\n.*lockstep --version/,
    ],
  ]
  for (const [name, answer, message] of cases) {
    fake.on(() => answer)
    const { exitCode, err, out } = await ran(status, { url: fake.url })
    t.equal(exitCode, 1, name)
    t.match(err, message, name)
    t.equal(out, '')
  }
})

void t.test('a bad token names where it came from', async (t) => {
  const fake = await controller(t)
  fake.answer(
    'GET /v1/apps/shop/environments/production',
    { code: 'unauthorised', message: 'unknown token', hint: 'Send a token.' },
    401,
  )
  const { err } = await ran(status, { url: fake.url })
  t.match(err, /^lockstep: unknown token \(unauthorised\)\n {2}The token is from LOCKSTEP_TOKEN\. /)
  const file = `${t.testdir({ token: 'abc\n' })}/token`
  const fromFile = await ran(status, {
    url: fake.url,
    env: { LOCKSTEP_TOKEN: '', LOCKSTEP_TOKEN_FILE: file },
  })
  t.match(fromFile.err, `The token is from LOCKSTEP_TOKEN_FILE (${file})`)
  t.equal(fake.asked[1]?.headers.authorization, 'Bearer abc')
})

void t.test('an answer without end is given up', async (t) => {
  const fake = await controller(t)
  const raw = `"${'x'.repeat(limits.answerBytesMax)}"`
  fake.on(() => ({ raw, headers: { 'content-type': 'application/json' } }))
  const { exitCode, err } = await ran(status, { url: fake.url })
  t.equal(exitCode, 1)
  t.match(err, /does not end \(too-large\)/)
})

void t.test('a path before the API is kept', async (t) => {
  const fake = await controller(t)
  await ran(['status', '--url', `${fake.url}/deploy/`])
  t.equal(fake.asked[0]?.url, '/deploy/v1/apps')
})

void t.test('a silence ends, with an answer to come or in the middle of one', async (t) => {
  const request = {
    method: 'GET' as const,
    headers: {},
    env: {},
    trust: { kind: 'public' as const },
    silenceMs: 20,
  }
  for (const bytes of [undefined, 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf']) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      if (bytes !== undefined) socket.write(bytes)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    await t.rejects(exchange({ ...request, url }), {
      code: 'unreachable',
      message: /no answer in time \(ETIMEDOUT\)/,
    })
  }
})

void t.test('an upload that breaks on our side says so', async (t) => {
  const fake = await controller(t)
  const client = new ControllerClient({
    url: fake.url,
    urlSource: '--url',
    token: 'x',
    tokenSource: 'LOCKSTEP_TOKEN',
    env: {},
    trust: { kind: 'public' },
  })
  const onSent = () => undefined
  const shorter = { stream: Readable.from([Buffer.alloc(10)]), sizeBytes: 20, onSent }
  await t.rejects(client.publish('shop', '1', 0, shorter), {
    code: 'bad-archive',
    message: /became shorter while it was sent/,
  })
  const broken = new Readable({
    read() {
      this.destroy(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }))
    },
  })
  await t.rejects(client.publish('shop', '1', 0, { stream: broken, sizeBytes: 20, onSent }), {
    code: 'disk-error',
    message: /cannot be read: EIO/,
  })
})

void t.test('a proxy is asked, but not for this machine', async (t) => {
  const fake = await controller(t)
  const proxy = await speaker(t, 'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n')
  const env = {
    http_proxy: `http://${proxy}`,
    HTTP_PROXY: `http://${proxy}`,
    LOCKSTEP_PLAIN_HTTP: '1',
  }
  fake.answer('GET /v1/tokens', { items: [], next: null })
  t.equal((await ran(['token', 'list'], { url: fake.url, env })).exitCode, 0)
  const { err } = await ran(['token', 'list'], { url: 'http://deploy.invalid', env })
  t.match(err, /deploy\.invalid answers 502, and that is a proxy’s answer/)
})
