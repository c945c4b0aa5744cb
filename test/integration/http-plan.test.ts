// A plan over HTTP: what a deploy would do, said by its own planner, and nothing done.

import SQLite from 'better-sqlite3'
import { join } from 'node:path'
import t from 'tap'
import { helloOf, observedOf } from '../support/fleet-facts.ts'
import { RunningController, tarballOf } from '../support/running-controller.ts'
import { baseOf, openShop } from '../support/shop-server.ts'

const base = baseOf('production')

interface Plan {
  readonly outcome: string
  readonly hosts: readonly { name: string; fetch: { bytes: number; files: number } | null }[]
}

void t.test('whether a host serves something else is not said', async (t) => {
  const { call, enrol, desire } = await openShop(t)
  await enrol('db-1', { app: 'billing', environment: 'production' })
  const asked = async (name: string) => {
    const ways = [{ exclude: { [name]: 'why' } }, { waves: [{ hosts: [name] }] }]
    const answers = ways.flatMap((way) => {
      const body = { version: '1.0.0', ...way }
      return [call('POST', `${base}/plan`, body), desire(body)]
    })
    return JSON.stringify(await Promise.all(answers)).replaceAll(name, 'NAME')
  }
  t.match(await asked('db-2'), /there is no host NAME/)
  t.equal(await asked('db-1'), await asked('db-2'))
})

void t.test('it says what the deploy then does', async (t) => {
  const { desire, call, obey } = await openShop(t)
  await desire({ version: '1.0.0' })
  await obey()
  const body = {
    version: '2.0.0',
    require: '50%',
    exclude: { 'web-2': 'new disks' },
    waves: [{ name: 'canary', count: 1, soakMs: 60_000 }],
  }
  const plan = await call('POST', `${base}/plan`, body)
  t.match(plan, {
    status: 200,
    body: {
      outcome: 'started',
      refusal: null,
      release: { version: '2.0.0' },
      fallback: { version: '1.0.0' },
      require: '50%',
      hostsMin: 1,
      hosts: [{ name: 'web-1', wave: 0, runs: '1.0.0' }],
      excluded: [{ name: 'web-2', reason: 'new disks' }],
      once: null,
    },
  })
  const { rollout } = (await desire(body)).body
  t.match(rollout, {
    require: plan.body.require,
    waves: plan.body.waves,
    fallback: plan.body.fallback,
    excluded: plan.body.excluded,
    participants: plan.body.hosts.map(({ name, wave }: { name: string; wave: number }) => ({
      name,
      wave,
    })),
  })
  const asked = (payload: object) => call('POST', `${base}/plan`, payload)
  t.match(await asked({ version: '2.0.0' }), { body: { outcome: 'open', hosts: [] } })
  t.match(await asked({ version: '1.0.0' }), { body: { outcome: 'returned' } })
  t.match(await asked({ version: '3.0.0' }), {
    body: { outcome: 'started', supersedes: '2.0.0' },
  })
})

void t.test('it says why a deploy would be refused', async (t) => {
  const { desire, call, obey, fail, ports } = await openShop(t, ['staging'])
  const plan = async (payload: object) => (await call('POST', `${base}/plan`, payload)).body
  t.match(await plan({ version: '1.0.0', require: '3' }), {
    outcome: 'refused',
    refusal: { code: 'too-few-hosts', hint: /./ },
  })
  t.match(await plan({ version: '1.0.0', on: ['role=db'] }), { code: 'nobody-selected' })
  t.match(await plan({ version: '9.0.0' }), { code: 'unknown-version' })
  await desire({ version: '1.0.0' })
  await obey()
  await desire({ version: '2.0.0' })
  await fail()
  t.match(await plan({ version: '2.0.0' }), { outcome: 'started', notes: [/failed in production/] })
  await call('PUT', `${base}/settings`, { requires: 'staging' })
  t.match(await plan({ version: '3.0.0' }), {
    outcome: 'refused',
    refusal: { code: 'not-promotable' },
    hosts: [{ name: 'web-1' }, { name: 'web-2' }],
  })
  await call('POST', `${base}/freeze`, { reason: 'audit', owner: 'ana' })
  t.match(await plan({ version: '3.0.0' }), { refusal: { code: 'frozen', message: /ana/ } })
  t.match(await plan({ version: '1.0.0' }), { outcome: 'unchanged', refusal: null })
  const nowhere = `${baseOf('prodution')}/plan`
  t.match(await call('POST', nowhere, { version: '1.0.0' }), { status: 404 })
  t.match(await call('POST', nowhere, { version: '1.0.0', allowEmpty: true }), {
    body: { outcome: 'started', hosts: [] },
  })
  t.equal(ports.environments.of({ app: 'shop', environment: 'prodution' }), null)
})

void t.test('it names what each host has to fetch, and changes nothing at all', async (t) => {
  const controller = await RunningController.start(t)
  const tree = await controller.publish('1.0.0', 'same')
  await controller.call('PUT', '/v1/apps/shop/releases/2.0.0', { body: tarballOf('longer text') })
  const key = await controller.enrol('web-1')
  await controller.enrol('web-2')
  const peer = await controller.connect(key)
  peer.say(helloOf(), observedOf({ current: { version: '1.0.0', tree }, standing: 'before' }))
  await peer.settled()
  const plan = (version: string) => controller.ask<Plan>('POST', `${base}/plan`, { version })
  await plan('1.0.0')
  const before = contentOf(controller.data)
  t.match(await plan('2.0.0'), {
    outcome: 'started',
    hosts: [
      { name: 'web-1', runs: '1.0.0', fetch: { bytes: 'longer text'.length, files: 1 } },
      { name: 'web-2', phase: 'unknown', fetch: null },
    ],
  })
  t.match(await plan('1.0.0'), { hosts: [{ fetch: { bytes: 0, files: 0 } }, {}] })
  t.same(contentOf(controller.data), before)
  await peer.end()
})

/** Every row of every table. */
function contentOf(data: string): Record<string, unknown[]> {
  const sqlite = new SQLite(join(data, 'lockstep.sqlite'), { readonly: true })
  try {
    const tables = sqlite.prepare<[], { name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    )
    const rowsOf = (name: string) => sqlite.prepare(`SELECT * FROM "${name}"`).all()
    return Object.fromEntries(tables.all().map(({ name }) => [name, rowsOf(name)]))
  } finally {
    sqlite.close()
  }
}
