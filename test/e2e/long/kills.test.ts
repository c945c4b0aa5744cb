// kill -9 of an agent in every phase that it reports, and of the controller on both sides of the
// decision, 20 times each. Every rollout ends in truth, and everybody comes to what is committed.

import t, { type Test } from 'tap'
import type { RolloutView } from '#shared/api/schemas.ts'
import type { ObservedMessage } from '#shared/wire/messages.ts'
import { smallRelease } from '../../support/small-release.ts'
import type { AgentHost } from '../fleet/agent-host.ts'
import { Fleet } from '../fleet/fleet.ts'
import type { Heard } from '../fleet/relay.ts'
import { endedInTruth } from '../fleet/truth.ts'

const hitsWanted = 20
/** Rounds in which the moment was missed are played again, but not for ever. */
const roundsMax = 60

interface Round {
  readonly fleet: Fleet
  readonly number: number
  readonly version: string
  /** Another host in every round. */
  readonly victim: AgentHost
}

interface Hit {
  /** Where the kill was found to have struck; null when it came too late. */
  readonly moment: string | null
  readonly end: RolloutView
}

interface Kind {
  readonly phase: string
  /** Whether every round needs a release that no host holds yet. */
  readonly isFresh: boolean
  readonly play: (round: Round) => Promise<Hit>
}

const staging: Kind = { phase: 'agent staging', isFresh: true, play: killStaging }
const ready: Kind = { phase: 'agent ready', isFresh: false, play: killReady }
const activating: Kind = { phase: 'agent activating', isFresh: false, play: killActivating }
const before: Kind = { phase: 'controller, undecided', isFresh: false, play: killBeforeDecision }
const after: Kind = { phase: 'controller, decided', isFresh: false, play: killAfterDecision }

/** Each plan has a fleet of its own; they run beside each other. */
const plans = [[staging], [ready, activating], [before], [after]]

t.jobs = plans.length
for (const plan of plans) {
  const name = plan.map(({ phase }) => phase).join('; ')
  const isFresh = plan.some((kind) => kind.isFresh)
  // Staging is the only one that costs time on every host.
  const names = isFresh ? ['web-1', 'web-2'] : ['web-1', 'web-2', 'web-3']
  void t.test(`kill -9: ${name}`, { buffered: true }, async (t) => {
    const fleet = await Fleet.start(t, names)
    for (const version of isFresh ? ['1.0'] : ['1.0', '1.1']) {
      await fleet.publish(version, smallRelease(version))
      await fleet.deploy(version)
    }
    for (const kind of plan) await play(t, fleet, kind)
  })
}

/** Rounds of one kind until it was hit often enough. */
async function play(t: Test, fleet: Fleet, kind: Kind): Promise<void> {
  const moments = new Map<string, number>()
  const ends = new Map<string, number>()
  let hits = 0
  let number = 0
  for (; hits < hitsWanted && number < roundsMax; number += 1) {
    const version = await nextVersion(fleet, kind, number)
    const victim = fleet.hosts[number % fleet.hosts.length]
    if (victim === undefined) break
    const { moment, end } = await kind.play({ fleet, number, version, victim })
    for (const host of fleet.hosts) host.relay.judge = () => 'pass'
    if (moment !== null) hits += 1
    count(moments, moment ?? 'missed')
    count(ends, `${end.phase} (exit ${end.exitCode})`)
  }
  t.equal(hits, hitsWanted, `${kind.phase}: ${hits} hits in ${number} rounds`)
  t.comment(`${kind.phase}: ${hits} kills hit: ${listed(moments)}; ended ${listed(ends)}`)
}

/** A new one, or of two that every host holds the one that is not committed. */
async function nextVersion(fleet: Fleet, kind: Kind, number: number): Promise<string> {
  if (!kind.isFresh) {
    return (await fleet.environment()).committed?.version === '1.0' ? '1.1' : '1.0'
  }
  const version = `2.${number}`
  await fleet.publish(version, smallRelease(version))
  return version
}

// ---- agents ------------------------------------------------------------------------------------

/** Before the first byte, and between the bytes. */
async function killStaging(round: Round): Promise<Hit> {
  const { victim, version, number } = round
  const isLate = number % 2 === 1
  return killAgent(round, {
    arm: (kill) => {
      onReport(victim, 'fetching', (report) => {
        if (!isLate || report.progress !== null) kill()
      })
    },
    momentOf: async () => {
      if (victim.versions().includes(version)) return null
      return isLate ? 'with bytes on the disk' : 'as it began'
    },
  })
}

