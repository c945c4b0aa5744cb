// The daemon as a process: one for a directory, an end to every start that fails, and exit codes
// that tell which.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { pinOfCertificate } from '#controller/tls/keyed-file.ts'
import { lockDirectory } from '#systemd/instance-lock.ts'

const program = new URL('../../bin/lockstep', import.meta.url).pathname

interface LogLine {
  readonly msg: string
  readonly url?: string
  readonly pins?: readonly string[]
  readonly code?: string
  readonly hint?: string
}

/** A daemon and what it says. */
class Daemon {
  readonly process: ChildProcess
  readonly lines: LogLine[] = []
  readonly exited: Promise<number | null>
  stderr = ''
  readonly #waiting = new Set<() => void>()

  constructor(t: Test, args: readonly string[]) {
    this.process = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const { promise, resolve } = Promise.withResolvers<number | null>()
    this.exited = promise
    this.process.once('close', (code) => {
      resolve(code)
      this.#wake()
    })
    this.process.stderr?.on('data', (text) => (this.stderr += String(text)))
    if (this.process.stdout === null) throw new Error('no output')
    createInterface(this.process.stdout).on('line', (line) => {
      this.lines.push(JSON.parse(line))
      this.#wake()
    })
    t.teardown(async () => {
      this.process.kill('SIGKILL')
      await this.exited
    })
  }

  async said(message: RegExp): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find((line) => message.test(line.msg))
      if (found !== undefined) return found
      if (this.process.exitCode !== null)
        throw new Error(`ended without ${message}: ${this.stderr}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'lockstep-process-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function startController(t: Test, data: string, listen = '127.0.0.1:0'): Daemon {
  return new Daemon(t, ['controller', '--data', data, '--listen', listen])
}

void t.test('a signal ends it with 0', async (t) => {
  const daemon = startController(t, join(directory(t), 'data'))
  const { url } = await daemon.said(/^listening$/)
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  daemon.process.kill('SIGTERM')
  t.equal(await daemon.exited, 0, daemon.stderr)
  t.equal(daemon.stderr, '')
})

void t.test('one data directory has one controller, and a killed one lets go of it', async (t) => {
  const data = directory(t)
  const first = startController(t, data)
  await first.said(/^listening$/)
  const second = startController(t, data)
  t.equal(await second.exited, 1)
  t.match(second.lines.at(-1), { code: 'already-running', msg: /data directory/, hint: /Stop it/ })
  await t.rejects(lockDirectory(data, 'data directory'), { code: 'already-running' })
  first.process.kill('SIGKILL')
  await first.exited
  const third = startController(t, data)
  await third.said(/^listening$/)
})

void t.test('a start that fails ends, and says why', async (t) => {
  const data = directory(t)
  const first = startController(t, data)
  const { url = '' } = await first.said(/^listening$/)
  const other = startController(t, directory(t), new URL(url).host)
  t.equal(await other.exited, 1)
  t.match(other.lines.at(-1), { code: 'bad-configuration', msg: /EADDRINUSE/, hint: /--listen/ })
  const nowhere = startController(t, join(program, 'data'))
  t.equal(await nowhere.exited, 1)
  t.match(nowhere.lines.at(-1), { code: 'disk-error', hint: /./ })
  for (const unmade of ['/proc/lockstep/data', join(program, 'further/down')]) {
    await t.rejects(lockDirectory(unmade, 'data directory'), { code: 'disk-error', hint: /write/ })
  }
})

void t.test('with --tls it serves HTTPS, and says at the start by what it is known', async (t) => {
  const data = directory(t)
  const args = ['controller', '--data', data, '--listen', '127.0.0.1:0', '--tls']
  const daemon = new Daemon(t, [...args, '--tls-name', 'deploy.example.com'])
  const { url = '', pins } = await daemon.said(/^listening$/)
  t.match(url, /^https:/)
  const [certificate = ''] = readFileSync(join(data, 'ca.pem'), 'utf8').split(/(?<=-----\n)(?=-)/)
  t.same(pins, [pinOfCertificate(certificate)])
  const agent = new Agent({ ca: certificate })
  const [answer] = await once(
    get(`${url}/healthz`, { agent, servername: 'deploy.example.com' }),
    'response',
  )
  t.equal(answer.statusCode, 200)
  answer.resume()
  agent.destroy()
  daemon.process.kill('SIGTERM')
  t.equal(await daemon.exited, 0, daemon.stderr)
  const broken = join(data, 'broken.pem')
  writeFileSync(broken, 'no certificate')
  const refused = new Daemon(t, [...args.slice(0, -1), '--tls-cert', broken, '--tls-key', broken])
  t.equal(await refused.exited, 1)
  t.match(refused.lines.at(-1), { code: 'bad-configuration', msg: /broken\.pem/, hint: /./ })
})

void t.test('wrong usage is 2', async (t) => {
  const wrong: readonly (readonly string[])[] = [
    ['controller'],
    ['controller', '--data', 'x', '--listen', '127.0.0.1:99999'],
    ['controller', '--data', 'x', '--listen', '127.0.0.1:0', '--more'],
    ['controller', '--data', 'x', '--listen', '127.0.0.1:0', '--tls', '--plain-http'],
    ['agent'],
  ]
  const daemons = wrong.map((args) => new Daemon(t, args))
  for (const [at, daemon] of daemons.entries()) {
    t.equal(await daemon.exited, 2, `${wrong[at]?.join(' ')}`)
    t.match(daemon.lines.at(-1), { code: 'bad-usage', hint: /lockstep|TLS/ })
  }
})

void t.test('the lock is of the directory, whatever it is called, and of no other', async (t) => {
  const data = directory(t)
  const lock = await lockDirectory(data, 'data directory')
  await t.rejects(lockDirectory(`${data}/./`, 'data directory'), { code: 'already-running' })
  const other = await lockDirectory(join(data, 'inner'), 'data directory')
  other.release()
  lock.release()
  const again = await lockDirectory(data, 'data directory')
  again.release()
})
