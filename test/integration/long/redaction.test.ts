// Secrets wherever somebody could put one, and everything that both daemons and the command write then:
// logs at their finest level, answers, the database, the terminal. None may be found in any of it.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { type DestinationStream, pino } from 'pino'
import t from 'tap'
import { parseAgentConfig } from '#agent/config.ts'
import { startAgent } from '#agent/app.ts'
import { OutputLines } from '#agent/hooks/output-lines.ts'
import type { RolloutView } from '#shared/api/schemas.ts'
import { createLog } from '#systemd/journal-log.ts'
import { AgentKey } from '../../support/agent-key.ts'
import { RunningController, tarballOf } from '../../support/running-controller.ts'
import { openTestServer, routesOf } from '../../support/test-server.ts'
import { FakeController } from '../cli-fake-controller.ts'
import { HastyClock, ran, run } from '../cli-run.ts'
import { tarball } from '../cli-tarball.ts'
import { failingHost, hostCommands } from '../output-host-scenes.ts'
import { scenes } from '../output-scenes.ts'

// A daemon of each kind, and every command there is.
t.setTimeout(120_000)

/** Of 43 letters, as the third part of a token is, and found nowhere else. */
const mark = (name: string) => `MARK${name}`.padEnd(43, '0123456789').slice(0, 43)
const id = 'abcdefghijk'
const given = {
  api: `lsk1.${id}.${mark('api')}`,
  join: `lsj1.${id}.${mark('join')}.${mark('pin')}`,
  content: `lsc1.${'h'.repeat(26)}.1.${mark('content')}`,
  pem: `-----BEGIN PRIVATE KEY-----\n${mark('pem')}\n-----END PRIVATE KEY-----`,
} as const
const headers: Readonly<Record<string, string>> = {
  cookie: `session=${mark('cookie')}`,
  'x-api-key': mark('header'),
  'proxy-authorization': `Basic ${mark('proxy')}`,
}
const marks = /MARK[a-z]+0123/g

/** The lines of a log that nothing masks: what is not said needs no net. */
function bareLog(): { lines: string[]; destination: DestinationStream } {
  const lines: string[] = []
  return { lines, destination: { write: (line) => void lines.push(line) } }
}

function addressOf(path: string): string {
  const names: Readonly<Record<string, string>> = { app: 'shop', environment: 'production' }
  return path.replaceAll(/:(\w+)/g, (_, name: string) => names[name] ?? '1.0.0')
}

void t.test('every route, with secrets wherever a request can hold one', async (t) => {
  const controller = await RunningController.start(t, 'trace')
  const { server } = await openTestServer(t)
  const routes = routesOf(server).filter(({ path }) => path !== '/v1/events')
  const real = [controller.adminToken, await controller.joinToken()]
  const key = new AgentKey()
  const nonce = (await controller.challenge()).nonce
  const upgrade = key.authorization('x', nonce)
  const said: string[] = []
  const counts = { requests: 0, refused: 0 }
  const ask = async (method: string, path: string, call: Parameters<typeof controller.call>[2]) => {
    const answer = await controller.call(method, path, call)
    said.push(JSON.stringify([answer.body, [...answer.headers]]))
    counts.requests += 1
    counts.refused += Number(JSON.stringify(answer.body).includes('exposed-secret'))
  }
  for (const { method, path } of routes) {
    const address = addressOf(path)
    const schemes = [`Bearer ${given.api}`, `Basic ${mark('basic')}`, upgrade, mark('bare')]
    for (const authorization of schemes) {
      await ask(method, address, { token: null, headers: { ...headers, authorization } })
    }
    for (const secret of Object.values(given)) {
      await ask(method, `${address}?token=${encodeURIComponent(secret)}`, { headers })
      await ask(method, `${address}/${encodeURIComponent(secret)}`, {})
      if (method === 'GET' || method === 'HEAD') continue
      const reasons = {
        reason: secret,
        owner: secret,
        version: secret,
        name: secret,
        token: secret,
      }
      await ask(method, address, { json: reasons, headers })
      for (const name of ['lockstep-reason', 'idempotency-key']) {
        const text = encodeURIComponent(secret)
        await ask(method, address, { json: { version: '1.0.0' }, headers: { [name]: text } })
      }
      await ask(method, address, { json: { [secret]: [secret] }, headers })
    }
  }
  await ask('PUT', '/v1/apps/shop/releases/1.0.0', { body: tarballOf('x'), headers })
  const outputs = { answers: said.join('\n'), log: controller.log.map((l) => JSON.stringify(l)) }
  await controller.stop()
  const stored = databaseOf(controller)
  for (const text of [outputs.answers, ...outputs.log, ...stored]) {
    t.same(text.match(marks) ?? [], [])
    for (const token of real) t.notOk(text.includes(token.split('.')[2] ?? token), 'nor a real one')
    t.notOk(text.includes(upgrade.slice(-40)), 'nor a signature')
  }
  t.ok(counts.refused > routes.length, `${counts.refused} refused for what they expose`)
  t.comment(
    `${routes.length} routes, ${counts.requests} requests with secrets, ${counts.refused} of them ` +
      `refused for it; ${outputs.log.length} lines of the log, answers and database: 0 secrets`,
  )
})

