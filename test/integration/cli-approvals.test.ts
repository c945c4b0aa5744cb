// The second person at the command line: a request that waits, is approved or is not, and what the exit
// code says of it.

import t, { type Test } from 'tap'
import type { ApprovalView } from '#shared/api/requests.ts'
import { FakeController } from './cli-fake-controller.ts'
import { HastyClock, ran } from './cli-run.ts'
import { committed, newRelease, rollout, startedAt } from './cli-views.ts'

const base = '/v1/apps/shop/environments/production'
const at = ['--env', 'production']

const approval: ApprovalView = {
  id: 'a-1',
  app: 'shop',
  environment: 'production',
  what: 'deploy',
  release: newRelease,
  policy: {},
  requestedBy: 'token-1',
  owner: 'anna',
  why: 'the sale',
  requestedAt: startedAt,
  expiresAt: startedAt + 86_400_000,
  state: 'waiting',
  decidedBy: null,
  decidedAt: null,
  rollout: null,
}
const waiting = { outcome: 'waiting', rollout: null, release: newRelease, approval }

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  fake.answer(`PUT ${base}/desired`, waiting, 202)
  return fake
}

void t.test('deploy waits for the other person, and follows the rollout', async (t) => {
  const fake = await controller(t)
  const done = committed()
  const approved = { ...approval, state: 'approved', decidedBy: 'token-2', rollout: done.id }
  let looks = 0
  fake.on(({ method, url }) => {
    if (method !== 'GET' || url !== `${base}/approvals/a-1`) return undefined
    looks += 1
    return { body: looks < 3 ? approval : approved }
  })
  fake.answer(`GET /v1/rollouts/${done.id}`, done)
  const deploy = ['deploy', 'shop', newRelease.version, ...at]
  const { exitCode, out } = await ran(deploy, { url: fake.url, clock: new HastyClock() })
  t.equal(exitCode, 0, out)
  t.match(out, /waiting for the approval of another person, until 2026-11-24 /)
  t.match(out, /they run: lockstep approve shop a-1 --env production/)
  t.match(out, /the request is approved, by token-2/)
  t.equal(looks, 3)
})

void t.test('a request that is declined ends as an abort', async (t) => {
  const fake = await controller(t)
  for (const state of ['declined', 'withdrawn', 'void', 'expired'] as const) {
    fake.answer(`GET ${base}/approvals/a-1`, { ...approval, state, decidedBy: null })
    const deploy = ['deploy', 'shop', newRelease.version, ...at]
    const { exitCode, out } = await ran(deploy, { url: fake.url, clock: new HastyClock() })
    t.equal(exitCode, 4, state)
    t.match(out, new RegExp(`the request is ${state}`))
  }
})

void t.test('without following it is left to wait', async (t) => {
  const fake = await controller(t)
  const words = ['deploy', 'shop', newRelease.version, ...at, '--no-wait']
  const { exitCode, out } = await ran(words, { url: fake.url })
  t.equal(exitCode, 0)
  t.match(out, /waiting for the approval/)
  const json = await ran([...words, '--json'], { url: fake.url })
  t.same(JSON.parse(json.out), waiting)
})

void t.test('what waits is listed, approved and withdrawn', async (t) => {
  const fake = await controller(t)
  const declined = { ...approval, id: 'a-0', state: 'declined', decidedBy: 'token-2', owner: null }
  fake.answer(`GET ${base}/approvals`, { items: [approval, declined], next: null })
  const { out } = await ran(['approvals', 'shop', ...at], { url: fake.url })
  t.match(
    out,
    /a-1 +deploy 0\.0\.12 \(tree [0-9a-f]{12}\) +anna \(token-1\) +waiting until 2026-11-24/,
  )
  t.match(out, /a-0 .* token-1 +declined by token-2 +the sale/)
  fake.answer(`POST ${base}/approvals/a-1/approve`, { outcome: 'started', rollout: rollout() }, 202)
  const given = await ran(['approve', 'shop', 'a-1', ...at, '--no-wait'], { url: fake.url })
  t.match(given, { exitCode: 0, out: /started the rollout/ })
  fake.answer(`POST ${base}/approvals/a-1/withdraw`, { ...approval, state: 'withdrawn' })
  const taken = await ran(['withdraw', 'shop', 'a-1', ...at], { url: fake.url })
  t.match(taken, { exitCode: 0, out: 'withdrawn: deploy 0.0.12\n' })
  fake.answer(`GET ${base}/approvals`, { items: [], next: null })
  t.match(await ran(['approvals', 'shop', ...at], { url: fake.url }), { out: /nothing waits/ })
})

void t.test('an environment is told to ask for a second person', async (t) => {
  const fake = await controller(t)
  fake.answer(`PUT ${base}/settings`, { freeze: null, requires: null, approvals: 1 })
  const set = ['environment', 'set', 'shop', ...at]
  const { out } = await ran([...set, '--approvals', '1'], { url: fake.url })
  t.match(out, /waits for another person/)
  t.same(JSON.parse(fake.asked.at(-1)?.body.toString() ?? ''), { approvals: 1 })
  t.equal((await ran([...set, '--approvals', '2'], { url: fake.url })).exitCode, 2)
  t.equal((await ran(set, { url: fake.url })).exitCode, 2)
})
