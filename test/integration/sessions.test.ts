// Sessions of agents with a whole controller: what they are told, when, and what becomes of it over
// reconnections, removals and restarts of the controller.

import t, { type Test } from 'tap'
import type { DesiredMessage } from '#shared/wire/messages.ts'
import type { AgentKey } from '../support/agent-key.ts'
import type { AgentPeer } from '../support/agent-peer.ts'
import { fenceOf, helloOf, observedOf, shop } from '../support/fleet-facts.ts'
import { RunningController } from '../support/running-controller.ts'

const base = '/v1/apps/shop/environments/production'

interface HostView {
  readonly name: string
  readonly connected: boolean
  readonly lastSeenAt: number | null
  readonly agentVersion: string | null
  readonly apps: readonly { readonly phase: string; readonly failure: { code: string } | null }[]
}

async function openFleet(t: Test, ...names: string[]) {
  const controller = await RunningController.start(t)
  const keys: AgentKey[] = []
  for (const name of names) keys.push(await controller.enrol(name))
  return { controller, keys }
}

/** Connects, says hello and reports once, as an agent that has just started. */
async function join(
  controller: RunningController,
  key: AgentKey,
  report: Parameters<typeof observedOf>[0] = {},
  instance = 'a'.repeat(32),
): Promise<AgentPeer> {
  const peer = await controller.connect(key)
  peer.say(helloOf({ instance }), observedOf({ seq: 1, ...report }))
  await peer.settled()
  return peer
}

const hostsOf = async (controller: RunningController) =>
  (await controller.ask<{ items: HostView[] }>('GET', '/v1/hosts')).items

const phaseOf = async (controller: RunningController) => {
  const view = await controller.ask<{ rollout: { phase: string; reason: string } | null }>(
    'GET',
    base,
  )
  return view.rollout?.phase ?? null
}

/** Says that the host is ready for what it was told. */
function readyFor(told: DesiredMessage, seq: number) {
  const { fence, stage, run } = told
  const ready = { target: stage?.tree ?? '', fallback: run.fallback?.tree ?? null }
  return observedOf({ seq, fence, phase: 'ready', ready })
}

function healthyOn(told: DesiredMessage, seq: number) {
  const { fence, run } = told
  const activation = { activatedAt: Date.now(), errorMs: 1, mode: 'timed' } as const
  const current = run.release
  return observedOf({
    seq,
    fence,
    phase: 'healthy',
    standing: 'run',
    current,
    activation,
    serving: true,
  })
}

void t.test('a fleet goes through a rollout over its sessions', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1', 'web-2')
  await controller.publish('1.0.0')
  const peers = await Promise.all(keys.map((key) => join(controller, key)))
  await controller.ask('PUT', `${base}/desired`, { version: '1.0.0' })
  const [first, second] = await Promise.all(
    peers.map(async (peer) => {
      const staged = await peer.next('desired', (m) => m.kind === 'stage')
      peer.say(readyFor(staged, 2))
      return peer.next('desired', (m) => m.kind === 'activate')
    }),
  )
  t.same(first, second, 'all are told the same')
  t.equal(typeof first?.run.activateAt, 'number')
  await Promise.all(
    peers.map(async (peer) => {
      peer.say(healthyOn(await peer.next('desired', (m) => m.kind === 'activate'), 3))
      const settled = await peer.next('desired', (m) => m.kind === 'settle')
      t.equal(settled.run.release?.version, '1.0.0')
      t.match(settled.history, [{ version: '1.0.0' }])
    }),
  )
  t.equal(await phaseOf(controller), 'committed')
  t.match(await hostsOf(controller), [
    { name: 'web-1', connected: true, agentVersion: '0.0.1', apps: [{ phase: 'healthy' }] },
    { name: 'web-2', connected: true },
  ])
})

void t.test('nothing is told before the first report, and then everything at once', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1')
  await controller.publish('1.0.0')
  await controller.ask('PUT', `${base}/desired`, { version: '1.0.0' })
  const [key] = keys
  if (key === undefined) return
  const peer = await controller.connect(key)
  peer.say(helloOf())
  await peer.settled()
  t.same(new Set(peer.messages.map((message) => message.type)), new Set(['welcome', 'clock']))
  peer.say(observedOf())
  const told = await peer.next('desired')
  t.match(told, { kind: 'stage', fence: { term: 1, epoch: 1 }, stage: { version: '1.0.0' } })
  peer.say(observedOf({ seq: 2, fence: told.fence }))
  await peer.settled()
  t.equal(peer.messages.filter((message) => message.type === 'desired').length, 1)
})

