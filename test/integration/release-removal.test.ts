// Removing releases: never one that an environment needs, in whatever order requests come, and a
// version that was removed never comes to mean another tree.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { limits } from '#shared/limits.ts'
import { asker, digestOf } from '../support/fleet-facts.ts'
import { requestOf } from '../support/rollout-requests.ts'
import { RunningController, tarballOf } from '../support/running-controller.ts'
import { openShop } from '../support/shop-server.ts'

const who = { by: 'operator', why: null, at: Date.UTC(2026, 10, 23, 14, 3) }
const versions = (releases: readonly { version: string }[]) => releases.map((r) => r.version)

void t.test('what an environment needs cannot be removed, and it is said who does', async (t) => {
  const shop = await openShop(t, ['staging'])
  const { removal } = shop.ports
  for (const version of ['1.0.0', '2.0.0']) {
    await shop.desire({ version })
    await shop.obey()
  }
  t.equal(shop.runner.state.record.committed?.version, '2.0.0')
  await shop.desire({ version: '3.0.0' })
  const refusals: [version: string, message: RegExp][] = [
    ['1.0.0', /shop 1\.0\.0 is needed by production \(what `lockstep rollback` goes to\)$/],
    ['2.0.0', /production \(committed\), production \(what its open rollout goes back to\)/],
    ['3.0.0', /production \(desired\), production \(the target of its open rollout\)/],
  ]
  for (const [version, message] of refusals) {
    await t.rejects(removal.remove('shop', version, who), { code: 'release-needed', message })
  }
  const refusal: unknown = await removal
    .remove('shop', '3.0.0', who)
    .catch((error: unknown) => error)
  t.match(refusal, {
    status: 409,
    details: { neededBy: [{ environment: 'production', need: 'desired' }] },
  })
  t.match(await removal.prune('shop', 1, who), {
    removed: [],
    needed: [{ release: { version: '2.0.0' } }, { release: { version: '1.0.0' } }],
  })
  await shop.obey()
  t.equal(shop.runner.state.record.committed?.version, '3.0.0')
  await shop.desire({ version: '1.0.0' }, undefined, 'staging')
  await t.rejects(removal.remove('shop', '1.0.0', who), { message: /needed by staging/ })
  await shop.obey('staging')
  await t.rejects(removal.remove('shop', '1.0.0', who), { message: /staging \(committed\)/ })
  await shop.desire({ version: '3.0.0' }, undefined, 'staging')
  await shop.obey('staging')
  await t.rejects(removal.remove('shop', '1.0.0', who), { message: /staging \(what `lockstep/ })
})

void t.test('pruning leaves the newest and what is needed', async (t) => {
  const shop = await openShop(t)
  const { removal, releases } = shop.ports
  for (const version of ['1.0.0', '3.0.0']) {
    await shop.desire({ version })
    await shop.obey()
  }
  const planned = await removal.prune('shop', 1, null)
  t.same(versions(planned.removed), ['2.0.0'])
  t.same(planned.needed, [
    {
      release: await releases.get('shop', '1.0.0'),
      by: [{ environment: 'production', need: 'way-back' }],
    },
  ])
  t.equal((await releases.list('shop', 10, null)).length, 3, 'a dry run removes nothing')
  t.same(await removal.prune('shop', 1, who), planned)
  t.same(versions(await releases.list('shop', 10, null)), ['3.0.0', '1.0.0'])
  t.same(await releases.apps(), [{ app: 'shop', releases: 2 }])
  t.same((await removal.prune('shop', 1, who)).removed, [])
  await t.rejects(removal.prune('blog', 1, who), { code: 'unknown-app' })
  const back = await shop.call('POST', '/v1/apps/shop/environments/production/rollback', {})
  t.match(back, { status: 202, body: { rollout: { target: { version: '1.0.0' } } } })
})

void t.test('a removed version is known, means the same for ever, and can come back', async (t) => {
  const shop = await openShop(t)
  const { removal, releases } = shop.ports
  const one = await removal.remove('shop', '1.0.0', who)
  await t.rejects(releases.get('shop', '1.0.0'), {
    code: 'unknown-version',
    message: 'shop 1.0.0 was removed at 2026-11-23 14:03 UTC by operator',
    hint: /Publish the same tarball again/,
  })
  await t.rejects(removal.remove('shop', '1.0.0', who), { code: 'unknown-version' })
  t.match(await shop.desire({ version: '1.0.0' }), { status: 404 })
  const other = await releases.publish({ ...one, tree: digestOf('9') })
  t.equal(other.outcome, 'version-exists')
  await t.rejects(releases.get('shop', '1.0.0'), { code: 'unknown-version' }, 'it stays removed')
  const again = { ...one, artifact: digestOf('b'), publishedBy: 'ci', publishedAt: 7 }
  const { outcome, release } = await releases.publish(again)
  t.equal(outcome, 'published')
  t.same(release, { ...again, number: 4 }, 'as the newest')
  t.same(versions(await releases.list('shop', 10, null)), ['1.0.0', '3.0.0', '2.0.0'])
  t.same(
    (await removal.prune('shop', 1, null)).removed.map((r) => r.version),
    ['3.0.0', '2.0.0'],
  )
  await removal.remove('shop', '1.0.0', who)
  const next = await releases.publish({ ...one, version: '4.0.0', tree: digestOf('4') })
  t.equal(next.release.number, 5, 'no number is given twice')
})

void t.test('a request that chose a release before it was removed is refused', async (t) => {
  const shop = await openShop(t)
  const { removal, releases } = shop.ports
  const release = await releases.reference('shop', '1.0.0')
  await removal.remove('shop', '1.0.0', who)
  await t.rejects(shop.runner.desire(requestOf('r-1', release), asker), {
    code: 'unknown-version',
    message: 'shop 1.0.0 was just removed',
  })
  t.equal(shop.runner.state.record.desired, null, 'and nothing has happened')
  t.match(await shop.desire({ version: '2.0.0' }), { status: 202 }, 'the environment goes on')
  await shop.obey()
  t.equal(shop.runner.state.record.committed?.version, '2.0.0')
})

void t.test('of a removal and a request at once exactly one wins', async (t) => {
  const shop = await openShop(t)
  const { removal, releases } = shop.ports
  const ends = new Set<string>()
  for (let round = 0; round < 20; round += 1) {
    const version = `r-${round}`
    await releases.publish({
      ...(await releases.get('shop', '3.0.0')),
      version,
      tree: digestOf(`${round % 10}${round}`),
    })
    const remove = async () => {
      for (let turn = 0; turn < round; turn += 1) await new Promise(setImmediate)
      return removal.remove('shop', version, who)
    }
    const [removed, desired] = await Promise.all([
      remove().then(
        () => true,
        (error: unknown) => void t.match(error, { code: 'release-needed' }),
      ),
      shop.desire({ version }).then(({ status }) => status === 202),
    ])
    t.not(removed === true, desired, `${version} is removed or desired`)
    ends.add(removed === true ? 'removed' : 'desired')
    await shop.call('POST', `/v1/rollouts/${shop.runner.state.record.rollout?.id}/cancel`, {})
  }
  t.comment([...ends].join(', '))
})

void t.test('over HTTP: pruned, swept, and what was removed is not served', async (t) => {
  const controller = await RunningController.start(t)
  const contents = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(10_000))
  for (const [at, content] of contents.entries()) await controller.publish(`${at}.0`, content)
  const place = '/v1/apps/shop/environments/production'
  const body = { version: '0.0', allowEmpty: true }
  t.match(await controller.call('PUT', `${place}/desired`, { json: body }), { status: 202 })
  const [, one] = (
    await controller.ask<{ items: { artifact: string }[] }>('GET', '/v1/apps/shop/releases')
  ).items.toReversed()
  const prune = (json: object) => controller.call('POST', '/v1/apps/shop/releases/prune', { json })
  const plan = await prune({ keep: 2, dryRun: true })
  t.match(plan, {
    status: 200,
    body: {
      app: 'shop',
      dryRun: true,
      keep: 2,
      removed: [{ version: '2.0', treeBytes: 10_000 }, { version: '1.0' }],
      needed: [{ version: '0.0', by: [{ environment: 'production', need: 'committed' }] }],
      swept: { files: 6 },
    },
  })
  t.ok(existsSync(join(controller.data, 'artifacts', one?.artifact ?? '')))
  const done = await prune({ keep: 2 })
  t.same(done.body, { ...(plan.body as object), dryRun: false }, 'the dry run said it exactly')
  t.notOk(existsSync(join(controller.data, 'artifacts', one?.artifact ?? '')))
  t.equal(readdirSync(join(controller.data, 'manifests')).length, 3)
  t.match(await controller.call('GET', '/v1/apps/shop/releases/1.0/artifact'), {
    status: 404,
    body: { code: 'unknown-version', message: /was removed at/ },
  })
  t.match(await controller.call('DELETE', '/v1/apps/shop/releases/0.0'), {
    status: 409,
    body: { code: 'release-needed', message: /production \(committed\)/ },
  })
  t.match(await controller.call('DELETE', '/v1/apps/shop/releases/3.0'), {
    status: 200,
    body: { app: 'shop', version: '3.0', swept: { files: 3 } },
  })
  t.match(await controller.call('DELETE', '/v1/apps/shop/releases/3.0'), { status: 404 })
  t.equal(
    await controller.publish('3.0', contents[3]),
    await controller.publish('3.0', contents[3]),
  )
  await controller.stop()
  await controller.start()
  t.match(await controller.call('GET', '/v1/apps/shop/releases'), {
    body: { items: [{ version: '3.0' }, { version: '4.0' }, { version: '0.0' }] },
  })
})

void t.test('how many stay is a setting of the app', async (t) => {
  const controller = await RunningController.start(t)
  for (const version of ['1', '2', '3']) await controller.publish(version)
  const keep = '/v1/apps/shop/keep'
  t.same(await controller.ask('GET', keep), { app: 'shop', keep: limits.releasesKeptDefault })
  t.same(await controller.ask('PUT', keep, { keep: 2 }), { app: 'shop', keep: 2 })
  t.same(await controller.ask('PUT', keep, { keep: 1 }), { app: 'shop', keep: 1 })
  t.same(await controller.ask('GET', keep), { app: 'shop', keep: 1 })
  t.match(await controller.ask('GET', '/v1/apps/blog/keep'), { keep: limits.releasesKeptDefault })
  const prune = '/v1/apps/shop/releases/prune'
  t.match(await controller.ask('POST', prune, {}), {
    keep: 1,
    removed: [{ version: '2' }, { version: '1' }],
  })
  for (const json of [{ keep: 0 }, { keep: '1' }, { keep: 1.5 }, { keep: 1e6 }, { all: true }]) {
    t.match(await controller.call('POST', prune, { json }), { status: 400 })
    t.match(await controller.call('PUT', keep, { json }), { status: 400 })
  }
  t.match(await controller.call('POST', '/v1/apps/blog/releases/prune', { json: {} }), {
    status: 404,
    body: { code: 'unknown-app' },
  })
  t.equal((await controller.call('DELETE', prune, { token: null })).status, 401)
})

void t.test('uploads and prunes at once leave every release whole', async (t) => {
  const controller = await RunningController.start(t)
  const prune = () => controller.call('POST', '/v1/apps/shop/releases/prune', { json: { keep: 1 } })
  await controller.publish('first', 'x')
  for (let round = 0; round < 5; round += 1) {
    const uploads = ['x', `y${round}`, 'x'].map((content, at) =>
      controller.call('PUT', `/v1/apps/shop/releases/${round}-${at}`, { body: tarballOf(content) }),
    )
    const answers = await Promise.all([...uploads, prune(), prune()])
    t.ok(answers.every(({ status }) => status < 300))
  }
  const { items } = await controller.ask<{ items: { version: string; tree: string }[] }>(
    'GET',
    '/v1/apps/shop/releases',
  )
  t.ok(items.length >= 1)
  for (const { version, tree } of items) {
    t.match(await controller.call('GET', `/v1/trees/${tree}/pack`), { status: 200 }, version)
    t.match(await controller.call('GET', `/v1/apps/shop/releases/${version}/artifact`), {
      status: 200,
    })
  }
})
