// Hosts that are not as they should be: wrong configurations, names and identities used twice, a real
// directory at `current`, a full disk. Each is named before anybody swaps, and once it is mended the
// rollout goes on by itself.

import { execFileSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LockstepError } from '#shared/errors.ts'
import { noise } from '../../integration/test-release.ts'
import { archive, file } from '../../support/archives.ts'
import { smallRelease } from '../../support/small-release.ts'
import type { AgentHost } from '../fleet/agent-host.ts'
import { Daemon, type LogLine } from '../fleet/daemon.ts'
import { Fleet, place } from '../fleet/fleet.ts'
import { endedInTruth } from '../fleet/truth.ts'

const fleet = await Fleet.start(t, ['web-1', 'web-2'])
await fleet.publish('1', smallRelease('1'))
await fleet.deploy('1')

/** A process that is expected to give up. @returns its exit code and last line */
async function giveUp(
  name: string,
  args: string[],
): Promise<{ code: number | null; line?: LogLine }> {
  const daemon = Daemon.start(name, args)
  const { code } = await daemon.ended
  const line = daemon.lines.at(-1)
  return { code, ...(line === undefined ? {} : { line }) }
}

function scratch(name: string): string {
  const path = join(fleet.directory, name)
  mkdirSync(path, { recursive: true })
  return path
}

/** The rollout while the host shows that failure. */
function failing(id: string, host: AgentHost, code: string) {
  return fleet.until(`${host.name} shows ${code}`, async () => {
    const view = await fleet.client.rollout(id)
    const participant = view.participants.find(({ name }) => name === host.name)
    return participant?.failure?.code === code ? { view, participant } : undefined
  })
}

void t.test('a wrong configuration: all its mistakes at once, and nothing begun', async (t) => {
  const directory = scratch('misconfigured')
  const config = join(directory, 'agent.toml')
  writeFileSync(
    config,
    [
      'controller = "ftp://deploy.example.com"',
      'name = "-web"',
      'state = "var/lib"',
      'healt = "typo"',
      '[apps.shop]',
      'environment = "Production!"',
      `root = "${join(directory, 'root')}"`,
      'keep = 0',
      'shared = ["../etc"]',
      'reload = ["rm -rf /"]',
      '[apps.blog]',
      `root = "${join(directory, 'root/inner')}"`,
    ].join('\n'),
  )
  const { code, line } = await giveUp('misconfigured', ['agent', '--config', config])
  t.equal(code, 1)
  t.match(line, { code: 'bad-configuration', hint: /nothing was changed/ })
  const details = line?.['details'] as { mistakes: { key: string; write: string }[] }
  const keys = details.mistakes.map(({ key }) => key).sort()
  t.same(keys, [
    'apps.blog.environment',
    'apps.blog.root',
    'apps.shop.environment',
    'apps.shop.keep',
    'apps.shop.reload[0]',
    'apps.shop.shared[0]',
    'controller',
    'healt',
    'name',
    'state',
  ])
  t.ok(details.mistakes.every(({ write }) => write !== ''))

  writeFileSync(config, 'controller = "https://deploy.example.com"\nname = web\n')
  const broken = await giveUp('broken', ['agent', '--config', config])
  t.equal(broken.code, 1)
  t.match(broken.line, { code: 'bad-configuration', msg: /line 2, column \d+/ })

  const absent = await giveUp('absent', ['agent', '--config', join(directory, 'nope.toml')])
  t.equal(absent.code, 1)
  t.match(absent.line, { code: 'bad-configuration', msg: /nope\.toml/, hint: String })
})

void t.test('an address in use is not used twice', async (t) => {
  const { port } = new URL(fleet.url)
  const taken = ['controller', '--data', scratch('second'), '--listen', `127.0.0.1:${port}`]
  const { code, line } = await giveUp('second controller', taken)
  t.equal(code, 1)
  t.match(line, { code: 'bad-configuration', msg: /EADDRINUSE/, hint: /free address/ })
})

void t.test('a directory in use is not used twice', async (t) => {
  const [host] = fleet.hosts
  const agent = await giveUp('second agent', ['agent', '--config', host?.configFile ?? ''])
  t.equal(agent.code, 1)
  t.match(agent.line, { code: 'already-running', hint: String })
})

void t.test('an agent that cannot join says why, and the token stays good', async (t) => {
  const joining = await fleet.addHost('web-3')
  fleet.hosts.pop()
  t.teardown(() => joining.relay.close())
  const lonely = joining.start()
  t.equal((await lonely.ended).code, 2)
  t.match(lonely.lines.at(-1), { code: 'bad-usage', hint: /--join-token-file/ })

  const { token, view } = await fleet.client.createToken({
    kind: 'join',
    apps: [{ app: 'shop', environment: 'production' }],
  })
  const config = readFileSync(joining.configFile, 'utf8')
  writeFileSync(joining.configFile, config.replace('name = "web-3"', 'name = "web-1"'))
  const twin = joining.start(token)
  t.equal((await twin.ended).code, 1)
  t.match(twin.lines.at(-1), { code: 'name-taken', msg: /web-1/, hint: /another name/ })
  const left = (await fleet.client.tokens()).find(({ id }) => id === view.id)
  t.equal(left?.usesLeft, 1)

  writeFileSync(joining.configFile, config.replace('"production"', '"staging"'))
  const misplaced = joining.start(token)
  t.equal((await misplaced.ended).code, 1)
  t.match(misplaced.lines.at(-1), { code: 'join-not-allowed', hint: String })
})

