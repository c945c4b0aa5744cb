// Denied attempts over HTTP and on the agents' channel: each kind leaves its entry, with nothing in it
// that a stranger chose.

import t from 'tap'
import type { AuditList } from '#shared/api/audit-schemas.ts'
import { AgentKey } from '../support/agent-key.ts'
import { AgentPeer } from '../support/agent-peer.ts'
import { auditTrail } from '../support/audit-trail.ts'
import { RunningController } from '../support/running-controller.ts'
import { openShop } from '../support/shop-server.ts'

void t.test('every refusal for want of a right is recorded, and no other', async (t) => {
  const { server, ports, token, call, clock, database } = await openShop(t)
  const at = clock.now()
  const viewer = await ports.tokens.create({
    kind: 'api',
    grants: [{ role: 'viewer', app: 'shop', environment: 'production' }],
    apps: [],
    owner: null,
    createdAt: at,
    expiresAt: at + 1e6,
    usesMax: null,
    by: 'operator',
    why: null,
  })
  const known = (await auditTrail(database.db)).length
  const ask = (method: 'GET' | 'PUT' | 'POST', url: string, bearer: string | null, payload = {}) =>
    server.inject({
      method,
      url,
      ...(bearer === null ? {} : { headers: { authorization: `Bearer ${bearer}` } }),
      ...(method === 'GET' ? {} : { payload }),
    })
  const desired = '/v1/apps/shop/environments/production/desired'
  await ask('GET', '/v1/hosts', null)
  await ask('GET', '/v1/hosts', 'lsk1.AAAAAAAAAAA.nonsense')
  await ask('PUT', desired, viewer.text, { version: '1.0.0' })
  await ask('PUT', desired.replace('shop', 'blog'), viewer.text, { version: '1.0.0' })
  await ask('PUT', desired.replace('shop', 'Not%20an%20app'), viewer.text, { version: '1.0.0' })
  await call('POST', '/v1/apps/shop/environments/production/freeze', { reason: 'sale' })
  await ask('PUT', desired, token, { version: '1.0.0' })
  const challenge = { nonce: ports.challenges.draw(), controller: ports.controllerId }
  const enrolment = new AgentKey().enrolment('lsj1.no.token', 'web-9', challenge)
  await ask('POST', '/v1/enrol', null, enrolment)
  await ask('GET', '/v1/rollouts/none', token)
  await ask('GET', '/v1/nothing', token)
  await ask('PUT', desired, token, { version: '..' })
  await ports.denials.stop()
  const trail = (await auditTrail(database.db)).slice(known)
  const put = 'PUT /v1/apps/:app/environments/:environment/desired'
  const admin = token.split('.')[1]
  t.match(
    trail.map(({ who, what, app, outcome, details }) => [who, what, app, outcome, details]),
    [
      ['nobody', 'GET /v1/hosts', null, 'denied', { address: '127.0.0.1', code: 'unauthorised' }],
      [viewer.token.id, put, 'shop', 'denied', { code: 'forbidden', count: 1 }],
      [viewer.token.id, put, 'blog', 'denied', { code: 'unknown-environment' }],
      [viewer.token.id, put, null, 'denied', { code: 'unknown-environment' }],
      [admin, 'freeze', 'shop', 'done', {}],
      [admin, put, 'shop', 'denied', { code: 'frozen' }],
      ['nobody', 'enrol', null, 'denied', { code: 'bad-join-token' }],
      ['nobody', 'GET /v1/hosts', null, 'denied', { count: 1 }],
    ],
  )
  t.equal(trail.length, 8)
})

void t.test('an agent that is turned away is recorded too', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const { nonce, controller: id } = await controller.challenge()
  await t.rejects(AgentPeer.open(controller.url, new AgentKey().authorization(id, nonce)))
  await t.rejects(AgentPeer.open(controller.url, key.authorization(id, nonce)))
  await controller.stop()
  await controller.start()
  const path = '/v1/audit?outcome=denied&what=connect&order=oldest'
  const { items } = await controller.ask<AuditList>('GET', path)
  t.match(
    items.map(({ who, details }) => [who, details]),
    [
      ['nobody', { code: 'unknown-host', address: '127.0.0.1', count: 1 }],
      ['nobody', { code: 'bad-signature', count: 1 }],
    ],
  )
})
