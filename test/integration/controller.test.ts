// The controller as a whole: what a start makes, what outlives a restart, and how a start fails.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import SQLite from 'better-sqlite3'
import { startController } from '#controller/app.ts'
import { RunningController } from '../support/running-controller.ts'

function dataIn(t: Test): string {
  const data = mkdtempSync(join(tmpdir(), 'lockstep-data-'))
  t.teardown(() => rmSync(data, { recursive: true, force: true }))
  return data
}

function startOn(data: string, port = 0) {
  return startController({
    data,
    host: '127.0.0.1',
    port,
    tls: { mode: 'plain', forced: false },
    version: '0',
    log: pino({ level: 'silent' }),
    onFatal: () => undefined,
  })
}

const statusOf = async (controller: RunningController, token: string) =>
  (await controller.call('GET', '/v1/hosts', { token })).status

void t.test(
  'the first start stores a token that only its owner reads, and that works',
  async (t) => {
    const controller = await RunningController.start(t)
    const path = join(controller.data, 'admin-token')
    t.match(readFileSync(path, 'utf8'), /^lsk1\.[\w-]{11}\.[\w-]{43}\n$/)
    t.equal((statSync(path).mode & 0o777).toString(8), '600')
    t.equal(await statusOf(controller, controller.adminToken), 200)
    const first = controller.adminToken
    await controller.stop()
    await controller.start()
    t.equal(controller.adminToken, first, 'and no other start makes another')
    t.equal(await statusOf(controller, first), 200)
  },
)

void t.test('a start that was killed between file and table makes up for it', async (t) => {
  const data = dataIn(t)
  writeFileSync(join(data, 'admin-token'), 'lsk1.of.nobody\n', { mode: 0o644 })
  writeFileSync(join(data, 'admin-token.new'), 'lsk1.half', { mode: 0o644 })
  const controller = await startOn(data)
  const text = readFileSync(join(data, 'admin-token'), 'utf8')
  t.match(text, /^lsk1\.[\w-]{11}\.[\w-]{43}\n$/)
  t.equal((statSync(join(data, 'admin-token')).mode & 0o777).toString(8), '600')
  const headers = { authorization: `Bearer ${text.trim()}` }
  t.equal((await fetch(`${controller.url}/v1/hosts`, { headers })).status, 200)
  await controller.stop()
})

void t.test('where no good token is left, a start makes a new one', async (t) => {
  const controller = await RunningController.start(t)
  const first = controller.adminToken
  await controller.stop()
  const db = new SQLite(join(controller.data, 'lockstep.sqlite'))
  db.exec('UPDATE token SET expires_at = 1')
  db.close()
  await controller.start()
  t.not(controller.adminToken, first)
  t.equal(await statusOf(controller, first), 401)
  t.equal(await statusOf(controller, controller.adminToken), 200)
})

void t.test('everything that people were told outlives a restart', async (t) => {
  const controller = await RunningController.start(t)
  const tree = await controller.publish('1.0.0')
  const key = await controller.enrol('web-1')
  const base = '/v1/apps/shop/environments/production'
  const { rollout } = await controller.ask<{ rollout: { id: string } }>('PUT', `${base}/desired`, {
    version: '1.0.0',
  })
  const paths = [
    '/v1/apps',
    '/v1/apps/shop/releases',
    '/v1/hosts',
    '/v1/facts',
    `${base}/rollouts`,
    `/v1/trees/${tree}/manifest`,
  ]
  const read = async () =>
    Promise.all(paths.map(async (path) => (await controller.call('GET', path)).body))
  const { controller: id } = await controller.challenge()
  const before = await read()
  await controller.stop()
  await controller.start()
  const after = await read()
  for (const [at, path] of paths.entries()) {
    if (path.endsWith('rollouts')) t.match(after[at], { items: [{ id: rollout.id }] })
    else t.same(after[at], before[at], path)
  }
  t.equal((await controller.challenge()).controller, id)
  const peer = await controller.connect(key)
  await peer.end()
})

void t.test('a self-check writes to the database', async (t) => {
  const controller = await startOn(dataIn(t))
  await t.resolves(controller.check())
  await controller.stop()
  await t.rejects(controller.check())
})

void t.test('an address that is taken is named, and nothing is left running', async (t) => {
  const taken = createServer()
  taken.listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const data = dataIn(t)
  await t.rejects(startOn(data, port), {
    code: 'bad-configuration',
    message: new RegExp(`127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\)`),
    hint: /--listen/,
  })
  const again = await startOn(data)
  await again.stop()
})

void t.test('a database that cannot be used is named', async (t) => {
  const data = dataIn(t)
  writeFileSync(join(data, 'lockstep.sqlite'), 'no database at all, whatever its name says')
  await t.rejects(startOn(data), { code: 'bad-database', message: /lockstep\.sqlite/, hint: /./ })
})

void t.test('stopping twice is stopping', async (t) => {
  const controller = await startOn(dataIn(t))
  await Promise.all([controller.stop(), controller.stop()])
  await t.rejects(fetch(controller.url))
})
