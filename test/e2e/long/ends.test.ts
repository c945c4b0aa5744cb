// Every way in which a rollout ends, with real processes: cancelled, superseded, late, lost, removed,
// excluded, and with a controller that was away past a deadline.

import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { limits } from '#shared/limits.ts'
import { LockstepError } from '#shared/errors.ts'
import { smallRelease } from '../../support/small-release.ts'
import type { AgentHost } from '../fleet/agent-host.ts'
import { Fleet } from '../fleet/fleet.ts'
import { endedInTruth } from '../fleet/truth.ts'

const shiftedClock = new URL('../fleet/shifted-clock.ts', import.meta.url).href

async function startFleet(t: Parameters<typeof Fleet.start>[0], names: string[]): Promise<Fleet> {
  const fleet = await Fleet.start(t, names)
  for (const version of ['1', '2']) await fleet.publish(version, smallRelease(version))
  await fleet.deploy('2')
  await fleet.deploy('1')
  return fleet
}

function currents(fleet: Fleet): (string | null)[] {
  return fleet.hosts.map((host) => host.current())
}

/** Waits until that many hosts hold a fresh promise. */
function ready(fleet: Fleet, id: string, count: number) {
  return fleet.rollout(
    id,
    `ready on ${count}`,
    ({ participants }) => participants.filter(({ phase }) => phase === 'ready').length === count,
  )
}

/** The host never hears of a decision to activate; everything else goes through. */
function loseActivate(host: AgentHost): void {
  host.relay.judge = ({ message }) =>
    message.type === 'desired' && message.kind === 'activate' ? 'lose' : 'pass'
}

function passAll(fleet: Fleet): void {
  for (const host of fleet.hosts) host.relay.judge = () => 'pass'
}

function swapped(fleet: Fleet, names: string[], version: string): Promise<true> {
  return fleet.until(
    `${names.join(', ')} swapped`,
    () => names.every((name) => fleet.host(name).current() === version) || undefined,
  )
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return error.code
  }
}

/** A restart after a longer absence than this test has time for. */
function startAhead(fleet: Fleet, aheadMs: number) {
  return fleet.startController({
    nodeOptions: ['--import', shiftedClock],
    env: { LOCKSTEP_E2E_AHEAD_MS: String(aheadMs) },
  })
}

t.jobs = 5

