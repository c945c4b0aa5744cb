// A thousand random tamperings of the audit trail, in its database and in an export of it: all of them are
// found, and none is found where nobody touched it. SEED repeats a run, ROUNDS makes it longer.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import t, { type Test } from 'tap'
import {
  type AuditContent,
  type AuditEntry,
  type AuditHead,
  auditLine,
  emptyTrail,
  linked,
} from '#shared/audit/audit-entry.ts'
import { AuditStore } from '#controller/store/audit-store.ts'
import { openDatabase } from '#controller/store/database.ts'
import { chainFault, everything } from '../../support/audit-trail.ts'
import { openTestDatabase } from '../../support/test-database.ts'
import { Random } from '../../simulation/kernel/random.ts'
import { ran } from '../cli-run.ts'

const seed = Number(process.env['SEED'] ?? 20261123)
const rounds = Number(process.env['ROUNDS'] ?? 1000)
const length = 40

/** As various as the words of a controller are, with text that is not ASCII. */
function contentOf(random: Random, at: number): AuditContent {
  const place = random.pick([
    { app: 'shop', environment: 'production' },
    { app: 'shop', environment: null },
    { app: null, environment: null },
  ])
  const details = { version: `1.${at}.0`, hosts: random.integer(0, 99), tree: 'a1b2'.repeat(16) }
  return {
    at: 1_795_000_000_000 + at * 1000 + random.integer(0, 999) / 4,
    who: random.pick(['q5Ky4nQgLQc', 'controller', 'nobody']),
    what: random.pick(['deploy', 'decide-activate', 'create-token']),
    ...place,
    why: random.pick([null, 'Ausverkauf – „heute“', 'a\u202eb\u0007c', '\ufffd']),
    outcome: random.pick(['done', 'done', 'denied']),
    details: random.chance(0.3) ? {} : details,
  }
}

function trailOf(random: Random, entries = length): AuditEntry[] {
  const trail: AuditEntry[] = []
  for (let at = 1; at <= entries; at += 1) {
    trail.push(linked(trail.at(-1) ?? emptyTrail, contentOf(random, at)))
  }
  return trail
}

const anchorText = ({ sequence, hash }: AuditHead): string => `${sequence}:${hash}`

/** Everything after `at` with hashes that fit again: what only an anchor finds. */
function relinked(trail: readonly AuditEntry[], at: number): AuditEntry[] {
  const kept = trail.slice(0, at)
  for (const { hash: _, sequence: __, ...content } of trail.slice(at)) {
    kept.push(linked(kept.at(-1) ?? emptyTrail, content))
  }
  return kept
}

type Tampering = (trail: readonly AuditEntry[], random: Random) => AuditEntry[]

const otherHash = (hash: string, random: Random): string => {
  const at = random.integer(0, 63)
  const digit = ((Number.parseInt(hash[at] ?? '0', 16) + random.integer(1, 15)) % 16).toString(16)
  return `${hash.slice(0, at)}${digit}${hash.slice(at + 1)}`
}

function changed(entry: AuditEntry, random: Random): AuditEntry {
  const { at, who, what, why, details, outcome } = entry
  return random.pick<() => AuditEntry>([
    () => ({ ...entry, at: at + random.pick([-60_000, 0.25, 1]) }),
    () => ({ ...entry, who: `${who}x` }),
    () => ({ ...entry, what: what === 'deploy' ? 'rollback' : 'deploy' }),
    () => ({ ...entry, why: why === null ? '' : null }),
    () => ({ ...entry, outcome: outcome === 'done' ? 'denied' : 'done' }),
    () => ({ ...entry, app: entry.app === null ? 'shop' : null }),
    () => ({ ...entry, details: { ...details, version: '6.6.6' } }),
  ])()
}

const somewhere = (trail: readonly AuditEntry[], random: Random) =>
  random.integer(0, trail.length - 1)
const entryAt = (trail: readonly AuditEntry[], index: number) => trail[index] as AuditEntry

/** Each by itself, as somebody with an editor would; the last three know how hashes are made. */
const tamperings: Readonly<Record<string, Tampering>> = {
  'change': (trail, random) => {
    const at = somewhere(trail, random)
    return trail.with(at, changed(entryAt(trail, at), random))
  },
  'delete': (trail, random) => trail.toSpliced(somewhere(trail, random), random.integer(1, 3)),
  'delete and number anew': (trail, random) =>
    trail
      .toSpliced(random.integer(0, trail.length - 2), 1)
      .map((entry, index) => ({ ...entry, sequence: index + 1 })),
  'insert': (trail, random) => {
    const at = somewhere(trail, random)
    const content = { ...contentOf(random, 99), why: 'never happened' }
    return trail.toSpliced(at, 0, linked(trail[at - 1] ?? emptyTrail, content))
  },
  'swap': (trail, random) => {
    const at = random.integer(0, trail.length - 2)
    return trail.with(at, entryAt(trail, at + 1)).with(at + 1, entryAt(trail, at))
  },
  'swap what was done': (trail, random) => {
    const at = random.integer(0, trail.length - 2)
    const [one, two] = [entryAt(trail, at), entryAt(trail, at + 1)]
    return trail
      .with(at, { ...two, sequence: one.sequence })
      .with(at + 1, { ...one, sequence: two.sequence })
  },
  'duplicate': (trail, random) => {
    const at = somewhere(trail, random)
    return trail.toSpliced(random.integer(0, trail.length), 0, entryAt(trail, at))
  },
  'another hash': (trail, random) => {
    const at = somewhere(trail, random)
    const entry = entryAt(trail, at)
    return trail.with(at, { ...entry, hash: otherHash(entry.hash, random) })
  },
  'cut off': (trail, random) => trail.slice(0, random.integer(0, trail.length - 1)),
  'change, with its hash': (trail, random) => {
    const at = somewhere(trail, random)
    const { hash: _, sequence: __, ...content } = changed(entryAt(trail, at), random)
    return trail.with(at, linked(trail[at - 1] ?? emptyTrail, content))
  },
  'change, with all hashes': (trail, random) => {
    const at = somewhere(trail, random)
    return relinked(trail.with(at, changed(entryAt(trail, at), random)), at)
  },
  'delete, with all hashes': (trail, random) => {
    const at = somewhere(trail, random)
    return relinked(trail.toSpliced(at, 1), at)
  },
}