/** The promise is given and the one who gave it is gone, whether it was heard or not. */
async function killReady(round: Round): Promise<Hit> {
  const { victim } = round
  return killAgent(round, {
    arm: (kill) => onReport(victim, 'ready', kill),
    momentOf: async () => ((await victim.journal()).told?.kind === 'stage' ? 'promised' : null),
  })
}

/** Before its rename and, told by the log, right after it. */
async function killActivating(round: Round): Promise<Hit> {
  const { fleet, victim, version, number } = round
  return killAgent(round, {
    arm: (kill) => {
      if (number % 2 === 0) onReport(victim, 'activating', kill)
      else onLine(victim, 'swapped', kill)
    },
    momentOf: async (id) => {
      if ((await victim.journal()).told?.kind !== 'activate') return null
      const { phase } = await fleet.client.rollout(id)
      if (number % 5 === 4 && phase === 'activating') await fleet.client.cancel(id)
      return victim.current() === version ? 'after the rename' : 'before the rename'
    },
  })
}

/** Kills the victim once, and restarts it after a look at what it left. */
async function killAgent(
  { fleet, victim, version }: Round,
  strike: { arm: (kill: () => void) => void; momentOf: (id: string) => Promise<string | null> },
): Promise<Hit> {
  const { daemon } = victim
  strike.arm(() => daemon.signal('SIGKILL'))
  const id = await fleet.begin(version)
  await Promise.race([daemon.ended, fleet.ended(id)])
  await daemon.kill()
  victim.relay.judge = () => 'pass'
  const moment = await strike.momentOf(id)
  victim.start()
  return { moment, end: await endedInTruth(fleet, id) }
}

/** Once it kills, its report is passed on to a controller that can no longer answer it. */
function onReport(
  victim: AgentHost,
  phase: ObservedMessage['phase'],
  act: (report: ObservedMessage) => void,
): void {
  victim.relay.judge = ({ message }) => {
    if (message.type === 'observed' && message.phase === phase) act(message)
    return 'pass'
  }
}

function onLine(victim: AgentHost, msg: string, act: () => void): void {
  const { daemon } = victim
  void daemon.logged((line) => line.msg === msg, daemon.lines.length).then(act, () => undefined)
}

// ---- the controller ----------------------------------------------------------------------------

/** As the first, second or third promise comes in. */
async function killBeforeDecision(round: Round): Promise<Hit> {
  const after = 1 + (round.number % round.fleet.hosts.length)
  const ready = new Set<string>()
  return killController(round, 'nothing decided', (heard, host) => {
    const { direction, message } = heard
    if (direction === 'up' && message.type === 'observed' && message.phase === 'ready') {
      ready.add(host.name)
    }
    return ready.size >= after
  })
}

/** As the first, second or third agent is told; those before it have heard. */
async function killAfterDecision(round: Round): Promise<Hit> {
  const after = 1 + (round.number % round.fleet.hosts.length)
  const told = new Set<string>()
  return killController(round, 'decision recorded', (heard, host) => {
    const { direction, message } = heard
    if (direction === 'down' && message.type === 'desired' && message.kind === 'activate') {
      told.add(host.name)
    }
    return told.size >= after
  })
}

async function killController(
  { fleet, version, number }: Round,
  wanted: 'nothing decided' | 'decision recorded',
  when: (heard: Heard, host: AgentHost) => boolean,
): Promise<Hit> {
  const daemon = fleet.controller
  for (const host of fleet.hosts) {
    host.relay.judge = (heard) => {
      if (daemon.isOver || !when(heard, host)) return 'pass'
      daemon.signal('SIGKILL')
      for (const { relay } of fleet.hosts) relay.hold()
      return 'lose'
    }
  }
  // The answer may die with the controller: then the next one gives it.
  const asked = fleet.begin(version)
  await daemon.ended
  // Nobody is heard until it was looked at what the dead one had recorded.
  await fleet.startController()
  const id = await asked
  const { phase } = await fleet.client.rollout(id)
  const found = phase === 'staging' ? 'nothing decided' : 'decision recorded'
  if (number % 4 === 3) await fleet.client.cancel(id)
  for (const host of fleet.hosts) {
    host.relay.judge = () => 'pass'
    host.relay.mend()
  }
  return { moment: found === wanted ? found : null, end: await endedInTruth(fleet, id) }
}

// ---- figures -----------------------------------------------------------------------------------

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

function listed(counts: Map<string, number>): string {
  return [...counts].map(([what, number]) => `${number} ${what}`).join(', ')
}