void t.test('every command, against a controller that says the secrets back', async (t) => {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  const text = (more: string) => `${Object.values(given).join(' ')} ${more}`
  fake.on(({ url, headers: sent }) => {
    const message = text(`${sent.authorization} ${url}`)
    const body = { code: 'forbidden', message, hint: message, details: { message } }
    return {
      status: 403,
      raw: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }
  })
  const env = { LOCKSTEP_TOKEN: given.api, LOCKSTEP_LOG: 'trace' }
  const clock = new HastyClock()
  const counts = { runs: 0, refused: 0 }
  const commands = [...scenes.map(({ argv }) => argv), ...hostCommands.map((c) => c.split(' '))]
  for (const argv of commands) {
    const told = run(argv, { url: fake.url, env, clock, ...failingHost(text('')) })
    told.stdin.end(tarball)
    t.not(await told.exitCode, 0)
    t.same(`${told.out.text}${told.err.text}`.match(marks) ?? [], [], argv.join(' '))
    for (const secret of [given.api, given.join, given.pem]) {
      const asked = fake.asked.length
      const exposed = await ran([...argv, `--reason=${secret}`], { url: fake.url, env, clock })
      t.same(`${exposed.out}${exposed.err}`.match(marks) ?? [], [], argv.join(' '))
      t.match(exposed, { exitCode: 2, err: /on the command line/ })
      t.equal(fake.asked.length, asked, 'nothing was asked')
      counts.refused += 1
    }
    counts.runs += 1
  }
  t.comment(
    `${counts.runs} commands, and ${counts.refused} with a secret as an argument: 0 secrets`,
  )
})

void t.test('an agent that joins, is refused, connects and fetches', async (t) => {
  const controller = await RunningController.start(t, 'trace')
  const env = `DB_PASSWORD=${mark('env')}\n`
  const root = t.testdir({ state: {}, shop: { shared: { '.env': env } } })
  const telling = `cat .env; echo "${Object.values(given).join(' ')}" >&2; grep -q fine index.html`
  const config = parseAgentConfig(
    [
      `controller = "${controller.url}"`,
      'name = "web-1"',
      `state = "${root}/state"`,
      '[apps.shop]',
      'environment = "production"',
      `root = "${root}/shop"`,
      'shared = [".env"]',
      '[apps.shop.hooks.after-stage]',
      `run = ["/bin/sh", "-c", ${JSON.stringify(telling)}]`,
    ].join('\n'),
    { file: 'agent.toml', hostname: 'web-1' },
  )
  const bare = bareLog()
  const log = pino({ level: 'trace' }, bare.destination)
  const options = { config, version: '1', log, onStatus: (text: string) => bare.lines.push(text) }
  // The agent keeps a token with a pin from plain HTTP; one without, the controller refuses.
  const bareToken = given.join.split('.').slice(0, 3).join('.')
  for (const [text, code] of [
    [given.join, 'wrong-pin'],
    [bareToken, 'bad-join-token'],
  ] as const) {
    const wrong = startAgent({ ...options, joinToken: async () => text })
    const refusal: unknown = await wrong.catch((error: unknown) => error)
    t.match(refusal, { code })
    t.same(inspect(refusal, { depth: 9, showHidden: true }).match(marks) ?? [], [])
  }
  const token = await controller.joinToken()
  const agent = await startAgent({ ...options, joinToken: async () => token })
  await agent.joined
  const shown: string[] = []
  for (const content of ['fine', 'bad']) shown.push(await rolledOut(controller, content))
  t.match(shown[0], /"phase":"committed"/)
  t.match(shown[1], /"code":"hook-failed"/, 'the failure quotes its hook')
  agent.stop()
  await agent.ended
  await controller.stop()
  const texts = [...bare.lines, ...controller.log.map((line) => JSON.stringify(line)), ...shown]
  const secret = token.split('.')[2] ?? ''
  for (const text of [...texts, ...databaseOf(controller)]) {
    t.notOk(text.includes(secret), 'no join token')
    t.notMatch(text, /lsc1\.[\w-]{26}\.\d+\.[\w-]|signature=/, 'no token for content, no signature')
    t.same(text.match(marks) ?? [], [])
  }
  t.ok(shown.every((text) => text.includes('(DB_PASSWORD)') && text.includes('(secret)')))
  t.comment(
    `${bare.lines.length} lines of the agent at its finest level, and ${texts.length} texts`,
  )
})