/** What a check of the lines as a file says: null for a trail that is whole. */
async function verified(t: Test, text: string | Uint8Array, anchors: readonly AuditHead[]) {
  const path = join(t.testdirName, 'trail.jsonl')
  writeFileSync(path, text)
  const options = anchors.flatMap((anchor) => ['--anchor', anchorText(anchor)])
  const { exitCode, err } = await ran(['audit', 'verify', path, ...options])
  if (exitCode === 0) return null
  t.equal(exitCode, 1)
  t.match(err, /^lockstep: (?:entr|the trail|line )/, 'it says where')
  return err
}

const exported = (trail: readonly AuditEntry[]): string =>
  trail.map((entry) => `${auditLine(entry)}\n`).join('')

void t.test(`an export that was tampered with is found out, ${rounds} times`, async (t) => {
  t.testdir({})
  const random = new Random(seed)
  const names = [...Object.keys(tamperings), 'a bit of the file', 'a piece of the file']
  const counts = { rounds: 0, found: 0, withoutAnchor: 0 }
  for (let round = 0; round < rounds; round += 1) {
    const trail = trailOf(random)
    const anchors = trail.slice(-1)
    const name = names[round % names.length] ?? ''
    const text = Buffer.from(exported(trail))
    const at = random.integer(0, text.length - 1)
    const tampered = tamperings[name]?.(trail, random)
    const forged =
      tampered !== undefined
        ? exported(tampered)
        : name === 'a bit of the file'
          ? text.with(at, (text[at] ?? 0) ^ (1 << random.integer(0, 7)))
          : Buffer.concat([text.subarray(0, at), text.subarray(at + random.integer(1, 500))])
    counts.rounds += 1
    if ((await verified(t, forged, anchors)) !== null) counts.found += 1
    else t.fail(`seed ${seed}, round ${round}: ${name} was not found`)
    if ((await verified(t, forged, [])) !== null) counts.withoutAnchor += 1
  }
  t.equal(counts.found, rounds)
  const { found, withoutAnchor } = counts
  t.comment(
    `seed ${seed}: ${found} of ${counts.rounds} tamperings of ${names.length} kinds found, ` +
      `${withoutAnchor} of them without an anchor`,
  )
})

void t.test('a hundred trails that nobody touched raise no alarm', async (t) => {
  t.testdir({})
  const random = new Random(seed + 1)
  let alarms = 0
  for (let round = 0; round < 100; round += 1) {
    const trail = trailOf(random, random.integer(0, 2 * length))
    const anchors = trail.filter(() => random.chance(0.2))
    if ((await verified(t, exported(trail), anchors)) !== null) alarms += 1
  }
  t.equal(alarms, 0)
  t.comment(`seed ${seed}: ${alarms} false alarms on 100 untouched trails`)
})

void t.test('bits that flip in the database file are found out', async (t) => {
  const { db, path } = await openTestDatabase(t)
  const audit = new AuditStore(db)
  const random = new Random(seed + 2)
  for (let at = 0; at < length; at += 1) await audit.record(contentOf(random, at))
  const anchor = await audit.head()
  await db.destroy()
  const sqlite = new SQLite(path)
  sqlite.pragma('wal_checkpoint(TRUNCATE)')
  const rowsIn = (at: SQLite.Database) => at.prepare('SELECT * FROM audit').raw().all()
  const before = JSON.stringify(rowsIn(sqlite))
  const pages = sqlite
    .prepare(`SELECT pageno FROM dbstat WHERE name = 'audit'`)
    .pluck()
    .all() as number[]
  const pageBytes = sqlite.pragma('page_size', { simple: true }) as number
  sqlite.close()
  const file = readFileSync(path)
  const counts = { flips: 0, unread: 0, found: 0, unchanged: 0 }
  const copy = join(t.testdirName, 'copy.sqlite')
  for (let round = 0; round < 300; round += 1) {
    const at = (random.pick(pages) - 1) * pageBytes + random.integer(0, pageBytes - 1)
    writeFileSync(copy, file.with(at, (file[at] ?? 0) ^ (1 << random.integer(0, 7))))
    counts.flips += 1
    try {
      const flipped = new SQLite(copy)
      const rows = JSON.stringify(rowsIn(flipped))
      flipped.close()
      if (rows === before) {
        counts.unchanged += 1
        continue
      }
    } catch {
      counts.unread += 1
      continue
    }
    const opened = await openDatabase(copy)
    const page = { order: 'oldest', after: null, limit: 9999 } as const
    const { items } = await new AuditStore(opened).list({}, page, everything)
    const isFound = chainFault(items, [anchor]) !== null
    await opened.destroy()
    if (isFound) counts.found += 1
    else t.fail(`seed ${seed}: a bit at ${at} was not found`)
  }
  const { flips, found, unread, unchanged } = counts
  t.equal(found + unread + unchanged, flips)
  t.ok(found > 50)
  t.comment(
    `seed ${seed}: ${flips} bits flipped in pages of the table: ${found} found, ${unread} unreadable ` +
      `to SQLite, ${unchanged} in room that no row uses`,
  )
})
