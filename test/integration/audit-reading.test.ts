// The audit trail as people read it: filtered and in pages that cost the controller little, exported,
// and checked over the API and offline.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import t, { type Test } from 'tap'
import type { AuditHead } from '#shared/audit/audit-entry.ts'
import { limits } from '#shared/limits.ts'
import { appendAudit, AuditStore } from '#controller/store/audit-store.ts'
import { everything } from '../support/audit-trail.ts'
import { RunningController } from '../support/running-controller.ts'
import { openTestDatabase } from '../support/test-database.ts'
import { ran } from './cli-run.ts'

async function openTrail(t: Test) {
  const controller = await RunningController.start(t)
  const options = { url: controller.url, env: { LOCKSTEP_TOKEN: controller.adminToken } }
  const lockstep = (line: string) => ran(line.split(' '), options)
  await controller.publish('1.0.0')
  await controller.enrol('web-1')
  return { controller, lockstep, told: async (line: string) => (await lockstep(line)).out }
}

void t.test('who did what, when and why, newest first and by every filter', async (t) => {
  const { controller, lockstep, told } = await openTrail(t)
  const id = controller.adminToken.split('.')[1] ?? ''
  await lockstep('deploy shop 1.0.0 --env production --no-wait -m the-sale')
  await lockstep('cancel shop --env production --reason wrong-one')
  const listed = await told('audit list')
  t.match(listed.split('\n')[0], /^# +AT +WHO +WHAT +WHERE +WHY +DETAILS$/)
  t.match(listed, new RegExp(`${id} +cancel +shop production +wrong-one +rollout=`))
  t.match(listed, new RegExp(`${id} +deploy +shop production +the-sale +.*version=1\\.0\\.0`))
  t.match(listed, /controller +create-token/)
  const sequences = async (line: string): Promise<number[]> => {
    const { items } = JSON.parse(await told(`${line} --json`))
    return items.map(({ sequence }: AuditHead) => sequence)
  }
  const all = await sequences('audit list --all')
  t.same(
    all,
    all.toSorted((a, b) => b - a),
  )
  t.equal((await sequences('audit list --what deploy')).length, 1)
  t.equal((await sequences('audit list --what enrol')).length, 1)
  t.equal((await sequences(`audit list --who controller`)).length, 1)
  t.equal((await sequences('audit list --app shop --env staging')).length, 0)
  t.same(await sequences(`audit list --app shop --limit 2`), all.slice(0, 2))
  t.same(await sequences('audit list --since 1h'), all)
  t.same(await sequences('audit list --since 2099-01-01T00:00Z'), [])
  t.same(await sequences('audit list --outcome denied'), [])
  t.match(await lockstep('audit list --limit 2'), { err: /the newest 2 entries; more with/ })
  t.match(await lockstep('audit list --outcome maybe'), { exitCode: 2 })
  t.match(await lockstep('audit list --since then'), { exitCode: 2 })
})

void t.test('an export is checked offline, and the trail over the API', async (t) => {
  const { controller, lockstep, told } = await openTrail(t)
  const anchor = (await told('audit head')).trim()
  t.match(anchor, /^[0-9]+:[0-9a-f]{64}$/)
  await lockstep('deploy shop 1.0.0 --env production --no-wait')
  const whole = await lockstep(`audit verify --anchor ${anchor}`)
  t.match(whole, { exitCode: 0, out: /^whole: 6 entries, the last one 6:[0-9a-f]{64}\n$/, err: '' })
  t.match(await lockstep('audit verify'), { exitCode: 0, err: /no anchor was given/ })
  const file = join(t.testdir({}), 'trail.jsonl')
  const text = await told('audit export')
  writeFileSync(file, text)
  t.match(await ran(['audit', 'verify', file, '--anchor', anchor]), { exitCode: 0 })
  writeFileSync(file, text.replace('"version":"1.0.0"', '"version":"1.0.1"'))
  t.match(await ran(['audit', 'verify', file]), {
    exitCode: 1,
    err: /^lockstep: entry 2 is not what was recorded there: its hash does not fit \(audit-broken\)\n/,
  })
  t.match(await ran(['audit', 'verify', join(file, 'none')]), { exitCode: 2, err: /ENOTDIR/ })
  t.match(await ran(['audit', 'verify', '--anchor', '7']), { exitCode: 2, err: /no anchor/ })

  await controller.stop()
  const sqlite = new SQLite(join(controller.data, 'lockstep.sqlite'))
  sqlite.exec('DROP TRIGGER audit_unchanged; DROP TRIGGER audit_undeleted')
  const last = Number(sqlite.prepare('SELECT max(sequence) FROM audit').pluck().get())
  sqlite.exec(`DELETE FROM audit WHERE sequence = ${last}`)
  await controller.start()
  t.match(await lockstep('audit verify'), { exitCode: 0 }, 'a shorter trail hangs together')
  t.match(await lockstep(`audit verify --anchor ${last}:${'a'.repeat(64)}`), {
    exitCode: 1,
    err: /the trail ends with entry 5, and the anchor is of entry 6: it was cut off/,
  })
  sqlite.exec(`UPDATE audit SET who = 'somebody' WHERE sequence = 3`)
  t.match(await lockstep('audit verify --json'), { exitCode: 1, out: '', err: /entry 3 is not/ })
  sqlite.exec(`UPDATE audit SET details = x'00ff' WHERE sequence = 2`)
  t.match(await lockstep('audit verify'), { exitCode: 1, err: /entry 2 is not/ })
  sqlite.close()
})

void t.test('who sees a part of the fleet reads of that part only', async (t) => {
  const { db } = await openTestDatabase(t)
  const store = new AuditStore(db)
  const rows = [
    ['shop', 'production'],
    ['shop', 'staging'],
    ['shop', null],
    ['blog', 'production'],
    ['blog', null],
    [null, null],
  ] as const
  for (const [app, environment] of rows) {
    await store.record({ at: 1, who: 'a', what: 'b', app, environment, outcome: 'done' })
  }
  const seen = async (...sight: string[]) => {
    const places = sight.map((place) => {
      const [app = '', environment = ''] = place.split('/')
      return { app, environment }
    })
    const page = { order: 'oldest', after: null, limit: 100 } as const
    return (await store.list({}, page, places)).items.map(({ sequence }) => sequence)
  }
  t.same(await seen('*/*'), [1, 2, 3, 4, 5, 6])
  t.same(await seen('shop/*'), [1, 2, 3])
  t.same(await seen('shop/staging'), [2, 3])
  t.same(await seen('*/production'), [1, 3, 4, 5])
  t.same(await seen('shop/staging', 'blog/production'), [2, 3, 4, 5])
  t.same(await seen('wiki/*'), [])
  t.same(await seen(), [])
})

void t.test('a part of a chain is not checked, and not taken for a broken one', async (t) => {
  const controller = await RunningController.start(t)
  await controller.publish('1.0.0')
  const grants = [{ role: 'admin', app: 'shop', environment: '*' }]
  const body = { kind: 'api', grants, ttlMs: 60_000 }
  const { token } = await controller.ask<{ token: string }>('POST', '/v1/tokens', body)
  const options = { url: controller.url, env: { LOCKSTEP_TOKEN: token } }
  t.match(await ran(['audit', 'list'], options), { exitCode: 0, out: /publish +shop/ })
  for (const command of ['verify', 'export']) {
    t.match(await ran(['audit', command], options), {
      exitCode: 1,
      out: '',
      err: /shows this token only a part of the trail.*\(forbidden\)/,
    })
  }
})

void t.test('a page looks at so many entries, and says where to go on', async (t) => {
  const { db } = await openTestDatabase(t)
  const store = new AuditStore(db)
  const total = limits.auditSeenMax + 50
  await db.transaction().execute(async (trx) => {
    for (let at = 1; at <= total; at += 1) {
      const who = at === 7 ? 'rare' : 'operator'
      const what = at % 2 === 0 ? 'deploy' : 'cancel'
      await appendAudit(trx, { at, who, what, outcome: 'done' })
    }
  })
  const page = { order: 'newest', after: null, limit: 100 } as const
  const first = await store.list({ what: 'none', who: 'operator' }, page, everything)
  t.same(first, { items: [], next: 51 }, 'nothing among the first two thousand')
  t.same(await store.list({ what: 'none', who: 'operator' }, { ...page, after: 51 }, everything), {
    items: [],
    next: null,
  })
  t.match(await store.list({ who: 'rare' }, page, everything), {
    items: [{ sequence: 7 }],
    next: null,
  })
  const oldest = { ...page, order: 'oldest' } as const
  t.match(await store.list({ since: total }, oldest, everything), {
    items: [],
    next: limits.auditSeenMax,
  })
  t.match(await store.list({}, { ...oldest, limit: 2 }, everything), {
    items: [{ sequence: 1 }, { sequence: 2 }],
    next: 2,
  })
  const found: number[] = []
  let after: number | null = null
  do {
    const { items, next } = await store.list(
      { what: 'deploy' },
      { ...page, after, limit: 500 },
      everything,
    )
    found.push(...items.map(({ sequence }) => sequence))
    after = next
  } while (after !== null)
  t.equal(found.length, Math.floor(total / 2))
})
