// Asking root over a socket for what polkit cannot grant: the agent's side against the very script that
// systemd runs, with a systemctl that keeps books. On hosts with systemd: test/hosts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Systemctl } from '#agent/adapters/systemctl.ts'
import { withUnitRequests } from '#agent/adapters/unit-request.ts'
import { unitInstance } from '#shared/unit-instance.ts'
import { type UnitVerb, unitRequestName } from '#shared/unit-request.ts'

const script = new URL('../../systemd/unit-request.sh', import.meta.url).pathname
const options = { timeoutMs: 10_000 }
const direct: Systemctl = async (args) => ({ exitCode: 0, stdout: args.join(' '), said: 'direct' })

interface Ears {
  readonly directory: string
  readonly asking: Systemctl
  /** What systemctl was called with, a line for each. */
  readonly calls: () => string[]
  /** Opens a socket as its units would. */
  readonly open: (verb: UnitVerb, unit: string, ...any: string[]) => Promise<void>
}

function build(t: Test, systemctl = 'exit 0'): Ears {
  // A socket's path has 107 characters at most (unix(7)).
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-ask-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  for (const name of ['bin', 's']) mkdirSync(join(directory, name))
  const calls = join(directory, 'calls')
  writeFileSync(calls, '')
  const program = `#!/bin/sh\nprintf '%s\\n' "$*" >> '${calls}'\n${systemctl}\n`
  writeFileSync(join(directory, 'bin/systemctl'), program, { mode: 0o755 })
  const env = { PATH: `${directory}/bin:${process.env['PATH']}` }
  return {
    directory,
    asking: withUnitRequests(direct, join(directory, 's')),
    calls: () => readFileSync(calls, 'utf8').split('\n').filter(Boolean),
    open: async (verb, unit, ...any) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        const child = spawn('/bin/sh', [script, verb, unit, ...any], {
          env,
          stdio: ['pipe', 'pipe', 'ignore'],
        })
        socket.on('error', () => child.kill())
        child.stdin.on('error', () => undefined)
        socket.pipe(child.stdin)
        child.stdout.pipe(socket)
      })
      server.listen(join(directory, 's', unitRequestName(verb, unit)))
      await once(server, 'listening')
      t.teardown(() => server.close())
    },
  }
}

void t.test('where there is no socket, systemctl itself is asked', async (t) => {
  const { asking } = build(t)
  t.match(await asking(['reload', '--', 'nginx.service'], options), { said: 'direct' })
  t.match(await asking(['show', '--property=Type', '--', 'nginx.service'], options), {
    said: 'direct',
  })
})

void t.test('a unit is reloaded by its socket, and no other by it', async (t) => {
  const { asking, open, calls } = build(t)
  await open('reload', 'nginx.service')
  t.strictSame(await asking(['reload', '--', 'nginx.service'], options), {
    exitCode: 0,
    stdout: '',
    said: '',
  })
  t.match(await asking(['restart', '--', 'nginx.service'], options), { said: 'direct' })
  t.match(await asking(['reload', '--', 'ssh.service'], options), { said: 'direct' })
  t.strictSame(calls(), ['--no-ask-password reload -- nginx.service'])
})

void t.test('a hook is started, ended and stopped in any version of its app', async (t) => {
  const { asking, open, calls } = build(t)
  const beginning = 'migrate@my\\x2dshop-'
  for (const verb of ['start', 'kill', 'stop'] as const) await open(verb, beginning, 'any')
  const unit = unitInstance('migrate@.service', 'my-shop', '1.0-rc.1+b')
  t.match(await asking(['start', '--', unit], options), { exitCode: 0 })
  t.match(await asking(['kill', '--signal=SIGKILL', '--', unit], options), { exitCode: 0 })
  t.match(await asking(['stop', '--', unit], options), { exitCode: 0 })
  t.strictSame(calls(), [
    `--no-ask-password start -- ${unit}`,
    `--no-ask-password kill --signal=SIGKILL -- ${unit}`,
    `--no-ask-password stop -- ${unit}`,
  ])
})

void t.test('what systemctl says of a failure comes back', async (t) => {
  const { asking, open } = build(t, 'echo "Job for it failed." >&2; echo "See why."; exit 3')
  await open('reload', 'nginx.service')
  t.strictSame(await asking(['reload', '--', 'nginx.service'], options), {
    exitCode: 3,
    stdout: '',
    said: 'Job for it failed. See why.',
  })
})

void t.test('nothing but a version completes a name', async (t) => {
  const { open, calls, directory } = build(t)
  await open('start', 'migrate@shop-', 'any')
  const path = join(directory, 's', unitRequestName('start', 'migrate@shop-'))
  const lines = ['', 'a-b', 'a b', '../x', '$(id)', 'a;id', '*', '@x', 'é', 'x'.repeat(201)]
  for (const line of lines) {
    const socket = connect(path).setEncoding('utf8')
    socket.end(`${line}\nmore\n`)
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    t.equal(text, 'this is no version\nexit 1\n', line)
  }
  t.strictSame(calls(), [])
  t.comment(`${lines.length} names refused`)
})

void t.test('nobody waits longer than asked, or after having given up', async (t) => {
  const { asking, open } = build(t, 'sleep 1')
  await open('reload', 'nginx.service')
  t.match(await asking(['reload', '--', 'nginx.service'], { timeoutMs: 50 }), {
    exitCode: 124,
    said: 'no answer within 50 ms',
  })
  const signal = AbortSignal.abort()
  t.match(await asking(['reload', '--', 'nginx.service'], { ...options, signal }), {
    exitCode: 124,
    said: 'it was given up',
  })
})

void t.test('a socket that nobody serves is an answer too', async (t) => {
  const { asking, directory } = build(t)
  writeFileSync(join(directory, 's', unitRequestName('reload', 'nginx.service')), '')
  t.match(await asking(['reload', '--', 'nginx.service'], options), {
    exitCode: 127,
    said: /root cannot be asked over .* \(ECONNREFUSED\)/,
  })
})