/** @returns all that the API shows of it, once it has ended or its host has failed */
async function rolledOut(controller: RunningController, version: string): Promise<string> {
  const place = '/v1/apps/shop/environments/production'
  await controller.publish(version)
  const { rollout } = await controller.ask<{ rollout: { id: string } }>('PUT', `${place}/desired`, {
    version,
  })
  const at = `/v1/rollouts/${rollout.id}`
  for (;;) {
    const view = await controller.ask<RolloutView>('GET', at)
    const output = await controller.ask<{ items: unknown[] }>('GET', `${at}/output`)
    const isOver =
      view.endedAt !== null || view.participants.some(({ failure }) => failure !== null)
    if (!isOver || output.items.length < 2) continue
    const others = ['/v1/hosts', '/v1/facts', place].map((path) => controller.ask('GET', path))
    return JSON.stringify([view, output, ...(await Promise.all(others))])
  }
}

/** Every byte of it. */
function databaseOf({ data }: RunningController): string[] {
  return readdirSync(data)
    .filter((name) => name.startsWith('lockstep.sqlite'))
    .map((name) => readFileSync(join(data, name), 'latin1'))
}

void t.test('the log of a daemon masks what is given to it all the same', async (t) => {
  const bare = bareLog()
  const options = { name: 'agent', level: 'trace', hasPriorities: true }
  const log = createLog({ ...options, destination: bare.destination })
  const secretNames = ['authorization', 'cookie', 'password', 'privateKey', 'secret', 'token']
  for (const secret of [...Object.values(given), `Bearer ${mark('bearer')}`]) {
    log.info({ text: secret, [secret]: 1, list: [secret], err: new Error(secret) }, secret)
    log.child({ host: secret }).error({ deep: { deeper: { deepest: secret } } }, '%s', secret)
  }
  for (const name of secretNames) {
    const named = { [name]: mark('named') }
    log.debug({ ...named, one: named, two: { one: named }, three: { two: { one: named } } })
    log.debug({ err: Object.assign(new Error('x'), named, { headers: named }) })
  }
  t.same(bare.lines.join('').match(marks) ?? [], [])
  for (const line of bare.lines) t.doesNotThrow(() => JSON.parse(line.replace(/^<\d>/, '')))
  t.comment(`${bare.lines.length} lines with secrets in 40 places: 0 secrets`)
})

void t.test('hooks that say a token or a private key', async (t) => {
  const said: string[] = []
  const lines = new OutputLines(({ text }) => said.push(text))
  const openssh = `-----BEGIN OPENSSH PRIVATE KEY-----\n${mark('a')}\n${mark('b')}\n`
  for (const stream of ['out', 'err'] as const) {
    for (const secret of Object.values(given)) lines.push(stream, Buffer.from(`x ${secret}\n`))
    lines.push(stream, Buffer.from(`${openssh}-----END OPENSSH PRIVATE KEY-----\nafter\n`))
    lines.push(stream, Buffer.from(`${openssh}${mark('cut')}`))
  }
  lines.end()
  said.push(lines.lastText)
  t.same(said.join('\n').match(marks) ?? [], [])
  t.equal(said.filter((text) => text === 'after').length, 2, 'what comes after a key is shown')
  t.comment(`${said.length} lines of hooks: 0 secrets`)
})

void t.test('no part of the program takes a secret on its command line, nor says it', async (t) => {
  const program = new URL('../../../bin/lockstep.ts', import.meta.url).pathname
  const lines = [
    ['agent', '--config', '/x', `--join-token=${given.join}`],
    ['controller', '--data', '/x', given.pem],
    ['status', '--token', given.api],
  ]
  for (const line of lines) {
    const argv = [program, ...line]
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
    t.equal(status, 2, line.slice(0, 1).join(' '))
    t.match(`${stdout}${stderr}`, /on the command line/)
    t.same(`${stdout}${stderr}`.match(marks) ?? [], [])
  }
  t.comment(`${lines.length} parts of the program: 0 secrets`)
})