void t.test('requests of operators', { buffered: true }, async (t) => {
  const fleet = await startFleet(t, ['web-1', 'web-2', 'web-3'])
  const away = fleet.host('web-3')

  await t.test('a cancel before the decision aborts, and waits for nobody', async (t) => {
    await away.daemon.stop()
    const id = await fleet.begin('2')
    await ready(fleet, id, 2)
    t.equal((await fleet.client.cancel(id)).outcome, 'cancelled')
    const end = await endedInTruth(fleet, id)
    t.match(end, { phase: 'aborted', reason: 'cancelled', exitCode: 4 })
    t.same(currents(fleet), ['1', '1', '1'])
    t.equal(await codeOf(fleet.client.cancel(id)), 'nothing-to-cancel')
  })

  await t.test('a newer request supersedes while staging; the committed one aborts', async (t) => {
    await fleet.publish('3', smallRelease('3'))
    const first = await fleet.begin('2')
    t.equal((await fleet.desire('2')).outcome, 'open', 'the same again is the same rollout')
    const second = await fleet.begin('3')
    t.match(await endedInTruth(fleet, first), {
      phase: 'aborted',
      reason: 'superseded',
      exitCode: 4,
    })
    t.equal((await fleet.desire('1')).outcome, 'returned')
    t.match(await endedInTruth(fleet, second), { phase: 'aborted', reason: 'superseded' })
    t.equal((await fleet.desire('1')).outcome, 'unchanged')
    t.same(currents(fleet), ['1', '1', '1'])
  })

  await t.test('at the stage deadline nobody swaps, or as many as were asked for', async (t) => {
    const late = await endedInTruth(fleet, await fleet.begin('2', { waitMs: 1000 }))
    t.match(late, { phase: 'aborted', reason: 'stage-deadline', exitCode: 4 })
    t.same(currents(fleet), ['1', '1', '1'])
    t.equal(await codeOf(fleet.desire('2', { require: '4' })), 'too-few-hosts')
    const enough = await endedInTruth(fleet, await fleet.begin('2', { waitMs: 4000, require: '2' }))
    t.match(enough, { phase: 'committed', exitCode: 0 })
    t.equal(enough.participants.find(({ name }) => name === 'web-3')?.state, 'left-behind')
    t.same(currents(fleet), ['2', '2', '1'])
    away.start()
    await fleet.converged('2')
    t.same(currents(fleet), ['2', '2', '2'], 'the one left behind comes by itself')
  })

  await t.test('a cancel after the decision takes everybody back', async (t) => {
    loseActivate(away)
    const id = await fleet.begin('1')
    await swapped(fleet, ['web-1', 'web-2'], '1')
    t.equal((await fleet.client.rollout(id)).phase, 'activating')
    t.equal(await codeOf(fleet.desire('3')), 'rollout-open')
    t.equal((await fleet.desire('1')).outcome, 'open')
    t.equal((await fleet.client.cancel(id)).outcome, 'cancelled')
    const end = await endedInTruth(fleet, id)
    t.match(end, { phase: 'rolled-back', reason: 'cancelled', exitCode: 3, unknown: [] })
    t.same(currents(fleet), ['2', '2', '2'])
    passAll(fleet)
  })

  await t.test('an excluded host keeps what it runs until a rollout that means it', async (t) => {
    const exclude = { 'web-2': 'its disk is being replaced' }
    t.equal(await codeOf(fleet.desire('3', { exclude: { 'web-9': 'typo' } })), 'unknown-host')
    const end = await fleet.ended(await fleet.begin('3', { exclude }))
    t.match(end, { phase: 'committed', exitCode: 0 })
    await fleet.converged('3', ['web-1', 'web-3'])
    t.same(currents(fleet), ['3', '2', '3'])
    const { hosts } = await fleet.environment()
    t.equal(hosts.find(({ name }) => name === 'web-2')?.apps[0]?.excluded, exclude['web-2'])
    t.equal((await fleet.deploy('1')).phase, 'committed')
    t.same(currents(fleet), ['1', '1', '1'])
  })

  await t.test('a late joiner comes to what is committed, and into a rollout', async (t) => {
    const joiner = await fleet.addHost('web-4')
    joiner.start(await fleet.joinToken())
    await fleet.converged('1', ['web-4'])
    await away.daemon.stop()
    const id = await fleet.begin('2')
    await ready(fleet, id, 3)
    const other = await fleet.addHost('web-5')
    other.start(await fleet.joinToken())
    const joined = await ready(fleet, id, 4)
    t.equal(joined.phase, 'staging')
    t.equal(other.current(), '1', 'first the fallback, then ready')
    away.start()
    const end = await endedInTruth(fleet, id)
    t.match(end, { phase: 'committed', exitCode: 0 })
    t.equal(end.participants.length, 5)
    t.same(currents(fleet), ['2', '2', '2', '2', '2'])
  })

  await t.test('a host removed while staging holds nobody up', async (t) => {
    await away.daemon.stop()
    const id = await fleet.begin('1')
    await ready(fleet, id, 4)
    await fleet.client.removeHost(await away.id())
    t.match(await fleet.ended(id), { phase: 'committed', exitCode: 0 })
    await fleet.converged('1', ['web-1', 'web-2', 'web-4', 'web-5'])
    const { code } = await away.start().logged((line) => line['code'] === 'unknown-host')
    t.equal(code, 'unknown-host', 'it is turned away')
    t.equal(away.current(), '2', 'and keeps what it runs')
  })

  await t.test('a host removed after the decision is a loss', async (t) => {
    const lost = fleet.host('web-4')
    loseActivate(lost)
    const id = await fleet.begin('2')
    await swapped(fleet, ['web-1', 'web-2', 'web-5'], '2')
    await fleet.client.removeHost(await lost.id())
    const end = await fleet.ended(id)
    t.match(end, { phase: 'rolled-back', reason: 'host-removed', exitCode: 3 })
    await fleet.converged('1', ['web-1', 'web-2', 'web-5'])
    t.equal(lost.current(), '1')
  })
})

