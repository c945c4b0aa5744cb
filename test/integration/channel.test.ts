// The agent's way to a controller that speaks TLS: by its pin, bound, behind a proxy, and from one key
// to the next.

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ControllerLink } from '#agent/link/controller-link.ts'
import { layoutOf, prepareLayout } from '#agent/layout/app-layout.ts'
import { Identity } from '#agent/link/identity.ts'
import { exchange } from '#agent/link/json-request.ts'
import { channelTo, joinWhereDue, type Membership } from '#agent/link/joining.ts'
import { stageRelease } from '#agent/staging/stage-release.ts'
import { makeAuthority } from '#controller/tls/certificate-authority.ts'
import { pinOfCertificate } from '#controller/tls/keyed-file.ts'
import { joinTokenOf, withPin } from '#shared/join-token.ts'
import type { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { AgentKey } from '../support/agent-key.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { helloOf, shop } from '../support/fleet-facts.ts'
import { RunningController } from '../support/running-controller.ts'
import { startRelay } from '../support/tls-relay.ts'
import { quickTuning } from './staged-app.ts'

const ownAuthority = { mode: 'own-ca', names: [] } as const
const behindProxy = { mode: 'behind-proxy' } as const

function configOf(controller: string, changes: Partial<Membership> = {}): Membership {
  return {
    controller,
    pins: [],
    channelBinding: 'on',
    name: 'web-1',
    apps: [shop],
    ...changes,
  }
}

async function openAgent(t: Test, config: Membership) {
  const path = join(t.testdir({}), 'identity.json')
  const identity = await Identity.open(path)
  const opened = Promise.withResolvers<void>()
  const troubled = Promise.withResolvers<LockstepError>()
  const unreachable = Promise.withResolvers<void>()
  const clock = new FakeClock()
  let told = Promise.withResolvers<void>()
  let sessions = 0
  const learnt = Promise.withResolvers<readonly string[]>()
  const channel = channelTo(config, () => identity.pins)
  const link = new ControllerLink({
    channel,
    identity,
    agentVersion: '0.0.1',
    instance: 'a'.repeat(32),
    apps: () => [shop],
    labels: {},
    clock,
    random: () => 0,
    onOpened: () => {
      sessions += 1
      opened.resolve()
    },
    onClosed: () => undefined,
    onDesired: () => undefined,
    onAuditHead: () => undefined,
    onPins: async (pins) => {
      await identity.learnPins(pins)
      learnt.resolve(identity.pins)
      told.resolve()
      told = Promise.withResolvers<void>()
      return identity.pins
    },
    onReportDue: () => undefined,
    onTrouble: (error) => {
      troubled.resolve(error)
      if (/does not answer/.test(error.message)) unreachable.resolve()
    },
  })
  t.teardown(() => link.stop())
  return {
    path,
    identity,
    channel,
    link,
    clock,
    pinsTold: () => told.promise,
    reopened: async () => {
      while (sessions < 2) await told.promise
    },
    opened: opened.promise,
    troubled: troubled.promise,
    unreachable: unreachable.promise,
    learnt: learnt.promise,
    join: (token: string) => joinWhereDue(identity, config, async () => token),
  }
}

async function hostsOf(controller: RunningController) {
  const { items } = await controller.ask<{
    items: { connected: boolean; channel: { pins: string[] } }[]
  }>('GET', '/v1/hosts')
  return items
}

void t.test('an agent joins by the pin of its token, and keeps it', async (t) => {
  const controller = await RunningController.start(t, 'warn', ownAuthority)
  const token = await controller.joinToken()
  t.equal(joinTokenOf(token)?.pin, controller.pins[0])
  const agent = await openAgent(t, configOf(controller.url))
  t.equal(await agent.join(token), true)
  t.same(agent.identity.pins, [...controller.pins])
  t.same((await Identity.open(agent.path)).pins, [...controller.pins], 'durable')
  const ended = agent.link.run()
  await agent.opened
  t.same(await agent.learnt, [...controller.pins])
  t.ok(agent.channel.isPinned)
  t.match(agent.channel.trust, { allowPartialTrustChain: true, minVersion: 'TLSv1.3' })
  for (;;) {
    const [host] = await hostsOf(controller)
    if (JSON.stringify(host?.channel).includes(String(controller.pins))) break
  }
  t.match(await hostsOf(controller), [
    { connected: true, channel: { binding: 'bound', pins: [...controller.pins] } },
  ])
  agent.link.stop()
  await ended
})

void t.test('a token with a pin is never sent in clear', async (t) => {
  const controller = await RunningController.start(t)
  const agent = await openAgent(t, configOf(controller.url))
  const token = await controller.joinToken()
  t.match(controller.url, /^http:/)
  const pinned = withPin(token, 'p'.repeat(43))
  await t.rejects(agent.join(pinned), { code: 'wrong-pin', hint: /https:/ })
  t.equal(agent.identity.controller, null)
  t.equal(await agent.join(token), true, 'that controller has no key to show')
})

void t.test('content is held to the pin while the connection is being made again', async (t) => {
  const controller = await RunningController.start(t, 'warn', ownAuthority)
  const agent = await openAgent(t, configOf(controller.url))
  await agent.join(await controller.joinToken())
  const ended = agent.link.run()
  await agent.opened
  const { trust } = agent.channel
  t.match(trust, { ca: /BEGIN CERTIFICATE/ })
  await controller.stop()
  await agent.unreachable
  t.same(agent.channel.trust, trust)
  agent.link.stop()
  await ended
})

void t.test('pins of the configuration stay, whatever token and controller say', async (t) => {
  const controller = await RunningController.start(t, 'warn', ownAuthority)
  const other = 'o'.repeat(43)
  const config = configOf(controller.url, { pins: [other, ...controller.pins] })
  const agent = await openAgent(t, config)
  await agent.join(await controller.joinToken())
  t.same(agent.identity.pins, [])
  const ended = agent.link.run()
  await agent.opened
  agent.link.stop()
  await ended
  const wrong = await openAgent(t, configOf(controller.url, { pins: [other] }))
  await t.rejects(wrong.join(await controller.joinToken()), { code: 'wrong-pin' })
})

void t.test(
  'behind a proxy that ends TLS nothing is bound, by the word of both ends',
  async (t) => {
    const controller = await RunningController.start(t, 'warn', behindProxy)
    const authority = makeAuthority(Date.now())
    const { port } = new URL(controller.url)
    const proxy = await startRelay(t, authority, { port: Number(port), isTls: false })
    const pins = [pinOfCertificate(authority.certificate)]
    const token = await controller.joinToken()
    t.equal(joinTokenOf(token)?.pin, null, 'the controller does not know the proxy\u2019s key')
    const config = configOf(proxy.url, { pins })
    const bound = await openAgent(t, config)
    await t.rejects(bound.join(token), { code: 'bad-signature', hint: /channel-binding = "off"/ })
    const agent = await openAgent(t, { ...config, channelBinding: 'off' })
    await agent.join(token)
    const ended = agent.link.run()
    await agent.opened
    for (;;) {
      const [host] = await hostsOf(controller)
      if (host?.connected === true) break
    }
    t.match(await hostsOf(controller), [{ connected: true, channel: { binding: 'unbound' } }])
    agent.link.stop()
    await ended
  },
)

void t.test('who switches binding off where nothing ends TLS is not let in', async (t) => {
  const controller = await RunningController.start(t, 'warn', ownAuthority)
  const agent = await openAgent(t, configOf(controller.url, { channelBinding: 'off' }))
  await t.rejects(agent.join(await controller.joinToken()), { code: 'bad-signature' })
})

void t.test('the controller\u2019s key is replaced, and nobody has to join again', async (t) => {
  const controller = await RunningController.start(t, 'warn', ownAuthority)
  const config = configOf(controller.url)
  const agent = await openAgent(t, config)
  const old = controller.pins
  await agent.join(await controller.joinToken())
  const ended = agent.link.run()
  await agent.opened
  await controller.ask('POST', '/v1/controller/rotate-ca', {})
  const both = controller.pins
  t.equal(both.length, 2)
  // Told with the answer to the next question about the clock.
  while (agent.identity.pins.length < 2) {
    agent.clock.advance(limits.reportEveryMs)
    await agent.pinsTold()
  }
  t.same(agent.identity.pins, both)
  t.same((await Identity.open(agent.path)).pins, both, 'durable')
  for (;;) {
    const [host] = await hostsOf(controller)
    if (host?.channel.pins.join() === both.join()) break
  }
  await controller.ask('POST', '/v1/controller/rotate-ca', { finish: true })
  const [next] = both.slice(1)
  t.same(controller.pins, [next])
  // What it trusted until now, it finds no more.
  await controller.stop()
  await controller.start()
  await agent.reopened()
  while (agent.identity.pins.length > 1) {
    agent.clock.advance(limits.reportEveryMs)
    await agent.pinsTold()
  }
  t.same(agent.identity.pins, [next], 'the old key is good for nothing any more')
  t.notSame(old, [next])
  agent.link.stop()
  await ended
})

void t.test('who is not told of the next key in time has to join again', async (t) => {
  const controller = await RunningController.start(t, 'warn', ownAuthority)
  const agent = await openAgent(t, configOf(controller.url))
  await agent.join(await controller.joinToken())
  await controller.ask('POST', '/v1/controller/rotate-ca', {})
  const refused = await controller.call('POST', '/v1/controller/rotate-ca', {
    json: { finish: true },
  })
  t.equal(refused.status, 409)
  t.match(refused.body, {
    code: 'pin-not-stored',
    message: /: web-1$/,
    hint: /--force/,
    details: { hosts: ['web-1'], next: controller.pins[1] },
  })
  t.equal(controller.pins.length, 2, 'nothing was changed')
  await controller.ask('POST', '/v1/controller/rotate-ca', { finish: true, force: true })
  const ended = agent.link.run()
  t.match(await agent.troubled, { code: 'wrong-pin', hint: /join again/ })
  agent.link.stop()
  await ended
})

void t.test('a controller that was not found by a pin names none', async (t) => {
  const controller = await RunningController.start(t)
  const agent = await openAgent(t, configOf(controller.url))
  await agent.join(await controller.joinToken())
  await agent.identity.learnPins([])
  t.notOk(agent.channel.isPinned)
  t.same(agent.identity.pins, [])
})

void t.test('content comes from the holder of the pinned key, and from nobody else', async (t) => {
  const controller = await RunningController.start(t, 'warn', ownAuthority)
  const key = new AgentKey()
  const token = await controller.joinToken()
  const challenge = await controller.challenge()
  const { status } = await exchange(controller.channel(), {
    method: 'POST',
    path: '/v1/enrol',
    body: (exporter) => key.enrolment(token, 'web-1', challenge, { exporter }),
  })
  t.equal(status, 201)
  const release = { version: '1.0.0', tree: await controller.publish('1.0.0') }
  await controller.ask('PUT', '/v1/apps/shop/environments/production/desired', {
    version: release.version,
  })
  const peer = await controller.connect(key)
  peer.say(helloOf())
  const { contentToken } = await peer.next('welcome')
  const channel = controller.channel()
  const connected = await channel.connect(AbortSignal.timeout(10_000))
  connected.socket.destroy()
  const layout = layoutOf(t.testdir({}))
  prepareLayout(layout)
  const request = {
    root: layout.root,
    release,
    held: [],
    sharedPaths: [],
    controllerUrl: controller.url,
    token: contentToken,
    redirects: [],
    tls: channel.trust,
    reuse: 'auto' as const,
    groupId: null,
    tuning: quickTuning,
  }
  const unpinned = { ...request, tls: {} }
  await t.rejects(stageRelease(unpinned), { code: 'fetch-failed' })
  const other = makeAuthority(Date.now()).certificate
  const impostor = { ...request, tls: { ...channel.trust, ca: other } }
  await t.rejects(stageRelease(impostor), { code: 'fetch-failed' })
  t.match(await stageRelease(request), { outcome: 'staged' })
  await peer.end()
})
