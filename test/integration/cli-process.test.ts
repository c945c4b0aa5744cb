// The command as a process: what only a real one has, such as pipes that break, signals and exit codes.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FakeController } from './cli-fake-controller.ts'
import { committed, environment, host, rollout } from './cli-views.ts'

const program = join(import.meta.dirname, '../../bin/lockstep')

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

interface Started {
  readonly child: ReturnType<typeof spawn>
  readonly out: () => string
  readonly err: () => string
  /** Exit code, or the signal's name. */
  readonly end: Promise<number | string>
}

function start(
  t: Test,
  words: readonly string[],
  env: Record<string, string>,
  file = program,
): Started {
  const child = spawn(file, words, {
    env: { PATH: process.env['PATH'], TZ: 'UTC', LOCKSTEP_TOKEN: 'x', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const texts = { out: '', err: '' }
  child.stdout?.on('data', (chunk: Buffer) => (texts.out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (texts.err += chunk.toString()))
  child.stdin?.on('error', () => undefined)
  const end = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  return { child, out: () => texts.out, err: () => texts.err, end }
}

async function finished(
  t: Test,
  words: readonly string[],
  env: Record<string, string> = {},
  file = program,
) {
  const { end, out, err } = start(t, words, env, file)
  return { exitCode: await end, out: out(), err: err() }
}

void t.test('version, help, and the daemons behind their names', async (t) => {
  const link = join(t.testdir({}), 'ls')
  symlinkSync(program, link)
  t.match(await finished(t, ['--version'], {}, link), {
    exitCode: 0,
    out: /^\d+\.\d+\.\d+\n$/,
    err: '',
  })
  const help = await finished(t, ['help'])
  t.equal(help.exitCode, 0)
  t.match(help.out, /^Usage: lockstep \[options\] \[command\]\n[\s\S]*Exit codes:/)
  const nothing = await finished(t, [])
  t.equal(nothing.exitCode, 2)
  t.match(nothing.err, /^Usage: lockstep/)
  const daemon = await finished(t, ['controller'])
  t.equal(daemon.exitCode, 2, 'the daemon itself says it')
  t.match(`${daemon.out}${daemon.err}`, /--data DIR and --listen HOST:PORT/)
})

void t.test('a pipe that broke ends reading well', async (t) => {
  const fake = await controller(t)
  const hosts = Array.from({ length: 3000 }, (_, at) => host(`web-${at}`))
  fake.answer('GET /v1/hosts', { items: hosts, next: null })
  const listing = start(t, ['hosts', '--json'], { LOCKSTEP_URL: fake.url })
  listing.child.stdout?.once('data', () => listing.child.stdout?.destroy())
  t.equal(await listing.end, 0)
  t.equal(listing.err(), '')

  fake.answer('GET /v1/apps', {
    items: [{ app: 'shop', environments: ['production'], releases: 1 }],
    next: null,
  })
  fake.answerInTurn(
    'GET /v1/apps/shop/environments/production',
    environment(),
    environment({ rollout: rollout() }),
  )
  const watching = start(t, ['watch', '--json'], { LOCKSTEP_URL: fake.url })
  watching.child.stdout?.once('data', () => watching.child.stdout?.destroy())
  await fake.listened()
  fake.change()
  t.equal(await watching.end, 0, 'watching ends with its reader')
})

void t.test('a deploy whose pipe broke goes on to its end and tells it', async (t) => {
  const fake = await controller(t)
  fake.answer(
    'PUT /v1/apps/shop/environments/production/desired',
    { outcome: 'started', rollout: rollout() },
    202,
  )
  const rolledBack = committed({ phase: 'rolled-back', exitCode: 3 })
  fake.answer('GET /v1/rollouts/r-1', rolledBack)
  const deploying = start(t, ['deploy', 'shop', '1', '--env', 'production'], {
    LOCKSTEP_URL: fake.url,
  })
  deploying.child.stdout?.once('data', () => deploying.child.stdout?.destroy())
  await fake.listened()
  fake.change()
  t.equal(await deploying.end, 3)
})

void t.test('Ctrl-C and a polite kill', async (t) => {
  const fake = await controller(t)
  fake.answer(
    'PUT /v1/apps/shop/environments/production/desired',
    { outcome: 'started', rollout: rollout() },
    202,
  )
  fake.answer('GET /v1/rollouts/r-1', rollout())
  for (const [signal, exitCode, word] of [
    ['SIGINT', 130, 'interrupted'],
    ['SIGTERM', 143, 'terminated'],
  ] as const) {
    const asked = fake.countOf('GET /v1/events')
    const deploying = start(t, ['deploy', 'shop', '1', '--env', 'production'], {
      LOCKSTEP_URL: fake.url,
    })
    await fake.askedTimes('GET /v1/events', asked + 1)
    deploying.child.kill(signal)
    t.equal(await deploying.end, exitCode)
    t.match(deploying.err(), new RegExp(`^${word}; the rollout goes on\\.`))
  }
})

void t.test('standard input is published, and no colour goes into a pipe', async (t) => {
  const fake = await controller(t)
  fake.answer('PUT /v1/apps/shop/releases/1', { code: 'bad-archive', message: 'it is empty' }, 422)
  const publishing = start(t, ['publish', 'shop', '1', '-'], { LOCKSTEP_URL: fake.url })
  publishing.child.stdin?.end(Buffer.alloc(1_000_000, 7))
  t.equal(await publishing.end, 1)
  t.equal(publishing.err(), 'lockstep: it is empty (bad-archive)\n')
  t.equal(fake.asked[0]?.body.length, 1_000_000)
})

void t.test('a token file of the environment is used', async (t) => {
  const fake = await controller(t)
  const file = join(t.testdir({}), 'token')
  writeFileSync(file, 'from-file\n')
  fake.answer('GET /v1/tokens', { items: [], next: null })
  const env = { LOCKSTEP_URL: fake.url, LOCKSTEP_TOKEN: '', LOCKSTEP_TOKEN_FILE: file }
  t.match(await finished(t, ['token', 'list', '--json'], env), {
    exitCode: 0,
    out: '{\n  "items": [],\n  "next": null\n}\n',
  })
  t.equal(fake.asked[0]?.headers.authorization, 'Bearer from-file')
})
