// Joining: from the agent's own hand to the controller's tables, and again when an answer was lost.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ControllerChannel } from '#agent/link/controller-channel.ts'
import { enrol } from '#agent/link/enrolment.ts'
import { Identity, type Place } from '#agent/link/identity.ts'
import { AgentKey } from '../support/agent-key.ts'
import { helloOf, shop } from '../support/fleet-facts.ts'
import { RunningController } from '../support/running-controller.ts'
import { ScriptedController } from '../support/scripted-controller.ts'

const blog = { app: 'blog', environment: 'production' }

function channelAt(url: string): ControllerChannel {
  return new ControllerChannel({ url, pins: () => [], isBound: true })
}

function openIdentity(t: Test): Promise<Identity> {
  return Identity.open(join(t.testdirName, `${randomUUID()}.json`))
}

/** A whole controller, and identities of agents that have not joined yet. */
async function openController(t: Test) {
  t.testdir({})
  const controller = await RunningController.start(t)
  return {
    controller,
    join: async (identity: Identity, token: string, name: string, apps: Place[] = [shop]) =>
      enrol(identity, { channel: channelAt(controller.url), token, name, apps, pins: [] }),
    hosts: async () =>
      (await controller.ask<{ items: { name: string; apps: object[] }[] }>('GET', '/v1/hosts'))
        .items,
    used: async () => {
      const { items } = await controller.ask<{
        items: { kind: string; usesLeft: number | null }[]
      }>('GET', '/v1/tokens')
      return items.filter((token) => token.kind === 'join').map((token) => token.usesLeft)
    },
  }
}

void t.test('an agent joins with a token, once, and is a member at once', async (t) => {
  const { controller, join, hosts } = await openController(t)
  const identity = await openIdentity(t)
  const token = await controller.joinToken()
  await join(identity, token, 'web-1')
  t.equal(identity.isEnrolledFor(shop), true)
  t.match(await hosts(), [{ name: 'web-1', apps: [shop] }])
  t.match(await controller.ask('GET', '/v1/apps/shop/environments/production'), {
    hosts: [{ id: identity.host }],
  })
  await t.rejects(join(await openIdentity(t), token, 'web-2'), {
    code: 'bad-join-token',
    hint: /token create/,
  })
})

void t.test('whose answer was lost asks again, and is answered without a use', async (t) => {
  const { controller, join, hosts, used } = await openController(t)
  const identity = await openIdentity(t)
  const token = await controller.joinToken()
  await join(identity, token, 'web-1')
  await join(identity, token, 'web-1')
  t.equal((await hosts()).length, 1)
  t.same(await used(), [0])
})

void t.test('every refusal of a join comes with its reason, and uses nothing up', async (t) => {
  const { controller, join, hosts, used } = await openController(t)
  const token = await controller.joinToken()
  const identity = await openIdentity(t)
  await t.rejects(join(identity, 'nonsense', 'web-1'), { code: 'bad-join-token', hint: /lsj1/ })
  await t.rejects(join(identity, `lsj1.${'x'.repeat(11)}.${'y'.repeat(43)}`, 'web-1'), {
    code: 'bad-join-token',
  })
  await t.rejects(join(identity, controller.adminToken, 'web-1'), { code: 'bad-join-token' })
  await t.rejects(join(identity, token, 'web-1', [shop, blog]), {
    code: 'join-not-allowed',
    message: /blog in production/,
  })
  await t.rejects(join(identity, token, 'web 1'), { code: 'bad-request' })
  t.same(await hosts(), [])
  t.same(await used(), [1])
  t.equal(identity.controller, null)
  await join(identity, token, 'web-1')
  await t.rejects(join(await openIdentity(t), await controller.joinToken(), 'web-1'), {
    code: 'name-taken',
    hint: /another name/,
  })
})

void t.test('the same agent joins further apps, and stays who it is', async (t) => {
  const { controller, join, hosts } = await openController(t)
  const identity = await openIdentity(t)
  await join(identity, await controller.joinToken(), 'web-1')
  const both = [shop, blog]
  await join(identity, await controller.joinToken(both), 'web-1', both)
  t.match(await hosts(), [{ name: 'web-1', apps: [blog, shop] }])
  t.equal((await hosts()).length, 1)
})

void t.test('a removed agent may join anew, with a new token only', async (t) => {
  const { controller, join, hosts } = await openController(t)
  const identity = await openIdentity(t)
  const token = await controller.joinToken()
  await join(identity, token, 'web-1')
  await controller.call('DELETE', `/v1/hosts/${identity.host}`)
  await t.rejects(join(identity, token, 'web-1'), { code: 'bad-join-token' })
  await join(identity, await controller.joinToken(), 'web-1')
  t.match(await hosts(), [{ name: 'web-1' }])
})

void t.test('nobody joins with the key of somebody else', async (t) => {
  const { controller, hosts } = await openController(t)
  const victim = await controller.enrol('web-1')
  const thief = new AgentKey()
  const body = {
    ...(await controller.enrolment(thief, await controller.joinToken(), 'web-2')),
    publicKey: victim.publicKey,
  }
  const answer = await controller.call('POST', '/v1/enrol', { token: null, json: body })
  t.match(answer, { status: 401, body: { code: 'bad-signature' } })
  t.equal((await hosts()).length, 1)
  const peer = await controller.connect(victim)
  peer.say(helloOf())
  await peer.next('welcome')
  await peer.end()
})

void t.test('of many agents with one token as many join as it has uses', async (t) => {
  const { controller, hosts } = await openController(t)
  const token = await controller.joinToken([shop], 3)
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, at) =>
      controller.call('POST', '/v1/enrol', {
        token: null,
        json: await controller.enrolment(new AgentKey(), token, `web-${at}`),
      }),
    ),
  )
  t.equal(answers.filter(({ status }) => status === 201).length, 3)
  t.equal(answers.filter(({ status }) => status === 401).length, 17)
  t.equal((await hosts()).length, 3)
})

void t.test('of a hundred agents at once with one token exactly one joins', async (t) => {
  const { controller, hosts, used } = await openController(t)
  const token = await controller.joinToken()
  const bodies = await Promise.all(
    Array.from({ length: 100 }, (_, at) =>
      controller.enrolment(new AgentKey(), token, `web-${at}`),
    ),
  )
  const answers = await Promise.all(
    bodies.map((json) => controller.call('POST', '/v1/enrol', { token: null, json })),
  )
  const joined = answers.filter(({ status }) => status === 201)
  const refused = answers.filter(({ status }) => status === 401)
  t.equal(joined.length, 1)
  t.equal(refused.length, 99)
  t.ok(refused.every(({ body }) => (body as { code: string }).code === 'bad-join-token'))
  t.equal((await hosts()).length, 1)
  t.same(await used(), [0])
  t.comment(`${answers.length} at once: ${joined.length} joined, ${refused.length} refused`)
})

void t.test('a controller that is not there, or is none, is said as that', async (t) => {
  t.testdir({})
  const identity = await openIdentity(t)
  const as = { token: 'lsj1.x.y', name: 'web-1', apps: [shop], pins: [] }
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const nowhere = `http://127.0.0.1:${port}`
  await t.rejects(enrol(identity, { channel: channelAt(nowhere), ...as }), {
    code: 'unreachable',
    message: /ECONNREFUSED/,
    hint: /agent\.toml/,
  })
  const scripted = await ScriptedController.start(t)
  await t.rejects(enrol(identity, { channel: channelAt(scripted.url), ...as }), {
    code: 'unreachable',
  })
  t.equal(identity.controller, null)
})
