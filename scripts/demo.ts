// `npm run demo`: the main job in under a minute, on this machine. A controller, three agents, two real
// releases; the second replaces the first while visitors keep asking. `-- --stay` keeps it all up.

import { join } from 'node:path'
import { EnvironmentView, type RolloutView } from '#shared/api/schemas.ts'
import { Value } from 'typebox/value'
import { bytesText } from '#cli/output/quantities.ts'
import { answersOf, failedOf, type Visits } from './demo/crowd.ts'
import { DemoFleet } from './demo/fleet.ts'
import { buildRelease } from './demo/releases.ts'
import { Screen } from './demo/screen.ts'
import { summary } from './demo/summary.ts'

/** Requests that are asked for across the swap, and of each host by the new release. */
const requestsMin = 1000
const afterSwapMin = 100
const [old, young] = ['0.0.11', '0.0.12'] as const

const screen = new Screen()
const stays = process.argv.includes('--stay')
const fleet = new DemoFleet(screen)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => fleet.interrupt())
process.exitCode = await perform()

/** Whatever comes between, everything that was started is ended. */
async function perform(): Promise<number> {
  try {
    const exitCode = await show()
    if (stays) await stayUp()
    screen.line('Ending all processes and removing their directory.')
    await fleet.end('remove')
    return exitCode
  } catch (error) {
    if (fleet.isInterrupted) {
      await fleet.end('remove')
      return 130
    }
    screen.line()
    screen.line(`The demo failed: ${error instanceof Error ? error.message : String(error)}`)
    screen.line(`The logs of all processes are in ${fleet.logs}.`)
    await fleet.end('keep')
    return 1
  }
}

/** @returns the exit code */
async function show(): Promise<number> {
  screen.line('Lockstep: one controller, three hosts, two releases, one swap. All on this machine,')
  screen.line(`below ${fleet.directory}.`)
  screen.step('Start the controller')
  await fleet.startController()
  await publishBoth()
  screen.step('Start an agent on every host; each has a directory of its own here')
  await fleet.startAgents()
  await fleet.startSites()
  screen.step(`Deploy ${old}`)
  await fleet.run(['deploy', 'shop', old, '--env', 'production'])
  screen.step(`Deploy ${young} while visitors keep asking every host`)
  const { rollout, visits } = await deployUnderRequests()
  const currents = new Map(fleet.hosts.map((host) => [host, fleet.currentOf(host)]))
  screen.line()
  for (const line of summary({ rollout, visits, currents })) screen.line(line)
  const isDone = isAsPromised(visits) && [...currents.values()].every((to) => to.endsWith(young))
  for (const { firstFailure } of visits) if (firstFailure !== null) screen.line(firstFailure)
  screen.line()
  if (!isDone) screen.line('That is not what was promised.')
  return isDone ? 0 : 1
}

async function publishBoth(): Promise<void> {
  screen.step('Publish two releases: a small server on date-fns 4.3.0, and on 4.4.0')
  const directory = join(fleet.directory, 'build')
  for (const [version, source] of [
    [old, 'release-old'],
    [young, 'release-new'],
  ] as const) {
    const { tarball, files, sizeBytes } = await buildRelease(directory, source, version)
    screen.say(`built shop ${version}: ${files} files, ${bytesText(sizeBytes)}`)
    await fleet.run(['publish', 'shop', version, tarball])
  }
}

async function deployUnderRequests(): Promise<{
  rollout: RolloutView
  visits: readonly Visits[]
}> {
  const crowd = fleet.startCrowd()
  await crowd.until((visits) => visits.every((one) => answersOf([one], old) > 0))
  await fleet.run(['deploy', 'shop', young, '--env', 'production'])
  await crowd.until(
    (visits) =>
      answersOf(visits) >= requestsMin &&
      visits.every((one) => answersOf([one], young) >= afterSwapMin),
  )
  const { visits } = crowd
  await crowd.stop()
  const status = await fleet.run(['status', 'shop', '--env', 'production', '--json'], {
    isQuiet: true,
  })
  const { rollout } = Value.Parse(EnvironmentView, JSON.parse(status))
  if (rollout === null) throw new Error('there was no rollout')
  return { rollout, visits }
}

function isAsPromised(visits: readonly Visits[]): boolean {
  return failedOf(visits) === 0 && answersOf(visits) >= requestsMin
}

/** Until Ctrl-C, which is then how the demo is meant to end. */
async function stayUp(): Promise<void> {
  const command = join(import.meta.dirname, '../bin/lockstep')
  screen.line('Everything stays up until Ctrl-C.')
  screen.line()
  screen.line(`  controller  ${fleet.url}`)
  for (const [host, url] of fleet.sites) screen.line(`  ${host.padEnd(10)}  ${url}`)
  screen.line()
  screen.line('To try in another terminal:')
  screen.line()
  screen.line(`  export LOCKSTEP_URL=${fleet.url} LOCKSTEP_TOKEN_FILE=${fleet.tokenFile}`)
  screen.line(`  alias lockstep=${command}`)
  for (const words of ['status', 'hosts', 'rollback shop --env production', 'watch']) {
    screen.line(`  lockstep ${words}`)
  }
  screen.line(`  curl ${fleet.sites.get('web-1')}`)
  await fleet.interrupted
}
