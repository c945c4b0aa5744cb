// The reset of PHP's opcode cache, against sockets that answer as PHP-FPM does, and as it should not.

import { once } from 'node:events'
import { chmodSync, readFileSync, statSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { requestOf } from '#agent/adapters/fast-cgi.ts'
import { monotonicClock } from '#agent/adapters/monotonic-clock.ts'
import { resetOpcache } from '#agent/hooks/opcache-reset.ts'
import { layoutOf, prepareLayout } from '#agent/layout/app-layout.ts'

/** One record: version, type, request 1, the lengths, three bytes of padding. */
function record(type: number, content: string): Buffer {
  const bytes = Buffer.from(content)
  const header = Buffer.from([1, type, 0, 1, bytes.length >> 8, bytes.length & 0xff, 3, 0])
  return Buffer.concat([header, bytes, Buffer.alloc(3)])
}

const end = record(3, '\0'.repeat(8))
const answer = (head: string, body: string) => [
  record(6, `${head}\r\n\r\n`),
  record(6, body),
  record(6, ''),
  end,
]

/** Has an FPM that answers with `records` asked for a reset. */
async function ask(t: Test, reply: (socket: Socket) => void, signal?: AbortSignal) {
  const layout = layoutOf(t.testdir({}))
  prepareLayout(layout)
  const asked: Buffer[] = []
  const server = createServer((connection) => {
    connection.on('error', () => undefined)
    connection.once('data', (bytes: Buffer) => {
      asked.push(bytes)
      reply(connection)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const socket = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const outcome = await resetOpcache({
    socket,
    layout,
    clock: monotonicClock,
    signal: signal ?? new AbortController().signal,
  })
  const script = join(layout.lockstep, 'opcache-reset.php')
  return { outcome, asked: Buffer.concat(asked), script }
}

const replying =
  (...bytes: Buffer[]) =>
  (socket: Socket) =>
    void socket.write(Buffer.concat(bytes))

void t.test('a cache that is reset is done, and one that is not there too', async (t) => {
  for (const word of ['reset', 'absent', 'disabled']) {
    const { outcome, asked, script } = await ask(
      t,
      replying(...answer('X-Powered-By: PHP/8.2\r\nContent-type: text/plain', word)),
    )
    t.same(outcome, { kind: 'done' })
    t.ok(asked.includes(`SCRIPT_FILENAME${script}`), 'the script is asked for')
    t.equal(statSync(script).mode & 0o777, 0o644, 'which others can read')
    t.match(readFileSync(script, 'utf8'), /^<\?php\n[^]*opcache_reset\(\)/)
  }
})

void t.test('an answer may come in any pieces', async (t) => {
  const bytes = Buffer.concat(answer('Content-type: text/plain', 'reset'))
  const { outcome } = await ask(t, (socket) => {
    void (async () => {
      for (const byte of bytes) {
        socket.write(Buffer.from([byte]))
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
  })
  t.same(outcome, { kind: 'done' })
})

void t.test('every other answer is a failure that says what to do', async (t) => {
  const cases: [Buffer[], RegExp, RegExp][] = [
    [
      answer('Status: 404 Not Found\r\nContent-type: text/html', 'File not found.\n'),
      /answered 404: File not found\./,
      /open_basedir/,
    ],
    [answer('Status: 403 Forbidden', 'Access denied.'), /403: Access denied/, /limit_extensions/],
    [answer('Content-type: text/plain', 'refused'), /200: refused/, /restrict_api/],
    [
      [record(7, 'PHP message: Fatal error'), ...answer('Status: 500 Internal', '')],
      /500: PHP message: Fatal error/,
      /FPM’s own log/,
    ],
    [[record(6, 'no headers'), end], /no CGI answer/, /FPM’s own log/],
  ]
  for (const [bytes, message, hint] of cases) {
    const { outcome } = await ask(t, replying(...bytes))
    t.match(outcome, { kind: 'failed', failure: { code: 'reload-failed', message, hint } })
  }
})

void t.test('who closes, says too much or nothing at all has failed', async (t) => {
  const closed = await ask(t, (socket) => void socket.end())
  t.match(closed.outcome, { failure: { message: /without an answer/ } })
  const much = await ask(t, (socket) => {
    const bytes = record(6, 'x'.repeat(60_000))
    socket.write(Buffer.concat([bytes, bytes]))
  })
  t.match(much.outcome, { failure: { message: /too much/ } })
  const abort = new AbortController()
  const silent = await ask(t, () => abort.abort(), abort.signal)
  t.match(silent.outcome, { failure: { message: /did not answer in time/ } })
})

void t.test('a socket that is not there, and a directory that cannot be written', async (t) => {
  const layout = layoutOf(t.testdir({}))
  prepareLayout(layout)
  const { signal } = new AbortController()
  const request = { layout, clock: monotonicClock, signal }
  const socket = '/run/lockstep-none.sock'
  t.match(await resetOpcache({ ...request, socket }), {
    failure: { message: /lockstep-none\.sock was not reset: ENOENT/, hint: /`listen`/ },
  })
  if (process.geteuid?.() === 0) return
  chmodSync(layout.lockstep, 0o500)
  t.match(await resetOpcache({ ...request, socket }), { failure: { message: /Writing/ } })
})

void t.test('long names and values are written with four bytes of length', async (t) => {
  const request = requestOf({ A: 'x'.repeat(200) })
  const parameters = request.subarray(16 + 8)
  t.same([...parameters.subarray(0, 6)], [1, 0x80, 0, 0, 200, 0x41])
})
