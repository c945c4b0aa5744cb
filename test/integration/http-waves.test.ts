// Waves, pauses and drained hosts over HTTP: names and labels become hosts at the request, and the
// operator lets a rollout go on, holds it up or takes a host out.

import t from 'tap'
import { baseOf, openShop } from '../support/shop-server.ts'

const base = baseOf('production')

void t.test('a canary swaps alone, and the rest when somebody lets it go on', async (t) => {
  const { desire, obey, call } = await openShop(t)
  const answer = await desire({ version: '1.0.0', waves: [{ name: 'canary', count: 1 }] })
  const id = answer.body.rollout?.id
  t.match(answer.body.rollout, {
    waves: [
      { name: 'canary', soakMs: null },
      { name: null, soakMs: 0 },
    ],
    wave: 0,
    between: null,
    participants: [
      { name: 'web-1', wave: 0 },
      { name: 'web-2', wave: 1 },
    ],
  })
  const early = await call('POST', `/v1/rollouts/${id}/continue`)
  t.match(early, { status: 409, body: { code: 'not-waiting' } })
  await obey()
  t.match((await call('GET', `/v1/rollouts/${id}`)).body, {
    phase: 'verifying',
    between: { step: 'pause' },
    participants: [
      { counted: true, phase: 'healthy', runs: '1.0.0' },
      { counted: false, phase: 'ready', runs: null },
    ],
  })
  const onward = await call('POST', `/v1/rollouts/${id}/continue`)
  t.match(onward, { status: 200, body: { outcome: 'continued', rollout: { id } } })
  await obey()
  t.match((await call('GET', base)).body, {
    committed: { version: '1.0.0' },
    rollout: { phase: 'committed', exitCode: 0, wave: 1 },
  })
  const late = await call('POST', `/v1/rollouts/${id}/continue`)
  t.match(late, { status: 409, body: { code: 'not-waiting' } })
  t.match(await call('POST', '/v1/rollouts/none/continue'), { status: 404 })
})

void t.test('a rest between waves is held up, and a cancel takes all of it back', async (t) => {
  const { desire, obey, call } = await openShop(t)
  await desire({ version: '1.0.0' })
  await obey()
  const waves = [{ hosts: ['web-2'], soakMs: 600_000 }]
  const answer = await desire({ version: '2.0.0', waves })
  const id = answer.body.rollout?.id
  await obey()
  t.match((await call('GET', `/v1/rollouts/${id}`)).body, {
    between: { step: 'soak' },
    participants: [{ runs: '1.0.0' }, { name: 'web-2', runs: '2.0.0', wave: 0 }],
  })
  const held = await call('POST', `/v1/rollouts/${id}/pause`)
  t.match(held, {
    status: 200,
    body: { outcome: 'paused', rollout: { between: { step: 'pause' } } },
  })
  await call('POST', `/v1/rollouts/${id}/cancel`)
  await obey()
  t.match((await call('GET', base)).body, {
    committed: { version: '1.0.0' },
    rollout: { phase: 'rolled-back', exitCode: 3, reason: 'cancelled' },
    failed: [],
  })
})

void t.test('waves are chosen by label, and one of nobody is refused', async (t) => {
  const { desire, ports, hosts, runner } = await openShop(t)
  await ports.hosts.label(hosts[1]?.host ?? '', { role: 'canary' })
  const before = runner.state
  const refusals: readonly [object, number, string][] = [
    [{ label: 'role=db' }, 409, 'nobody-selected'],
    [{ hosts: ['web-9'] }, 404, 'unknown-host'],
    [{}, 400, 'bad-request'],
    [{ count: 1, percent: 10 }, 400, 'bad-request'],
    [{ percent: 101 }, 400, 'bad-request'],
    [{ count: 0 }, 400, 'bad-request'],
    [{ count: 1, soakMs: 3_600_001 }, 400, 'bad-request'],
    [{ count: 1, soak: '10m' }, 400, 'bad-request'],
  ]
  for (const [wave, status, code] of refusals) {
    const refused = await desire({ version: '1.0.0', waves: [wave] })
    t.match(refused, { status, body: { code, hint: /./ } }, JSON.stringify(wave))
  }
  t.equal(runner.state, before)
  const answer = await desire({ version: '1.0.0', waves: [{ label: 'role=canary', soakMs: 0 }] })
  t.match(answer.body.rollout, {
    participants: [
      { name: 'web-1', wave: 1 },
      { name: 'web-2', wave: 0 },
    ],
  })
})

void t.test('a drained host takes no part until it is let in again', async (t) => {
  const { desire, obey, call, hosts } = await openShop(t)
  const url = `/v1/hosts/${hosts[1]?.host}/drain`
  const drained = await call('POST', url, { reason: 'new disks' })
  t.match(drained, { status: 200, body: { name: 'web-2', apps: [{ drained: 'new disks' }] } })
  const answer = await desire({ version: '1.0.0' })
  t.match(answer.body.rollout, { participants: [{ name: 'web-1' }] })
  t.match(await call('DELETE', url), { status: 409, body: { message: /^shop in production: / } })
  await obey()
  t.match(await call('DELETE', url), { status: 200, body: { apps: [{ drained: null }] } })
  t.match(await call('DELETE', url), { status: 200 }, 'once more is no mistake')
  t.match(await desire({ version: '2.0.0' }), { body: { rollout: { participants: [{}, {}] } } })
  t.match(await call('POST', url, {}), { status: 400 })
  t.match(await call('POST', `/v1/hosts/${'x'.repeat(26)}/drain`, { reason: 'a' }), {
    status: 404,
    body: { code: 'unknown-host' },
  })
})