void t.test(
  'lost after the decision: all go back, and the lost one is named',
  { buffered: true },
  async (t) => {
    const fleet = await startFleet(t, ['web-1', 'web-2', 'web-3'])
    const lost = fleet.host('web-2')
    const from = lost.daemon.lines.length
    void lost.daemon.logged((line) => line.msg === 'swapped', from).then(() => lost.daemon.kill())
    // What it says of its swap is lost with it.
    lost.relay.judge = ({ message }) =>
      message.type === 'observed' && message.current?.version === '2' ? 'lose' : 'pass'
    const id = await fleet.begin('2')
    await fleet.rollout(id, 'going back', ({ phase }) => phase === 'rolling-back')
    // Three quarters of the roll back's own deadline are not waited for.
    await fleet.controller.kill()
    await startAhead(fleet, limits.rollBackDeadlineMs - limits.leaseMs)
    const end = await fleet.ended(id)
    t.match(end, {
      phase: 'rolled-back',
      reason: 'activation-deadline',
      exitCode: 5,
      unknown: ['web-2'],
    })
    t.equal(end.participants.find(({ name }) => name === 'web-2')?.phase, 'unknown')
    t.same(currents(fleet), ['1', '2', '1'], 'on the disk it is where nobody knows')
    passAll(fleet)
    lost.start()
    await fleet.converged('1')
    t.same(currents(fleet), ['1', '1', '1'], 'and it is corrected as soon as it is back')
  },
)

void t.test(
  'lost after the decision, if two are enough: dropped by name',
  { buffered: true },
  async (t) => {
    const fleet = await startFleet(t, ['web-1', 'web-2', 'web-3'])
    const lost = fleet.host('web-3')
    lost.dieWhenTold()
    const end = await fleet.ended(await fleet.begin('2', { require: '2' }))
    t.match(end, { phase: 'committed', exitCode: 0 })
    t.equal(end.participants.find(({ name }) => name === 'web-3')?.state, 'dropped')
    const dropped = 'web-3 was dropped (activation-deadline)'
    await fleet.until(dropped, () => fleet.facts.some(({ text }) => text === dropped) || undefined)
    t.same(currents(fleet).slice(0, 2), ['2', '2'])
    passAll(fleet)
    lost.start()
    await fleet.converged('2')
  },
)

void t.test(
  'a promise grows old: an agent that hangs is not ready',
  { buffered: true },
  async (t) => {
    const fleet = await startFleet(t, ['web-1', 'web-2'])
    const [hung, late] = [fleet.host('web-1'), fleet.host('web-2')]
    await late.daemon.stop()
    const id = await fleet.begin('2')
    await ready(fleet, id, 1)
    hung.daemon.signal('SIGSTOP')
    const phaseOf = (name: string) => async () => {
      const { participants } = await fleet.client.rollout(id)
      return participants.find((participant) => participant.name === name)?.phase
    }
    await fleet.until(
      'web-1 unheard',
      async () => (await phaseOf('web-1')()) === 'unknown' || undefined,
    )
    late.start()
    const one = await ready(fleet, id, 1)
    t.equal(one.phase, 'staging', 'one fresh promise and an old one open nothing')
    t.same(currents(fleet), ['1', '1'])
    hung.daemon.signal('SIGCONT')
    t.match(await endedInTruth(fleet, id), { phase: 'committed', exitCode: 0 })
  },
)

