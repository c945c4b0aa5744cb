// The second person, over the HTTP API: what starts a rollout waits for somebody else, for as long as it
// is what was asked, and starts once.

import t, { type Test } from 'tap'
import type { Grant } from '#shared/api/token-schemas.ts'
import { limits } from '#shared/limits.ts'
import { asker, shop } from '../support/fleet-facts.ts'
import { openTestServer } from '../support/test-server.ts'
import { tarballOf } from '../support/running-controller.ts'

const base = '/v1/apps/shop/environments/production'

async function openGuarded(t: Test) {
  const there = await openTestServer(t)
  const { server, ports, clock, enrol, token: admin } = there
  await enrol('web-1')
  await enrol('test-1', { app: 'shop', environment: 'staging' })
  const call = async (
    token: string,
    method: string,
    url: string,
    payload?: object,
    headers: Record<string, string> = {},
  ) => {
    const answer = await server.inject({
      method: method as 'GET',
      url,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(payload === undefined ? {} : { payload }),
    })
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() }
  }
  const publish = (version: string) =>
    server.inject({
      method: 'PUT',
      url: `/v1/apps/shop/releases/${version}`,
      headers: { 'authorization': `Bearer ${admin}`, 'content-type': 'application/octet-stream' },
      payload: tarballOf(version),
    })
  const person = async (owner: string | null, grant: Partial<Grant> = {}) => {
    const createdAt = clock.now()
    const { text, token } = await ports.tokens.create({
      kind: 'api',
      grants: [{ role: 'deployer', ...shop, ...grant }],
      owner,
      apps: [],
      createdAt,
      expiresAt: createdAt + 1e9,
      usesMax: null,
      ...asker,
    })
    return { text, id: token.id }
  }
  await publish('1.0.0')
  await publish('2.0.0')
  const set = await call(admin, 'PUT', `${base}/settings`, { approvals: 1, reason: 'audited' })
  t.match(set, { status: 200, body: { approvals: 1, requires: null } })
  const [anna, ben] = [await person('anna'), await person('ben')]
  const open = async () => ports.environments.of(shop)?.state.record.rollout ?? null
  const ask = (version: string, headers: Record<string, string> = {}, who = anna.text) =>
    call(who, 'PUT', `${base}/desired`, { version }, headers)
  const approve = (id: string, who = ben.text) =>
    call(who, 'POST', `${base}/approvals/${id}/approve`)
  return { ...there, admin, call, publish, person, anna, ben, open, ask, approve }
}

void t.test('what starts a rollout waits, and another person starts it', async (t) => {
  const { ask, approve, open, anna, ben, call } = await openGuarded(t)
  const asked = await ask('1.0.0')
  t.match(asked, {
    status: 202,
    body: {
      outcome: 'waiting',
      rollout: null,
      release: { version: '1.0.0' },
      approval: { state: 'waiting', what: 'deploy', owner: 'anna', requestedBy: anna.id },
    },
  })
  t.equal(await open(), null, 'nothing was started')
  const { id } = asked.body.approval
  t.match(await approve(id, anna.text), { status: 403, body: { code: 'own-request' } })
  t.equal(await open(), null)
  const started = await approve(id)
  t.match(started, { status: 202, body: { outcome: 'started', release: { version: '1.0.0' } } })
  t.equal(started.body.rollout.requestedBy, anna.id)
  const [shown] = (await call(ben.text, 'GET', `${base}/approvals`)).body.items
  t.match(shown, { id, state: 'approved', decidedBy: ben.id, rollout: started.body.rollout.id })
  const again = await approve(id)
  t.match(again, { status: 200, body: { rollout: { id: started.body.rollout.id } } }, 'a repeat')
})

void t.test('another token of the same person is no other person', async (t) => {
  const { ask, approve, person } = await openGuarded(t)
  const { id } = (await ask('1.0.0')).body.approval
  const second = await person('anna')
  t.match(await approve(id, second.text), { status: 403, body: { code: 'own-request' } })
})

