// The once run, a migration, and kill -9 of the elected host and of the controller in each of its
// windows: it never runs twice, nobody swaps before it is done, and the end says what is known.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { RolloutView } from '#shared/api/schemas.ts'
import { smallRelease } from '../../support/small-release.ts'
import type { AgentHost } from '../fleet/agent-host.ts'
import { Fleet } from '../fleet/fleet.ts'
import { OnceScript } from '../fleet/once-script.ts'
import type { Heard } from '../fleet/relay.ts'
import { endedInTruth } from '../fleet/truth.ts'

/** Nine windows: 54 kills. */
const hitsPerWindow = 6
/** Rounds in which the window was missed are played again, but not for ever. */
const roundsMax = 21

interface Round {
  readonly fleet: Fleet
  readonly script: OnceScript
  readonly version: string
  /** The lowest-named: it is elected in every round. */
  readonly elected: AgentHost
}

type Play = (round: Round) => Promise<{ hit: boolean; end: RolloutView }>

const windows: Readonly<Record<string, Readonly<Record<string, Play>>>> = {
  'the elected host': {
    'as it is told': (round) => killAgent(round, (kill) => onTold(round, kill)),
    'running': (round) =>
      killAgent(round, (kill) => round.script.when('started', round.version, kill)),
    'after its exit': (round) =>
      killAgent(round, (kill) => round.script.when('ended', round.version, kill)),
    'before the result is heard': (round) =>
      killAgent(round, (kill) => onResult(round, () => (kill(), 'lose'))),
  },
  'the controller': {
    'before it is recorded': (round) => killController(round, (kill) => onReady(round, kill)),
    'as it is told': (round) => killController(round, (kill) => onTold(round, kill)),
    'running': (round) =>
      killController(round, (kill) => round.script.when('started', round.version, kill)),
    'after its exit': (round) =>
      killController(round, (kill) => round.script.when('ended', round.version, kill)),
    'before the result is heard': (round) =>
      killController(round, (kill) => onResult(round, () => (kill(), 'lose'))),
  },
}

t.jobs = 2
for (const [who, plays] of Object.entries(windows)) {
  void t.test(`kill -9 of ${who} around the once run`, { buffered: true }, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'lockstep-once-'))
    const script = new OnceScript(t, directory)
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const fleet = await Fleet.start(t, ['web-1', 'web-2'], { settings: script.settings })
    await fleet.publish('1', smallRelease('1'))
    script.letEnd('well')
    await fleet.deploy('1')
    for (const [number, [when, play]] of Object.entries(plays).entries()) {
      await playWindow(t, { fleet, script, when, play, number })
    }
  })
}

async function playWindow(
  t: Test,
  plan: { fleet: Fleet; script: OnceScript; when: string; play: Play; number: number },
): Promise<void> {
  const { fleet, script, when, play, number } = plan
  const ends = new Map<string, number>()
  let hits = 0
  let round = 0
  for (; hits < hitsPerWindow && round < roundsMax; round += 1) {
    const version = `${2 + number}.${round}`
    await fleet.publish(version, smallRelease(version))
    const { hit, end } = await play({ fleet, script, version, elected: fleet.host('web-1') })
    for (const host of fleet.hosts) host.relay.judge = () => 'pass'
    if (hit) hits += 1
    const starts = script.starts(version)
    t.ok(starts <= 1, `${version} was started ${starts} times`)
    if (end.phase === 'committed') t.equal(starts, 1, `${version} is committed and was run`)
    else t.match(end, { phase: 'aborted', exitCode: 4 })
    const what = `${end.phase} (${end.reason}), started ${starts} times`
    ends.set(what, (ends.get(what) ?? 0) + 1)
  }
  t.equal(hits, hitsPerWindow, `${when}: ${hits} hits in ${round} rounds`)
  const list = [...ends].map(([what, count]) => `${count} ${what}`).join('; ')
  t.comment(`${when}: ${hits} kills hit; ended ${list}`)
}

async function killAgent(
  { fleet, script, version, elected }: Round,
  arm: (kill: () => void) => void,
): Promise<{ hit: boolean; end: RolloutView }> {
  const { daemon } = elected
  let hit = false
  arm(() => {
    if (!daemon.isOver) hit = true
    daemon.signal('SIGKILL')
  })
  const id = await fleet.begin(version)
  void script.said('started', version).then(() => script.letEnd('well'))
  await Promise.race([daemon.ended, fleet.ended(id)])
  await daemon.kill()
  elected.relay.judge = () => 'pass'
  elected.start()
  return { hit, end: await endedInTruth(fleet, id) }
}

async function killController(
  { fleet, script, version }: Round,
  arm: (kill: () => void) => void,
): Promise<{ hit: boolean; end: RolloutView }> {
  const daemon = fleet.controller
  let hit = false
  arm(() => {
    if (!daemon.isOver) hit = true
    daemon.signal('SIGKILL')
  })
  const asked = fleet.begin(version)
  void script.said('started', version).then(() => script.letEnd('well'))
  await daemon.ended
  await fleet.startController()
  const id = await asked
  for (const host of fleet.hosts) host.relay.judge = () => 'pass'
  return { hit, end: await endedInTruth(fleet, id) }
}

/** As the decision that elects it goes by. */
function onTold({ elected }: Round, act: () => void): void {
  elected.relay.judge = ({ direction, message }) => {
    if (direction === 'down' && message.type === 'desired' && message.once) act()
    return 'pass'
  }
}

/** As the word that it is done goes up, which is lost. */
function onResult({ elected }: Round, act: () => 'pass' | 'lose'): void {
  let known: string | null = null
  elected.relay.judge = ({ direction, message }: Heard) => {
    if (direction === 'down' && message.type === 'desired' && message.once)
      known = message.fence.hash
    const isIt = direction === 'up' && message.type === 'observed' && message.once?.state === 'done'
    return isIt && message.once?.fence.hash === known ? act() : 'pass'
  }
}

/** As the last promise comes in: the barrier opens with it. */
function onReady({ fleet }: Round, act: () => void): void {
  const ready = new Set<string>()
  for (const host of fleet.hosts) {
    host.relay.judge = ({ direction, message }) => {
      if (direction === 'up' && message.type === 'observed' && message.phase === 'ready') {
        ready.add(host.name)
      }
      if (ready.size === fleet.hosts.length) act()
      return 'pass'
    }
  }
}