void t.test(
  'two agents with one identity: both are refused until the host is removed and joins anew',
  async (t) => {
    const host = fleet.host('web-2')
    const clone = await fleet.addHost('clone')
    fleet.hosts.pop()
    t.teardown(() => clone.relay.close())
    await host.daemon.stop()
    cpSync(host.state, clone.state, { recursive: true })
    host.start()
    await fleet.connected(['web-2'])
    const from = host.daemon.lines.length
    const copy = clone.start()
    const isClone = (line: LogLine) => line['code'] === 'cloned-identity'
    const alarms = await Promise.all([copy.logged(isClone), host.daemon.logged(isClone, from)])
    for (const alarm of alarms) {
      t.match(alarm, { code: 'cloned-identity', hint: /hosts remove web-2/ })
    }
    t.match((await fleet.environment()).hosts[1], {
      name: 'web-2',
      connected: false,
      clonedAt: Number,
      apps: [{ phase: 'failed', failure: { code: 'cloned-identity' } }],
    })
    await copy.stop()
    await host.daemon.stop()
    await fleet.request('DELETE', `/v1/hosts/${await host.id()}`)
    rmSync(join(host.state, 'identity.json'))
    host.start(await fleet.joinToken())
    await fleet.connected(['web-1', 'web-2'])
    t.equal((await fleet.environment()).hosts.length, 2)
    t.equal(host.current(), '1')
    await fleet.converged('1')
  },
)

void t.test(
  'a real directory at `current` is found before the barrier; mended, it goes on',
  async (t) => {
    await fleet.publish('2', smallRelease('2'))
    const host = fleet.host('web-2')
    const current = join(host.root, 'current')
    await host.daemon.stop()
    rmSync(current)
    mkdirSync(current)
    writeFileSync(join(current, 'by-hand'), 'precious')
    host.start()
    const id = await fleet.begin('2')
    const { view, participant } = await failing(id, host, 'current-is-directory')
    t.equal(view.phase, 'staging')
    t.match(participant, {
      phase: 'failed',
      failure: { message: String, hint: /lockstep adopt/ },
    })
    t.equal(fleet.host('web-1').current(), '1', 'nobody swapped')
    t.equal(readFileSync(join(current, 'by-hand'), 'utf8'), 'precious', 'nothing was overwritten')
    rmSync(current, { recursive: true })
    t.match(await endedInTruth(fleet, id), { phase: 'committed', exitCode: 0 })
  },
)

void t.test(
  'a damaged journal takes its own app out and no other; mended, the app is served',
  async (t) => {
    const host = fleet.host('web-2')
    const root = scratch('web-2-blog')
    const journal = join(root, '.lockstep/journal.json')
    mkdirSync(join(root, '.lockstep'))
    writeFileSync(journal, 'torn')
    await host.daemon.stop()
    appendFileSync(
      host.configFile,
      ['[apps.blog]', 'environment = "production"', `root = "${root}"`, ''].join('\n'),
    )
    const apps = [place, { app: 'blog', environment: 'production' }]
    const { token } = await fleet.client.createToken({ kind: 'join', apps })
    const daemon = host.start(token)
    const line = await daemon.logged(({ code }) => code === 'bad-journal')
    t.match(line, { app: 'blog', hint: String })
    await fleet.deploy('1')
    t.equal(host.current(), '1')
    rmSync(journal)
    const blog = await fleet.until('blog is served', async () => {
      const [one] = (await fleet.client.hosts({})).filter(({ name }) => name === 'web-2')
      const app = one?.apps.find((served) => served.app === 'blog')
      return app?.phase === 'idle' ? app : undefined
    })
    t.equal(blog.failure, null)
    await fleet.deploy('2')
  },
)

const isRoot = process.getuid?.() === 0
const skip = isRoot ? false : 'only root may mount a small file system'

void t.test('a full disk while staging; freed, it goes on', { skip }, async (t) => {
  const host = await fleet.addHost('web-4')
  mkdirSync(host.root)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', host.root])
  t.teardown(async () => {
    await host.daemon.kill()
    execFileSync('umount', [host.root])
  })
  host.start(await fleet.joinToken())
  await fleet.converged('2')

  const ballast = join(host.root, 'ballast')
  writeFileSync(ballast, Buffer.alloc(60 * 1024 * 1024))
  await fleet.publish('3', release('3'), 0)
  const first = await fleet.begin('3')
  const full = await failing(first, host, 'no-space')
  t.equal(full.view.phase, 'staging')
  t.match(full.participant.failure, { message: /bytes are? free|are free/, hint: /[Ff]ree space/ })
  t.same(
    fleet.hosts.map((one) => one.current()),
    ['2', '2', '2'],
  )
  rmSync(ballast)
  t.match(await endedInTruth(fleet, first), { phase: 'committed', exitCode: 0 })

  // The room that was there when it was asked for is gone when it is needed.
  await fleet.publish('4', release('4'), 0)
  host.relay.judge = ({ message }) => {
    if (message.type === 'observed' && message.phase === 'fetching') {
      fill(ballast)
      host.relay.judge = () => 'pass'
    }
    return 'pass'
  }
  const second = await fleet.begin('4')
  const late = await failing(second, host, 'no-space')
  t.match(late.participant.failure, { hint: /[Ff]ree/ })
  rmSync(ballast)
  t.match(await endedInTruth(fleet, second), { phase: 'committed', exitCode: 0 })
})

/** Large enough to be met in the middle. */
function release(version: string): Buffer {
  return archive(
    file('version', `${version}\n`),
    ...Array.from({ length: 40 }, (_, at) =>
      file(`data-${at}`, noise(`${version} ${at}`, 200_000)),
    ),
  )
}

/** Takes every byte that is left. */
function fill(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(96 * 1024 * 1024))
  } catch (error) {
    if (!(error instanceof Error) || error instanceof LockstepError) throw error
  }
}
