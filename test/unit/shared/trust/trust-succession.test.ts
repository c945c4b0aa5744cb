// One trust file after another: signed by those of the old and those of the new, one version at a
// time, and never by those who alone would profit.

import t from 'tap'
import { payloadTypes } from '#shared/trust/envelope.ts'
import { parseTrustPolicy } from '#shared/trust/trust-policy.ts'
import { judgeSuccession } from '#shared/trust/trust-succession.ts'
import { ann, atOf, bob, bytesOf, ci, envelopeOf, mallory, now, textOf } from './signing.ts'
import type { Signer, SignedParts } from './signing.ts'

type Keys = Record<string, { key: string; notAfter?: string }>
const keys: Keys = { ci: { key: ci.line }, ann: { key: ann.line }, bob: { key: bob.line } }
const fileOf = (version: number, names: readonly string[], threshold: number, more = {}): Buffer =>
  bytesOf({
    trust: 1,
    version,
    keys: Object.fromEntries(Object.entries(keys).filter(([name]) => names.includes(name))),
    environments: { production: { policy: 'require', threshold, keys: names } },
    ...more,
  })
const old = parseTrustPolicy(fileOf(3, ['ci', 'ann'], 2))

function outcomeOf(payload: Uint8Array, signers: readonly Signer[], parts: SignedParts = {}) {
  const type = { payloadType: payloadTypes.trust, ...parts }
  const verdict = judgeSuccession(old, textOf(envelopeOf(payload, signers, type)), now)
  return verdict.outcome === 'accepted' ? 'accepted' : verdict.reason
}

void t.test('a key is taken in and another dropped by both their thresholds', async (t) => {
  const next = fileOf(4, ['ann', 'bob'], 2)
  const envelope = envelopeOf(next, [ci, ann, bob], { payloadType: payloadTypes.trust })
  const verdict = judgeSuccession(old, textOf(envelope), now)
  t.equal(verdict.outcome, 'accepted')
  if (verdict.outcome !== 'accepted') return
  t.equal(verdict.policy.version, 4)
  t.ok(next.equals(verdict.payload), 'verbatim')
})

void t.test('either threshold alone is not enough', async (t) => {
  const next = fileOf(4, ['ann', 'bob'], 2)
  t.equal(outcomeOf(next, [ci, ann]), 'not-signed-by-new')
  t.equal(outcomeOf(next, [ann, bob]), 'not-signed-by-old')
  t.equal(outcomeOf(next, [ci, ci, ann]), 'not-signed-by-new')
  t.equal(outcomeOf(next, [ci, ci, bob]), 'not-signed-by-old', 'one key twice')
  t.equal(outcomeOf(next, [mallory]), 'not-signed-by-old')
})

void t.test('the next version is one higher', async (t) => {
  for (const version of [1, 2, 3, 5, 6, Number.MAX_SAFE_INTEGER]) {
    t.equal(outcomeOf(fileOf(version, ['ci', 'ann'], 2), [ci, ann]), 'not-next-version')
  }
  t.equal(outcomeOf(fileOf(4, ['ci', 'ann'], 2), [ci, ann]), 'accepted')
})

void t.test('every environment of both files decides', async (t) => {
  const environments = {
    production: { policy: 'require', threshold: 2, keys: ['ci', 'ann'] },
    staging: { policy: 'warn', threshold: 1, keys: ['bob'] },
    dev: { policy: 'off' },
  }
  const next = fileOf(4, ['ci', 'ann', 'bob'], 2, { environments })
  t.equal(outcomeOf(next, [ci, ann]), 'not-signed-by-new')
  t.equal(outcomeOf(next, [ci, ann, bob]), 'accepted')
})

void t.test('nobody decides where no signatures are asked for', async (t) => {
  const lax = parseTrustPolicy(fileOf(3, ['ci'], 1, { environments: { '*': { policy: 'off' } } }))
  const envelope = envelopeOf(fileOf(4, ['ci'], 1), [ci], { payloadType: payloadTypes.trust })
  t.match(judgeSuccession(lax, textOf(envelope), now), { reason: 'nobody-decides' })
})

void t.test(
  'a release cannot pass for a trust file, nor a false file for a good one',
  async (t) => {
    const next = fileOf(4, ['ci', 'ann'], 2)
    t.equal(outcomeOf(next, [ci, ann], { payloadType: payloadTypes.release }), 'other-type')
    t.equal(outcomeOf(next, [ci, ann], { signedType: payloadTypes.release }), 'malformed')
    t.equal(outcomeOf(next, [ci, ann], { signedPayload: fileOf(5, ['ci'], 1) }), 'malformed')
    t.equal(outcomeOf(fileOf(4, ['ci', 'ann'], 3), [ci, ann]), 'malformed', 'a threshold too high')
    t.equal(outcomeOf(fileOf(4, ['ci'], 0), [ci, ann]), 'malformed', 'threshold 0')
  },
)

void t.test('a key whose time is over decides nothing', async (t) => {
  const over = { ...keys, ann: { key: ann.line, notAfter: '2026-01-01T00:00:00Z' } }
  const before = parseTrustPolicy(fileOf(3, ['ci', 'ann'], 2, { keys: over }))
  const type = { payloadType: payloadTypes.trust }
  const envelope = textOf(envelopeOf(fileOf(4, ['ci', 'ann'], 2), [ci, ann], type))
  t.match(judgeSuccession(before, envelope, now), { reason: 'not-signed-by-old' })
  t.match(judgeSuccession(before, envelope, atOf('2025-12-31T23:59:59Z')), { outcome: 'accepted' })
})
