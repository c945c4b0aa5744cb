// What a host may fetch: the trees of what it is told now, while it is enrolled, and nothing else.

import { once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { contentToken } from '#controller/access/content-token.ts'
import { limits } from '#shared/limits.ts'
import { AgentKey } from '../support/agent-key.ts'
import { archive, file } from '../support/archives.ts'
import { asker, digestOf, helloOf, observedOf, shop } from '../support/fleet-facts.ts'
import { requestOf } from '../support/rollout-requests.ts'
import { RunningController } from '../support/running-controller.ts'
import { openTestServer } from '../support/test-server.ts'

const base = '/v1/apps/shop/environments/production'
const blog = { app: 'blog', environment: 'production' }

/** A host that is connected, and what it gets at an address with the token that it was given. */
async function joined(controller: RunningController, key: AgentKey) {
  const peer = await controller.connect(key)
  peer.say(helloOf())
  const { contentToken: token } = await peer.next('welcome')
  peer.say(observedOf())
  await peer.settled()
  const fetched = async (path: string) => {
    const { status, body } = await controller.call('GET', path, { token })
    return status === 200 ? 'ok' : `${status} ${(body as { code: string }).code}`
  }
  const trees = async (tree: string, from?: string) => [
    await fetched(`/v1/trees/${tree}/manifest`),
    await fetched(`/v1/trees/${tree}/pack${from === undefined ? '' : `?from=${from}`}`),
  ]
  return { peer, token, fetched, trees }
}

const granted = ['ok', 'ok']
const denied = ['403 not-told', '403 not-told']

async function commit(controller: RunningController, keys: readonly AgentKey[], version: string) {
  const peers = await Promise.all(
    keys.map(async (key) => {
      const peer = await controller.connect(key)
      peer.say(helloOf())
      await peer.next('welcome')
      peer.say(observedOf())
      return peer
    }),
  )
  await controller.ask('PUT', `${base}/desired`, { version })
  await Promise.all(
    peers.map(async (peer) => {
      const { fence, stage } = await peer.next('desired', (m) => m.kind === 'stage')
      const ready = { target: stage?.tree ?? '', fallback: null }
      peer.say(observedOf({ seq: 2, fence, phase: 'ready', ready, standing: 'before' }))
      const told = await peer.next('desired', (m) => m.kind === 'activate')
      const current = told.run.release
      const activation = { activatedAt: Date.now(), errorMs: 1, mode: 'timed' } as const
      const healthy = { phase: 'healthy', standing: 'run', current, activation } as const
      peer.say(observedOf({ seq: 3, fence: told.fence, ...healthy }))
      await peer.next('desired', (m) => m.kind === 'settle')
      await peer.end()
    }),
  )
}

void t.test('a host fetches what it is told and nothing beside it', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const one = await controller.publish('1.0.0')
  const two = await controller.publish('2.0.0')
  const { trees, fetched } = await joined(controller, key)
  t.same(await trees(one), denied, 'published, and not told')
  t.same(await trees(digestOf('e')), denied, 'whether there is such a tree is not said')
  const desired = { version: '1.0.0' }
  const { rollout } = await controller.ask<{ rollout: { id: string } }>(
    'PUT',
    `${base}/desired`,
    desired,
  )
  t.same(await trees(one), granted, 'staged')
  t.same(await trees(two), denied)
  t.same(await trees(one, two), ['ok', '403 not-told'], 'nor may a delta say what another holds')
  t.same(await trees(one, digestOf('e')), ['ok', '403 not-told'])
  t.equal(await fetched('/v1/apps/shop/releases/1.0.0/artifact'), '401 unauthorised')
  await controller.ask('POST', `/v1/rollouts/${rollout.id}/cancel`)
  t.same(await trees(one), denied, 'cancelled, and no longer told')
})

void t.test('what runs, what it goes back to and what ran before stay within reach', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const one = await controller.publish('1.0.0')
  await commit(controller, [key], '1.0.0')
  const two = await controller.publish('2.0.0')
  const { trees } = await joined(controller, key)
  t.same(await trees(one), granted, 'committed: for a repair')
  t.same(await trees(two), denied)
  await controller.ask('PUT', `${base}/desired`, { version: '2.0.0' })
  t.same(await trees(two, one), granted, 'staged, as a delta against what runs')
  t.same(await trees(one), granted, 'the fallback')
})

void t.test('another host\u2019s environment is none of its business', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const body = archive(file('post.html', 'of the blog'))
  const { body: published } = await controller.call('PUT', '/v1/apps/blog/releases/1.0.0', { body })
  const { tree } = published as { tree: string }
  const token = await controller.joinToken([blog])
  const other = new AgentKey()
  await controller.ask(
    'POST',
    '/v1/enrol',
    await controller.enrolment(other, token, 'blog-1', { apps: [blog] }),
  )
  await controller.ask('PUT', '/v1/apps/blog/environments/production/desired', { version: '1.0.0' })
  const { trees } = await joined(controller, key)
  t.same(await trees(tree), denied)
})

void t.test('a token is good for a quarter of an hour, and not past a removal', async (t) => {
  t.equal(limits.contentTokenMs, 15 * 60_000)
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const tree = await controller.publish('1.0.0')
  await controller.ask('PUT', `${base}/desired`, { version: '1.0.0' })
  const { trees, token, peer } = await joined(controller, key)
  const [, host, expiresAt] = token.split('.')
  t.equal(host, key.host)
  const leftMs = Number(expiresAt) - Date.now()
  t.ok(leftMs > 0 && leftMs <= limits.contentTokenMs)
  t.same(await trees(tree), granted)
  await controller.call('DELETE', `/v1/hosts/${key.host}`)
  t.same(await trees(tree), ['401 unauthorised', '401 unauthorised'])
  t.match(await peer.closed, { code: 4400 })
})

async function openHeld(t: Test) {
  const there = await openTestServer(t)
  const { host } = await there.enrol('web-1')
  const sizeBytes = 10_000_000
  // Its end never comes by itself.
  const stream = new Readable({ read: () => undefined })
  stream.push('beginning')
  const content = { sizeBytes, etag: '"held"', read: async () => stream, close: () => undefined }
  there.ports.content.openPack = async () => content
  const release = { version: '1.0.0', tree: digestOf('a') }
  const runner = there.ports.environments.of(shop)
  await runner?.desire(requestOf('r1', release), asker)
  await there.server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = there.server.server.address() as AddressInfo
  const expiresAt = there.clock.now() + limits.contentTokenMs
  const bearer = contentToken(there.ports.contentSecret, host, expiresAt)
  const sent = request({
    host: '127.0.0.1',
    port,
    path: `/v1/trees/${release.tree}/pack`,
    headers: { authorization: `Bearer ${bearer}` },
  })
  sent.on('error', () => undefined)
  sent.end()
  return { ...there, host, sent, stream }
}

void t.test('a stream that is under way ends with the host\u2019s removal', async (t) => {
  const { server, token, host, sent, stream } = await openHeld(t)
  const [response] = await once(sent, 'response')
  t.equal(response.statusCode, 200)
  await once(response, 'data')
  response.on('error', () => undefined)
  const ended = once(stream, 'close')
  await server.inject({
    method: 'DELETE',
    url: `/v1/hosts/${host}`,
    headers: { authorization: `Bearer ${token}` },
  })
  await ended
  t.pass('no further byte')
})