void t.test('a controller that was away past a deadline', { buffered: true }, async (t) => {
  const fleet = await startFleet(t, ['web-1', 'web-2', 'web-3'])
  const away = fleet.host('web-3')
  /** Longer than anybody needs here to be ready. */
  const waitMs = 100_000

  await t.test('of staging: one lease to report in, then the judgement', async (t) => {
    await away.daemon.stop()
    const id = await fleet.begin('2', { waitMs })
    const before = await ready(fleet, id, 2)
    await fleet.controller.kill()
    await startAhead(fleet, waitMs)
    const { deadlineAt, phase } = await fleet.client.rollout(id)
    t.equal(phase, 'staging')
    t.ok(deadlineAt >= before.deadlineAt + limits.leaseMs, 'a lease after it came back')
    away.start()
    t.match(await endedInTruth(fleet, id), { phase: 'committed', exitCode: 0 }, 'all came in time')
    await away.daemon.stop()
    const again = await fleet.begin('1', { waitMs })
    await ready(fleet, again, 2)
    await fleet.controller.kill()
    await startAhead(fleet, 2 * waitMs)
    const end = await endedInTruth(fleet, again)
    t.match(end, { phase: 'aborted', reason: 'stage-deadline', exitCode: 4 })
    t.same(currents(fleet), ['2', '2', '2'])
    away.start()
    await fleet.converged('2')
  })

  await t.test('of the activation: straight back', async (t) => {
    loseActivate(away)
    const id = await fleet.begin('1')
    await swapped(fleet, ['web-1', 'web-2'], '1')
    await fleet.controller.kill()
    await startAhead(fleet, 2 * waitMs + limits.activationDeadlineMs)
    const end = await endedInTruth(fleet, id)
    t.match(end, { phase: 'rolled-back', reason: 'controller-was-away', exitCode: 3, unknown: [] })
    t.same(currents(fleet), ['2', '2', '2'])
    passAll(fleet)
  })

  await t.test('of the roll back: one lease, then the unknown is named', async (t) => {
    away.dieWhenTold()
    const id = await fleet.begin('1')
    await away.daemon.ended
    t.equal((await fleet.client.cancel(id)).outcome, 'cancelled')
    await fleet.controller.kill()
    const aheadMs = limits.activationDeadlineMs + limits.rollBackDeadlineMs
    await startAhead(fleet, 2 * waitMs + aheadMs)
    const end = await fleet.ended(id)
    t.match(end, { phase: 'rolled-back', reason: 'cancelled', exitCode: 5, unknown: ['web-3'] })
    t.same(currents(fleet).slice(0, 2), ['2', '2'])
    passAll(fleet)
    away.start()
    await fleet.converged('2')
  })
})

void t.test(
  'a controller restored from a backup is fenced until it is told',
  { buffered: true },
  async (t) => {
    const fleet = await startFleet(t, ['web-1', 'web-2'])
    const backup = join(fleet.directory, 'backup')
    await fleet.controller.stop()
    await cp(fleet.data, backup, { recursive: true })
    await fleet.startController()
    await fleet.deploy('2')
    await fleet.controller.stop()
    await rm(fleet.data, { recursive: true })
    await cp(backup, fleet.data, { recursive: true })
    await fleet.startController()

    const fenced = await fleet.until('fenced by both', async () => {
      const view = await fleet.environment()
      return view.fencedBy.length === 2 ? view : undefined
    })
    t.equal(fenced.committed?.version, '1', 'what the backup knows')
    t.same(fenced.fencedBy.map(({ name }) => name).sort(), ['web-1', 'web-2'])
    t.equal(await codeOf(fleet.desire('1')), 'fenced')
    t.same(currents(fleet), ['2', '2'], 'nobody moves')
    const place = { app: 'shop', environment: 'production' }
    t.equal(await codeOf(fleet.client.recover(place, {})), 'run-required')
    const { environment } = await fleet.client.recover(place, { run: '2' })
    t.equal(environment.committed?.version, '2')
    await fleet.converged('2')
    t.equal(await codeOf(fleet.client.recover(place, { run: '2' })), 'not-fenced')
    await fleet.deploy('1')
    t.same(currents(fleet), ['1', '1'])
  },
)
