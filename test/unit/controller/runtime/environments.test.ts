// All environments of a controller: resumed from the store, in step with the hosts that are enrolled.

import t from 'tap'
import { Environments, type EnvironmentsPorts } from '#controller/runtime/environments.ts'
import type { EnvironmentStore, StoredEnvironment } from '#controller/runtime/environment-store.ts'
import type { EnrolledHost } from '#controller/store/host-store.ts'
import { emptyRecord } from '#shared/environment/state.ts'
import { MemoryStore } from '../../../support/environment-world.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { asker, one, shop } from '../../../support/fleet-facts.ts'
import { requestOf } from '../../../support/rollout-requests.ts'

const blog = { app: 'blog', environment: 'production' }

/** One memory store an environment. */
class MemoryStores implements EnvironmentStore {
  readonly #stores = new Map<string, MemoryStore>()
  opened = 0

  of(app: string, environment: string): MemoryStore {
    const key = `${app}/${environment}`
    const known = this.#stores.get(key)
    if (known !== undefined) return known
    const made = new MemoryStore([], emptyRecord(app, environment))
    this.#stores.set(key, made)
    return made
  }

  async list(): Promise<readonly StoredEnvironment[]> {
    return [...this.#stores.values()].map((store) => store.stored)
  }

  async open(app: string, environment: string): Promise<StoredEnvironment> {
    this.opened += 1
    return this.of(app, environment).stored
  }

  save: EnvironmentStore['save'] = (save) =>
    this.of(save.after.app, save.after.environment).save(save)
  isRecorded: EnvironmentStore['isRecorded'] = (app, environment, fence) =>
    this.of(app, environment).isRecorded(app, environment, fence)
  rolloutOfKey: EnvironmentStore['rolloutOfKey'] = (app, environment, key) =>
    this.of(app, environment).rolloutOfKey(app, environment, key)
}

function hostOf(id: string, ...apps: EnrolledHost['apps'][number][]): EnrolledHost {
  return { id, name: `name-${id}`, publicKey: 'k', enrolledAt: 1, apps }
}

function portsOf(store: EnvironmentStore): EnvironmentsPorts {
  return {
    store,
    clock: new FakeClock(),
    tell: () => undefined,
    onChange: () => undefined,
    onUnsaved: () => undefined,
    onConflict: () => undefined,
  }
}

async function membersOf(environments: Environments): Promise<Record<string, string[]>> {
  const runners = environments.all()
  await Promise.all(runners.map((runner) => runner.idle()))
  return Object.fromEntries(
    runners.map(({ state: { record } }) => [record.app, Object.keys(record.members)]),
  )
}

void t.test('a host is a member wherever it serves, and nowhere else', async (t) => {
  const environments = await Environments.start(portsOf(new MemoryStores()), [])
  await environments.join(hostOf('a', shop, blog))
  await environments.join(hostOf('b', shop))
  t.same(await membersOf(environments), { shop: ['a', 'b'], blog: ['a'] })
  await environments.join(hostOf('a', shop))
  t.same(await membersOf(environments), { shop: ['a', 'b'], blog: [] })
  environments.remove('b')
  t.same(await membersOf(environments), { shop: ['a'], blog: [] })
  environments.stop()
})

void t.test('a start makes up for what happened to the hosts while it was away', async (t) => {
  const stores = new MemoryStores()
  const before = await Environments.start(portsOf(stores), [])
  await before.join(hostOf('gone', shop))
  await before.join(hostOf('stays', shop))
  await membersOf(before)
  before.stop()
  const hosts = [hostOf('stays', shop), hostOf('new', shop, blog)]
  const after = await Environments.start(portsOf(stores), hosts)
  t.same(await membersOf(after), { shop: ['stays', 'new'], blog: ['new'] })
  after.stop()
})

void t.test('one environment has one runner, however many open it at once', async (t) => {
  const stores = new MemoryStores()
  const environments = await Environments.start(portsOf(stores), [])
  const runners = await Promise.all(Array.from({ length: 5 }, () => environments.open(shop)))
  t.equal(new Set(runners).size, 1)
  t.equal(stores.opened, 1)
  t.equal(environments.of(shop), runners[0])
  t.equal(environments.of(blog), null)
  environments.stop()
})

void t.test('an environment that cannot be opened can be opened later', async (t) => {
  const stores = new MemoryStores()
  const environments = await Environments.start(portsOf(stores), [])
  const { open } = stores
  stores.open = () => Promise.reject(new Error('disk full'))
  const both = await Promise.allSettled([environments.open(shop), environments.open(shop)])
  t.same(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  stores.open = open
  t.ok(await environments.open(shop))
  environments.stop()
})

void t.test('a start that fails leaves nothing running', async (t) => {
  const stores = new MemoryStores()
  const clock = new FakeClock()
  const ports = { ...portsOf(stores), clock }
  const before = await Environments.start(ports, [hostOf('a', shop)])
  const runner = before.of(shop)
  await runner?.idle()
  await runner?.desire(requestOf('r1', one), asker)
  before.stop()
  t.same(clock.pending, [])
  const { open } = stores
  stores.open = () => Promise.reject(new Error('disk full'))
  await t.rejects(Environments.start(ports, [hostOf('a', shop, blog)]), { message: 'disk full' })
  t.same(clock.pending, [], 'no deadline waits for nobody')
  stores.open = open
})