void t.test('a host that bears a fence of somebody else is told nothing', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1')
  await controller.publish('1.0.0')
  await controller.ask('PUT', `${base}/desired`, { version: '1.0.0' })
  const [key] = keys
  if (key === undefined) return
  const peer = await join(controller, key, { fence: fenceOf(1, 1, 'e') })
  peer.say(observedOf({ seq: 2, fence: fenceOf(1, 1, 'e') }))
  await peer.settled()
  t.notOk(peer.messages.some((message) => message.type === 'desired'))
  t.match(await controller.ask('GET', base), {
    fencedBy: [{ name: 'web-1', term: 1, epoch: 1, why: 'unknown-hash' }],
  })
})

void t.test('the content token of a session opens content, and is not good for more', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1')
  const tree = await controller.publish('1.0.0')
  const [key] = keys
  if (key === undefined) return
  await controller.ask('PUT', `${base}/desired`, { version: '1.0.0' })
  const peer = await join(controller, key)
  const { contentToken: token } = await peer.next('welcome')
  t.equal((await controller.call('GET', `/v1/trees/${tree}/manifest`, { token })).status, 200)
  t.equal((await controller.call('GET', `/v1/trees/${tree}/pack`, { token })).status, 200)
  t.equal((await controller.call('GET', '/v1/hosts', { token })).status, 401)
  await controller.stop()
  await controller.start()
  t.equal((await controller.call('GET', `/v1/trees/${tree}/manifest`, { token })).status, 200)
})

void t.test('a closed connection is seen at once', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1')
  const [key] = keys
  if (key === undefined) return
  const peer = await join(controller, key, { phase: 'idle' })
  t.match(await hostsOf(controller), [{ connected: true, apps: [{ phase: 'idle' }] }])
  await peer.end()
  const again = await controller.connect(key)
  await again.end()
  t.match(await hostsOf(controller), [
    { connected: false, lastSeenAt: Number, apps: [{ phase: 'unknown' }] },
  ])
})

void t.test(
  'a second connection takes over; what the first one still says is not heard',
  async (t) => {
    const { controller, keys } = await openFleet(t, 'web-1')
    await controller.publish('1.0.0')
    await controller.ask('PUT', `${base}/desired`, { version: '1.0.0' })
    const [key] = keys
    if (key === undefined) return
    const older = await join(controller, key)
    const told = await older.next('desired')
    const newer = await join(controller, key)
    older.say(readyFor(told, 1000))
    t.match(await older.closed, { code: 4409 })
    await newer.settled()
    t.equal(await phaseOf(controller), 'staging', 'the promise of the old session opens nothing')
    newer.say(readyFor(await newer.next('desired'), 2))
    await newer.next('desired', (message) => message.kind === 'activate')
  },
)

void t.test('two agents with one identity are both refused, also after a restart', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1')
  const [key] = keys
  if (key === undefined) return
  const original = await join(controller, key, {}, 'a'.repeat(32))
  const clone = await join(controller, key, {}, 'b'.repeat(32))
  t.match(await original.closed, { code: 4409 })
  const back = await controller.connect(key)
  back.say(helloOf({ instance: 'a'.repeat(32) }))
  const code = 'cloned-identity'
  const tree = await controller.publish('1.0.0')
  await controller.ask('PUT', `${base}/desired`, { version: '1.0.0' })
  const { contentToken: token } = await clone.next('welcome')
  for (const one of [back, clone]) {
    t.match(await one.next('refused'), { code, hint: /hosts remove web-1/ })
    t.match(await one.closed, { code: 4400 })
  }
  t.match(controller.log.slice(0, 2), [
    { code, host: 'web-1' },
    { code, host: 'web-1' },
  ])
  const look = async () => {
    t.equal((await controller.call('GET', `/v1/trees/${tree}/manifest`, { token })).status, 401)
    await t.rejects(controller.connect(key), { message: /409/ })
    t.match(await hostsOf(controller), [
      { clonedAt: Number, connected: false, apps: [{ phase: 'failed', failure: { code } }] },
    ])
    const enrolment = await controller.enrolment(key, await controller.joinToken(), 'web-1')
    t.match(await controller.call('POST', '/v1/enrol', { token: null, json: enrolment }), {
      status: 409,
      body: { code },
    })
  }
  await look()
  const { items } = await controller.ask<{ items: { type: string }[] }>(
    'GET',
    '/v1/facts?limit=500',
  )
  t.equal(items.filter(({ type }) => type === 'host-cloned').length, 1)
  await controller.stop()
  await controller.start()
  await look()
  await controller.call('DELETE', `/v1/hosts/${key.host}`)
  const joining = await controller.joinToken()
  await controller.ask('POST', '/v1/enrol', await controller.enrolment(key, joining, 'web-1'))
  const anew = await join(controller, key)
  await anew.settled()
  t.match(await hostsOf(controller), [{ clonedAt: null, connected: true }])
})

