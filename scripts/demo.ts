// `npm run demo`: the main job on one machine. A controller and three agents as processes of their
// own, two real releases built and published, the second deployed under live requests.
// `-- --stay` keeps everything up afterwards. Exit code 0 only if nothing failed.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { create } from 'tar'
import type { RolloutList, RolloutView } from '#shared/api/schemas.ts'
import { Stage } from './demo/stage.ts'
import type { VisitorReport } from './demo/visitors.ts'

const hosts = ['web-1', 'web-2', 'web-3']
const place = ['shop', '--env', 'production']
/** Real packages, adjacent versions: the releases' content. */
const releases = [
  { version: '0.0.11', source: 'release-old' },
  { version: '0.0.12', source: 'release-new' },
]
/** So many requests at least, a good part of them before and after the swap. */
const requestsMin = 1000
/** How often the visitors are asked how far they are. */
const reportEveryMs = 50

const stage = await Stage.open()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stage.interrupt())
process.exitCode = await perform()

async function perform(): Promise<number> {
  try {
    const good = await play()
    if (process.argv.includes('--stay')) await stage.interrupted()
    return good ? 0 : 1
  } catch (error) {
    if (!stage.isInterrupted) throw error
    return 130
  } finally {
    await stage.close()
  }
}

/** @returns whether everything that the demo promises was seen */
async function play(): Promise<boolean> {
  const startedAt = performance.now()
  console.log('Starting a controller and three agents, each a process of its own …')
  const env = await startController()
  for (const host of hosts) await startAgent(host, env)
  for (const { version, source } of releases) {
    const tarball = await build(version, source)
    await stage.shown(['publish', 'shop', version, tarball], env)
  }
  if ((await stage.shown(['deploy', 'shop', '0.0.11', '--env', 'production'], env)) !== 0)
    return false
  const sites = await Promise.all(hosts.map(startSite))
  const visitors = stage.script('visitors.ts', sites)
  await requestsReach(visitors, requestsMin / 4)
  const code = await stage.shown(['deploy', 'shop', '0.0.12', '--env', 'production'], env)
  const swapped = await report(visitors)
  await requestsReach(visitors, Math.max(requestsMin, swapped.requests + requestsMin / 4))
  const seen = await stop(visitors)
  const rollouts: RolloutList = JSON.parse(
    await stage.command(['history', ...place, '--json'], env),
  )
  const rollout = rollouts.items[0]
  if (rollout === undefined) return false
  const good = code === 0 && isGood(seen)
  summarise(rollout, seen, performance.now() - startedAt)
  if (process.argv.includes('--stay')) invite(env, sites)
  return good
}

async function startController(): Promise<Record<string, string>> {
  const data = stage.path('controller')
  const { url } = await stage.daemon(
    ['controller', '--data', data, '--listen', '127.0.0.1:0'],
    'listening',
  )
  return { LOCKSTEP_URL: String(url), LOCKSTEP_TOKEN_FILE: stage.path('controller', 'admin-token') }
}

async function startAgent(host: string, env: Record<string, string>): Promise<void> {
  await mkdir(stage.path(host), { recursive: true })
  const token = await stage.command(
    ['token', 'create', '--join', '--app', 'shop', '--env', 'production'],
    env,
  )
  await writeFile(stage.path(host, 'join-token'), token, { mode: 0o600 })
  await writeFile(
    stage.path(host, 'agent.toml'),
    [
      `controller = "${env['LOCKSTEP_URL']}"`,
      `name = "${host}"`,
      `state = "${stage.path(host, 'state')}"`,
      '[apps.shop]',
      'environment = "production"',
      `root = "${stage.path(host, 'shop')}"`,
      '',
    ].join('\n'),
  )
  const config = stage.path(host, 'agent.toml')
  const tokenFile = stage.path(host, 'join-token')
  await stage.daemon(['agent', '--config', config, '--join-token-file', tokenFile], 'connected')
}

/** A real package as the release's content, with the name of the release in it: the "build". */
async function build(version: string, source: string): Promise<string> {
  const tarball = stage.path(`shop-${version}.tar.gz`)
  const built = stage.path(`build-${version}`)
  await cp(new URL(`../node_modules/${source}`, import.meta.url), built, { recursive: true })
  await writeFile(`${built}/RELEASE`, `${version}\n`)
  await create({ file: tarball, cwd: built, gzip: true, portable: true }, ['.'])
  return tarball
}

async function startSite(host: string): Promise<string> {
  const site = stage.script('site.ts', [stage.path(host, 'shop')])
  const [{ port }] = (await once(site, 'message')) as [{ port: number }]
  return `http://127.0.0.1:${port}/`
}

async function requestsReach(visitors: ChildProcess, requests: number): Promise<void> {
  while ((await report(visitors)).requests < requests) await sleep(reportEveryMs)
}

async function report(visitors: ChildProcess): Promise<VisitorReport> {
  visitors.send('report')
  const [seen] = (await once(visitors, 'message')) as [VisitorReport]
  return seen
}

async function stop(visitors: ChildProcess): Promise<VisitorReport> {
  visitors.send('stop')
  const [seen] = (await once(visitors, 'message')) as [VisitorReport]
  return seen
}

/** Every release that was deployed answered, and nothing else; nobody was turned away. */
function isGood(seen: VisitorReport): boolean {
  const answered = Object.keys(seen.byRelease).sort().join()
  const wanted = releases.map(({ version }) => version).join()
  return (
    seen.requests >= requestsMin && seen.failed === 0 && seen.mixed === 0 && answered === wanted
  )
}

function summarise(rollout: RolloutView, seen: VisitorReport, tookMs: number): void {
  const phases = rollout.phases.map(({ phase, at }, index) => {
    const next = rollout.phases[index + 1]
    return next === undefined ? phase : `${phase} ${Math.round(next.at - at)} ms`
  })
  const answers = Object.entries(seen.byRelease).map(([version, count]) => `${version}: ${count}`)
  const rows = [
    ['rollout', `${rollout.target.version} ${rollout.phase}`],
    ['hosts', rollout.participants.map((p) => `${p.name} runs ${p.runs}`).join(', ')],
    ['phases', phases.join(' → ')],
    [
      'skew',
      `${number(rollout.skewMs)} ms, first to last swap (± ${number(rollout.skewErrorMs)} ms)`,
    ],
    ['requests', `${seen.requests} from another process across the swap`],
    ['answers', answers.join(', ')],
    ['failed', `${seen.failed} failed, ${seen.mixed} mixed two releases`],
    ['took', `${Math.round(tookMs / 1000)} s, without installing`],
  ]
  console.log('\nSummary')
  for (const [name = '', value = ''] of rows) console.log(`  ${name.padEnd(9)} ${value}`)
}

function number(value: number | null): string {
  return value === null ? 'unknown' : value.toFixed(1)
}

function invite(env: Record<string, string>, sites: readonly string[]): void {
  console.log(`
It stays up until Ctrl-C. In another terminal:
${Object.entries(env)
  .map(([name, value]) => `  export ${name}=${value}`)
  .join('\n')}
  bin/lockstep status
  bin/lockstep watch shop --env production
  bin/lockstep rollback shop --env production
The sites: ${sites.join(' ')}
The hosts' directories: ${stage.directory}`)
}