void t.test('who may not deploy there approves nothing there', async (t) => {
  const { ask, approve, person, admin } = await openGuarded(t)
  const { id } = (await ask('1.0.0')).body.approval
  const viewer = await person('vera', { role: 'viewer' })
  t.match(await approve(id, viewer.text), { status: 403, body: { code: 'forbidden' } })
  const elsewhere = await person('eva', { environment: 'staging' })
  t.match(await approve(id, elsewhere.text), { status: 404 })
  t.match(await approve(id, admin), { status: 202 })
})

void t.test('a repeat of the request is the same request', async (t) => {
  const { ask, approve, call, anna } = await openGuarded(t)
  const key = { 'idempotency-key': 'one' }
  const first = (await ask('1.0.0', key)).body.approval
  t.equal((await ask('1.0.0', key)).body.approval.id, first.id)
  t.equal((await ask('1.0.0')).body.approval.id, first.id, 'without the key too')
  t.match(await ask('2.0.0', key), { status: 409, body: { code: 'key-reused' } })
  const other = { version: '1.0.0', require: '1' }
  const narrower = await call(anna.text, 'PUT', `${base}/desired`, other)
  t.not(narrower.body.approval.id, first.id, 'another policy is another request')
  const started = await approve(first.id)
  t.match(await ask('1.0.0', key), {
    body: { outcome: 'open', rollout: { id: started.body.rollout.id } },
  })
})

void t.test('two who approve at once start one rollout', async (t) => {
  const { ask, approve, person, ports } = await openGuarded(t)
  const { id } = (await ask('1.0.0')).body.approval
  const others = await Promise.all(['c', 'd', 'e'].map((owner) => person(owner)))
  const answers = await Promise.all(others.map(({ text }) => approve(id, text)))
  t.equal(new Set(answers.map(({ body }) => body.rollout?.id)).size, 1)
  const rollouts = await ports.history.rollouts(shop, 10, null)
  t.equal(rollouts.length, 1)
})

void t.test('what is approved is what was asked, or nothing', async (t) => {
  const { ask, approve, call, admin, open, anna, clock } = await openGuarded(t)
  const removed = (await ask('1.0.0')).body.approval.id
  t.equal((await call(admin, 'DELETE', '/v1/apps/shop/releases/1.0.0')).status, 200)
  t.match(await approve(removed), { status: 409, body: { code: 'approval-over', message: /void/ } })
  t.match(await approve(removed), { status: 409, body: { message: /is void/ } })
  const late = (await ask('2.0.0')).body.approval.id
  clock.advance(limits.approvalMs)
  t.match(await approve(late), { status: 409, body: { code: 'approval-over', message: /time/ } })
  const [shown] = (await call(admin, 'GET', `${base}/approvals`)).body.items
  t.equal(shown.state, 'expired')
  const orphan = (await ask('2.0.0')).body.approval.id
  t.not(orphan, late)
  await call(admin, 'DELETE', `/v1/tokens/${anna.id}`)
  t.match(await approve(orphan), { status: 409, body: { message: /not good any more/ } })
  t.equal(await open(), null)
})

void t.test('a request is withdrawn by who asked, and declined by another', async (t) => {
  const { ask, approve, call, anna, ben } = await openGuarded(t)
  const take = (id: string, who: string) => call(who, 'POST', `${base}/approvals/${id}/withdraw`)
  const one = (await ask('1.0.0')).body.approval.id
  t.match(await take(one, anna.text), { status: 200, body: { state: 'withdrawn' } })
  t.match(await approve(one), { status: 409, body: { code: 'approval-over' } })
  const two = (await ask('1.0.0')).body.approval.id
  t.not(two, one)
  t.match(await take(two, ben.text), { body: { state: 'declined', decidedBy: ben.id } })
  t.match(await take(two, ben.text), { status: 409, body: { code: 'approval-over' } })
  t.match(await take('nothing', ben.text), { status: 404, body: { code: 'unknown-approval' } })
})

