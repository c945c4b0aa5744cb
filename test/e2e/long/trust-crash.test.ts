// The trust record through kills between any two of its writes: what was permitted is known to the
// disk, and whatever is there can be gone on from.

import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { RecordFile } from '#agent/trust/record-file.ts'
import { ci } from '../../unit/shared/trust/signing.ts'
import { runNode } from '../../integration/own-process.ts'

// Dozens of processes one after the other; only a ceiling for hangs.
t.setTimeout(300_000)

const script = fileURLToPath(new URL('../../support/trust-process.ts', import.meta.url))
const preload = new URL('../../support/promised-writes.ts', import.meta.url).href
/** Every third of those in the middle: each write is like the one before. */
const stride = 3

void t.test('killed anywhere, it has permitted nothing that the disk does not know', async (t) => {
  const directory = t.testdir({})
  const [file, record, permits] = ['trust.json', 'record', 'permits'].map((name) =>
    join(directory, name),
  ) as [string, string, string]
  const rule = { policy: 'require', threshold: 1, keys: ['ci'] }
  const policy = { trust: 1, version: 1, keys: { ci: { key: ci.line } } }
  writeFileSync(file, JSON.stringify({ ...policy, environments: { production: rule } }))
  chmodSync(file, 0o644)
  const run = (killAt: number) =>
    runNode({ args: [script, file, record, permits], preload, env: { KILL_AT: `${killAt}` } })
  let kills = 0
  for (let killAt = 1; ; killAt += killAt < 12 ? 1 : stride) {
    for (const path of [record, permits]) rmSync(path, { force: true })
    const output = await run(killAt)
    const permitted = existsSync(permits) ? readFileSync(permits, 'utf8').split('\n') : []
    const { record: known } = await RecordFile.open(record, 'production')
    for (const line of permitted) checkPermit(t, line, known)
    if (output !== null) break
    kills += 1
    await run(0)
    const { record: last } = await RecordFile.open(record, 'production')
    t.match(last.standing, { highest: 3, floor: 3 }, `gone on from kill ${killAt}`)
  }
  t.ok(kills > 20, `${kills} kills`)
  t.comment(`${kills} kills between writes of the trust record`)
})

type Known = Awaited<ReturnType<typeof RecordFile.open>>['record']

function checkPermit(t: Tap, line: string, known: Known): void {
  const [what, version = ''] = line.split(' ')
  const isIn = (list: readonly { version: string }[]) => list.some((r) => r.version === version)
  if (what === 'found') t.ok(isIn(known.found), line)
  if (what === 'verified') t.ok(isIn(known.verified), line)
  if (what === 'committed') t.ok(known.standing.floor >= Number(version), line)
}

type Tap = { ok: (value: unknown, name: string) => unknown }
