// The main job on five hosts with real release trees: there, on, and back again; held up by one that
// is away; taken back by one that fails.

import { execFileSync } from 'node:child_process'
import {
  createReadStream,
  mkdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { RolloutView } from '#shared/api/schemas.ts'
import { smallRelease } from '../../support/small-release.ts'
import type { AgentHost } from '../fleet/agent-host.ts'
import { Fleet, place } from '../fleet/fleet.ts'
import { type RealRelease, realRelease } from '../fleet/real-release.ts'
import { treeDifferences, type TreeFacts, treeFacts } from '../fleet/tree-comparison.ts'
import { endedInTruth } from '../fleet/truth.ts'

const names = ['web-1', 'web-2', 'web-3', 'web-4', 'web-5']
const fleet = await Fleet.start(t, names)

function currents(): (string | null)[] {
  return fleet.hosts.map((host) => host.current())
}

/** What differs on any host from GNU tar's extraction. */
async function differences(release: RealRelease, expected: TreeFacts): Promise<string[]> {
  const found = fleet.hosts.map(async (host) => {
    const lines = treeDifferences(expected, await treeFacts(join(host.root, 'current/')))
    return lines.map((line) => `${host.name} ${release.version}: ${line}`)
  })
  return (await Promise.all(found)).flat()
}

function phasesText(view: RolloutView): string {
  const times = view.phases.map(
    ({ phase, at }) => `${phase} at ${Math.round(at - view.startedAt)} ms`,
  )
  return `${view.target.version}: ${times.join(', ')}; skew ${view.skewMs?.toFixed(1)} ms`
}

void t.test('real trees: v1, v2 and back, on every host as GNU tar extracts them', async (t) => {
  const old = await realRelease(fleet.directory, 'release-old', '1.0.0')
  const young = await realRelease(fleet.directory, 'release-new', '2.0.0')
  const oldFacts = await treeFacts(old.extracted, 0o755)
  const youngFacts = await treeFacts(young.extracted, 0o755)
  for (const { version, tarball } of [old, young]) {
    await fleet.publish(version, createReadStream(tarball))
  }
  t.comment(phasesText(await fleet.deploy(old.version)))
  t.same(await differences(old, oldFacts), [])
  t.comment(phasesText(await fleet.deploy(young.version)))
  t.same(await differences(young, youngFacts), [])

  const answer = await fleet.client.rollback(place, {}, 'back')
  const back = await fleet.ended(answer.rollout?.id ?? '')
  t.equal(back.phase, 'committed')
  t.equal(back.target.version, old.version)
  await fleet.converged(old.version)
  t.same(await differences(old, oldFacts), [])
  t.comment(phasesText(back))
  t.comment(`${names.length} hosts, trees of ${oldFacts.size} and ${youngFacts.size} entries`)
})

void t.test('one of five stopped: nobody swaps; started again: all five swap', async (t) => {
  await fleet.publish('3.0.0', smallRelease('3.0.0'))
  const before = currents()
  const away = fleet.host('web-3')
  await away.daemon.stop()
  let readyOfAway = false
  const toldEarly: string[] = []
  for (const host of fleet.hosts) {
    host.relay.judge = ({ message }) => {
      if (message.type === 'observed' && message.phase === 'ready') readyOfAway ||= host === away
      const isTold = message.type === 'desired' && message.kind === 'activate'
      if (isTold && !readyOfAway) toldEarly.push(host.name)
      return 'pass'
    }
  }
  const id = await fleet.begin('3.0.0')
  const waiting = await fleet.rollout(
    id,
    'ready on four',
    ({ participants }) => participants.filter(({ phase }) => phase === 'ready').length === 4,
  )
  t.equal(waiting.phase, 'staging')
  t.equal(waiting.participants.find(({ name }) => name === away.name)?.phase, 'unknown')
  t.same(currents(), before)

  away.start()
  const end = await endedInTruth(fleet, id)
  t.equal(end.phase, 'committed')
  t.same(currents(), Array(5).fill('3.0.0'))
  t.same(toldEarly, [], 'nobody was told to swap before the fifth was ready')
  for (const host of fleet.hosts) host.relay.judge = () => 'pass'
})

/** Does something to the host in the instant in which it is told to swap. */
function whenTold(host: AgentHost, act: () => void): void {
  host.relay.judge = ({ message }) => {
    if (message.type === 'desired' && message.kind === 'activate') {
      act()
      host.relay.judge = () => 'pass'
    }
    return 'pass'
  }
}

/** @returns the failure that the host reported when it was told to swap */
async function failureOf(id: string, host: AgentHost) {
  const view = await fleet.rollout(id, 'going back', ({ phase }) => phase.startsWith('roll'))
  return view.participants.find(({ name }) => name === host.name)?.failure ?? null
}

void t.test('a staged release that vanished before its swap takes all five back', async (t) => {
  await fleet.publish('4.0.0', smallRelease('4.0.0'))
  const host = fleet.host('web-2')
  const [version, aside] = [join(host.root, 'versions/4.0.0'), join(host.root, 'aside')]
  whenTold(host, () => renameSync(version, aside))
  const id = await fleet.begin('4.0.0')
  t.match(await failureOf(id, host), { code: 'tree-drifted', hint: String })
  const end = await endedInTruth(fleet, id)
  t.match(end, { phase: 'rolled-back', reason: 'host-failed', exitCode: 3, unknown: [] })
  t.same(currents(), Array(5).fill('3.0.0'))
  t.same((await fleet.environment()).desired?.version, '3.0.0')
})

void t.test('a directory at `current` takes all five back, and stays', async (t) => {
  const host = fleet.host('web-4')
  const current = join(host.root, 'current')
  whenTold(host, () => {
    unlinkSync(current)
    mkdirSync(current)
  })
  const id = await fleet.begin('4.0.0')
  t.match(await failureOf(id, host), { code: 'current-is-directory', hint: /lockstep adopt/ })
  t.equal(host.current(), 'a directory')
  rmdirSync(current)
  symlinkSync('versions/3.0.0', current)
  const end = await endedInTruth(fleet, id)
  t.match(end, { phase: 'rolled-back', reason: 'host-failed', exitCode: 3, unknown: [] })
  t.same(currents(), Array(5).fill('3.0.0'))
})

void t.test('a root that may not be written to takes all five back', async (t) => {
  const host = fleet.host('web-5')
  const isRoot = process.getuid?.() === 0
  // Modes do not hold root up, an immutable directory does.
  const [lock, unlock] = isRoot
    ? [['chattr', '+i'] as const, ['chattr', '-i'] as const]
    : [['chmod', 'u-w'] as const, ['chmod', 'u+w'] as const]
  const run = ([program, option]: readonly [string, string]) =>
    execFileSync(program, [option, host.root])
  t.teardown(() => run(unlock))
  whenTold(host, () => run(lock))
  const id = await fleet.begin('4.0.0')
  t.match(await failureOf(id, host), { code: 'activate-failed', hint: String })
  const end = await endedInTruth(fleet, id)
  t.match(end, { phase: 'rolled-back', reason: 'host-failed', exitCode: 3, unknown: [] })
  t.same(currents(), Array(5).fill('3.0.0'))

  run(unlock)
  t.equal((await fleet.deploy('4.0.0')).phase, 'committed', 'and the next rollout goes through')
})
