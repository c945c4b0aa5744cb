// The bodies of the HTTP API: what a client may send, to the letter.

import t from 'tap'
import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { DesiredBody, RecoverBody, RollbackBody } from '#shared/api/requests.ts'
import { EnrolBody } from '#shared/api/enrolment.ts'
import { TokenBody } from '#shared/api/token-schemas.ts'
import { limits } from '#shared/limits.ts'

const place = { app: 'shop', environment: 'production' }
const everything = { role: 'admin', app: '*', environment: '*' }
const enrol = {
  token: 'lsj1.x.y',
  name: 'web-1',
  publicKey: 'k'.repeat(43),
  apps: [place],
  nonce: 'n'.repeat(22),
  signature: 's'.repeat(86),
}

const table: Readonly<Record<string, { schema: TSchema; good: unknown[]; bad: unknown[] }>> = {
  'a desired release': {
    schema: DesiredBody,
    good: [
      { version: '1.0.0' },
      { version: '1.0.0', require: 'all', waitMs: 1000, exclude: {}, allowEmpty: true },
      { version: '1.0.0', require: '3', exclude: { 'web-1': 'it is being repaired' } },
      { version: '1.0.0', require: '60%' },
      { version: '1.0.0', require: '100%' },
    ],
    bad: [
      {},
      { version: '' },
      { version: '../1' },
      { version: 1 },
      { version: '1.0.0', forced: true },
      ...['0', '0%', '101%', '60 %', '-1', '3.5', 'most', ''].map((require) => ({
        version: '1.0.0',
        require,
      })),
      { version: '1.0.0', waitMs: 999 },
      { version: '1.0.0', waitMs: limits.stageDeadlineMs + 1 },
      { version: '1.0.0', waitMs: 1000.5 },
      { version: '1.0.0', exclude: ['web-1'] },
      { version: '1.0.0', exclude: { 'web-1': '' } },
      { version: '1.0.0', exclude: { 'web 1': 'why' } },
      { version: '1.0.0', exclude: { 'web-1': 'x'.repeat(201) } },
      { version: '1.0.0', allowEmpty: 'yes' },
    ],
  },
  'a way back': { schema: RollbackBody, good: [{}, { version: '1' }], bad: [null, { to: '1' }] },
  'a recovery': { schema: RecoverBody, good: [{}, { run: '1' }], bad: [[], { version: '1' }] },
  'a token': {
    schema: TokenBody,
    good: [
      { kind: 'join', apps: [place] },
      { kind: 'join', apps: [place], ttlMs: 1000, uses: 10_000 },
      { kind: 'api', grants: [{ role: 'admin', app: '*', environment: '*' }] },
      { kind: 'api', grants: [{ role: 'viewer', app: 'shop', environment: 'qa' }], owner: 'x' },
    ],
    bad: [
      { kind: 'join', apps: [] },
      { kind: 'join', apps: [place], role: 'admin' },
      { kind: 'join', apps: [{ ...place, more: 1 }] },
      { kind: 'join', apps: [place], uses: 0 },
      { kind: 'join', apps: [place], uses: 10_001 },
      { kind: 'join', apps: [place], ttlMs: 8 * 24 * 3_600_000 },
      { kind: 'api', role: 'admin' },
      { kind: 'api' },
      { kind: 'api', grants: [] },
      { kind: 'api', grants: [{ role: 'root', app: '*', environment: '*' }] },
      { kind: 'api', grants: [{ role: 'admin', app: '*' }] },
      { kind: 'api', grants: [{ role: 'admin', app: '**', environment: '*' }] },
      { kind: 'api', grants: [{ role: 'admin', app: 'sh*', environment: '*' }] },
      { kind: 'api', grants: Array(65).fill(everything) },
      { kind: 'api', grants: [everything], apps: [place] },
      { kind: 'api', grants: [everything], ttlMs: 366 * 24 * 3_600_000 },
      { kind: 'other' },
    ],
  },
  'an enrolment': {
    schema: EnrolBody,
    good: [enrol],
    bad: [
      { ...enrol, more: 1 },
      { ...enrol, name: 'web 1' },
      { ...enrol, publicKey: 'k'.repeat(42) },
      { ...enrol, publicKey: `${'k'.repeat(42)}=` },
      { ...enrol, signature: 's'.repeat(85) },
      { ...enrol, nonce: undefined },
      { ...enrol, nonce: 'https://a' },
      { ...enrol, apps: [] },
      { ...enrol, apps: Array.from({ length: limits.appsPerHostMax + 1 }, () => place) },
      { ...enrol, token: 'x'.repeat(201) },
    ],
  },
}

for (const [what, { schema, good, bad }] of Object.entries(table)) {
  void t.test(`${what} is taken as it is meant, and nothing else is`, (t) => {
    for (const body of good) t.ok(Value.Check(schema, body), JSON.stringify(body))
    for (const body of bad) t.notOk(Value.Check(schema, body), JSON.stringify(body))
    t.end()
  })
}
