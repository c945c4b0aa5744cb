// trust check: what a trust file asks for and what of it will not work, and that no file, however hostile,
// reaches the terminal raw.

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ann, ci } from '../unit/shared/trust/signing.ts'
import { ran, run } from './cli-run.ts'
import { packs, payloads } from './escape-payloads.ts'
import { forms, holesOf } from './output-holes.ts'

function fileOf(t: Test, content: unknown, mode = 0o644): string {
  const path = join(t.testdir({}), 'trust.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  chmodSync(path, mode)
  return path
}

const keys = { ci: { key: ci.line }, ann: { key: ann.line, notAfter: '2026-09-01T00:00:00Z' } }
const both = { policy: 'require', threshold: 2, keys: ['ci', 'ann'] }
const off = { policy: 'off' }

void t.test('what is asked for is shown, by environment and by key', async (t) => {
  const one = { policy: 'warn', threshold: 1, keys: ['ci'] }
  const environments = { 'production': one, 'dev': off, '*': one }
  const path = fileOf(t, { trust: 1, version: 3, keys: { ci: keys.ci }, environments })
  t.same(await ran(['trust', 'check', path]), {
    exitCode: 0,
    out: `good ${path}, version 3
ENVIRONMENT  POLICY  SIGNATURES
production   warn    1 of ci
dev          off
*            warn    1 of ci
KEY  ID                                                  COUNTS
ci   ${ci.key.id}  always
`,
    err: '',
  })
  const json = JSON.parse((await ran(['trust', 'check', path, '--json'])).out)
  t.match(json, { version: 3, keys: [{ name: 'ci', id: ci.key.id }], notes: [] })
  t.same(json.environments[1], { environment: 'dev', policy: 'off', threshold: 0, keys: [] })
})

void t.test('what will not work is noted', async (t) => {
  const path = fileOf(t, { trust: 1, version: 1, keys, environments: { production: both } }, 0o664)
  const { exitCode, out, err } = await ran(['trust', 'check', path])
  t.equal(exitCode, 0)
  t.match(out, /^ann {2}SHA256:\S+ {2}until 2026-09-01 00:00:00$/m)
  t.equal(
    err,
    `note: others may write it (mode 0664): a host lets nothing in by such a file
note: "production" asks for 2 signatures; keys that count now: 1
note: there is no "*": in an environment that is not named nothing is let in
`,
  )
  const idle = fileOf(t, { trust: 1, version: 1, keys, environments: { '*': off } })
  t.match(
    (await ran(['trust', 'check', idle])).err,
    /^note: no environment asks for the key "ci"\n/,
  )
})

void t.test('what a host refuses is refused', async (t) => {
  const malformed = ['', '{}', { trust: 1, version: 1, keys, environments: {} }]
  for (const content of malformed) {
    const { exitCode, out, err } = await ran(['trust', 'check', fileOf(t, content)])
    t.same([exitCode, out], [1, ''])
    t.match(err, /\(bad-trust-file\)/)
  }
  t.match(await ran(['trust', 'check', './none']), {
    exitCode: 2,
    err: /cannot be read \(ENOENT\)/,
  })
})

void t.test('a hostile trust file reaches no terminal raw', async (t) => {
  const counts = { runs: 0 }
  for (const pack of packs) {
    const named = { [pack]: { key: pack, [pack]: pack } }
    const files = [
      pack,
      { trust: 1, version: 1, keys: named, environments: { [pack]: off } },
      { trust: 1, version: 1, keys: { ci: { ...keys.ci, notAfter: pack } }, environments: {} },
      { trust: 1, version: 1, keys, environments: { '*': { ...both, keys: [pack] } } },
    ]
    for (const content of files) {
      for (const form of forms) {
        const argv = ['trust', 'check', fileOf(t, content), ...form.more]
        t.same(await holesOf(run(argv, form)), [])
        counts.runs += 1
      }
    }
  }
  t.comment(`${payloads.length} payloads x 4 files x ${forms.length} forms, ${counts.runs} runs`)
})