void t.test('a removed host loses its session and is not let in again', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1')
  const tree = await controller.publish('1.0.0')
  const [key] = keys
  if (key === undefined) return
  const peer = await join(controller, key)
  const { contentToken: token } = await peer.next('welcome')
  const arriving = await controller.connect(key)
  await controller.call('DELETE', `/v1/hosts/${key.host}`)
  for (const gone of [peer, arriving]) {
    t.match(await gone.next('refused'), { code: 'unknown-host', hint: /Join/ })
    t.match(await gone.closed, { code: 4400 })
  }
  await t.rejects(controller.connect(key), { message: /404/ })
  t.equal((await controller.call('GET', `/v1/trees/${tree}/manifest`, { token })).status, 401)
  t.match(await controller.ask('GET', base), { hosts: [] })
})

void t.test('an app that the agent does not serve is shown as that', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1')
  const [key] = keys
  if (key === undefined) return
  const peer = await controller.connect(key)
  peer.say(helloOf({ apps: [] }))
  await peer.settled()
  t.match(await hostsOf(controller), [
    { connected: true, apps: [{ phase: 'failed', failure: { code: 'not-served' } }] },
  ])
})

void t.test('a controller that stops says so, and goes on where it was', async (t) => {
  const { controller, keys } = await openFleet(t, 'web-1', 'web-2')
  await controller.publish('1.0.0')
  await controller.ask('PUT', `${base}/desired`, { version: '1.0.0' })
  const peers = await Promise.all(keys.map((key) => join(controller, key)))
  const told = await Promise.all(peers.map((peer) => peer.next('desired')))
  peers[0]?.say(readyFor(told[0] as DesiredMessage, 2))
  await peers[0]?.settled()
  await controller.stop()
  for (const peer of peers) t.match(await peer.closed, { code: 1001 })
  await controller.start()
  t.equal(await phaseOf(controller), 'staging')
  const fences = told.map((message) => message.fence)
  const back = await Promise.all(
    keys.map((key, at) => join(controller, key, { fence: fences[at] ?? null })),
  )
  for (const [at, peer] of back.entries()) peer.say(readyFor(told[at] as DesiredMessage, 2))
  const activated = await Promise.all(
    back.map((peer) => peer.next('desired', (message) => message.kind === 'activate')),
  )
  t.same(
    activated.map((message) => message.fence.epoch),
    [2, 2],
  )
  t.same(controller.fatal, [])
})

void t.test('a flood of reports from many hosts is heard in full', async (t) => {
  const names = Array.from({ length: 20 }, (_, at) => `web-${at}`)
  const { controller, keys } = await openFleet(t, ...names)
  const peers = await Promise.all(keys.map((key) => join(controller, key)))
  for (const peer of peers) {
    const reports = Array.from({ length: 50 }, (_, at) => observedOf({ seq: at + 2 }))
    peer.say(...reports, observedOf({ seq: 100, serving: true }))
  }
  await Promise.all(peers.map((peer) => peer.settled()))
  const hosts = await controller.ask<{ items: { apps: { serving: boolean }[] }[] }>(
    'GET',
    `/v1/hosts?app=${shop.app}`,
  )
  t.equal(hosts.items.filter((host) => host.apps[0]?.serving === true).length, names.length)
})