void t.test('going back by oneself is asked for; what ends a rollout is not', async (t) => {
  const { ask, approve, call, anna } = await openGuarded(t)
  const { id } = (await ask('1.0.0')).body.approval
  const { rollout } = (await approve(id)).body
  t.match(await ask('1.0.0'), { body: { outcome: 'open' } }, 'it is open already')
  const cancelled = await call(anna.text, 'POST', `/v1/rollouts/${rollout.id}/cancel`)
  t.match(cancelled, { status: 200, body: { outcome: 'cancelled' } })
  const back = await call(anna.text, 'POST', `${base}/rollback`, { version: '2.0.0' })
  t.match(back, { status: 202, body: { outcome: 'waiting', approval: { what: 'rollback' } } })
})

void t.test('nothing is started that was to start nothing when it was looked at', async (t) => {
  const { ask, approve, call, anna, admin, ports, open } = await openGuarded(t)
  const { rollout } = (await approve((await ask('1.0.0')).body.approval.id)).body
  const { environmentSettings: settings } = ports
  const look = settings.get.bind(settings)
  // The first look is for the freeze, the second for the second person: between them the rollout ends.
  let looks = 0
  settings.get = async (place) => {
    looks += 1
    if (looks === 2) await call(anna.text, 'POST', `/v1/rollouts/${rollout.id}/cancel`)
    return look(place)
  }
  const asked = await ask('1.0.0')
  t.match(asked, { status: 503, body: { code: 'busy', hint: /Nothing was started/ } })
  t.match(await open(), { id: rollout.id, phase: 'aborted' })
  settings.get = look
  t.match(await ask('1.0.0'), { status: 202, body: { outcome: 'waiting' } })
  await call(admin, 'PUT', `${base}/settings`, { approvals: 0, reason: 'over' })
  t.match(await ask('1.0.0'), { status: 202, body: { outcome: 'started' } })
})

void t.test('a frozen environment is refused to both, and the request waits on', async (t) => {
  const { ask, approve, call, admin } = await openGuarded(t)
  const { id } = (await ask('1.0.0')).body.approval
  await call(admin, 'POST', `${base}/freeze`, { reason: 'the sale' })
  t.match(await approve(id), { status: 409, body: { code: 'frozen' } })
  t.match(await ask('2.0.0'), { status: 409, body: { code: 'frozen' } })
  await call(admin, 'DELETE', `${base}/freeze`)
  t.match(await approve(id), { status: 202 })
})

void t.test('only an admin changes that a second person is needed, and it is told', async (t) => {
  const { call, anna, admin, ask } = await openGuarded(t)
  const set = (who: string, approvals: number) =>
    call(who, 'PUT', `${base}/settings`, { approvals, reason: 'night shift' })
  t.match(await set(anna.text, 0), { status: 403 })
  t.match(await call(admin, 'PUT', `${base}/settings`, {}), { status: 400 })
  t.match(await set(admin, 0), { status: 200, body: { approvals: 0 } })
  const facts = (await call(admin, 'GET', '/v1/facts?order=newest&limit=1')).body.items
  t.match(facts, [{ type: 'approvals-set', text: /no longer needs .* night shift/ }])
  t.match(await ask('1.0.0'), { body: { outcome: 'started' } })
})

void t.test('an approval that a crash cut off is finished by a repeat', async (t) => {
  const { ask, approve, ports } = await openGuarded(t)
  const { id } = (await ask('1.0.0')).body.approval
  const decide = ports.approvals.decide.bind(ports.approvals)
  ports.approvals.decide = () => Promise.reject(new Error('the power failed'))
  t.equal((await approve(id)).status, 500)
  ports.approvals.decide = decide
  t.equal((await ports.approvals.get(shop, id))?.state, 'approving')
  const repeated = await approve(id)
  t.match(repeated, { body: { outcome: 'open' } })
  t.match(await ports.approvals.get(shop, id), {
    state: 'approved',
    rollout: repeated.body.rollout.id,
  })
  t.equal((await ports.history.rollouts(shop, 10, null)).length, 1)
})
