// Envelopes: the signed bytes are DSSE's, the payload stays as it was, and no changed byte of a
// whole envelope goes unnoticed.

import t from 'tap'
import { parseEnvelope, paeOf, signersOf } from '#shared/trust/envelope.ts'
import { parseTrustPolicy, verifyRelease } from '#shared/trust/trust-policy.ts'
import {
  ann,
  bob,
  bytesOf,
  ci,
  envelopeOf,
  now,
  signedStatement,
  sshBlob,
  statement,
  textOf,
  trustFile,
} from './signing.ts'

void t.test('the signed bytes are those of the specification', async (t) => {
  const pae = paeOf('http://example.com/HelloWorld', Buffer.from('hello world'))
  t.equal(
    Buffer.from(pae).toString(),
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    'the vector of protocol.md',
  )
  t.equal(Buffer.from(paeOf('ü', Buffer.from('ä'))).toString(), 'DSSEv1 2 ü 2 ä', 'bytes count')
})

void t.test('type, payload and their border are signed', async (t) => {
  const texts = [paeOf('ab', Buffer.from('c')), paeOf('a', Buffer.from('bc'))]
  t.not(Buffer.from(texts[0] ?? '').toString(), Buffer.from(texts[1] ?? '').toString())
})

void t.test('the payload is kept verbatim', async (t) => {
  const payload = Buffer.from(` ${JSON.stringify(statement, null, 3)}\n\n`)
  const envelope = parseEnvelope(textOf(envelopeOf(payload, [ci])))
  t.ok(payload.equals(envelope.payload))
  t.equal(signersOf(envelope, [ann.key, ci.key]).length, 1)
})

void t.test('bare and SSH signatures count alike, a key once', async (t) => {
  const envelope = envelopeOf(bytesOf(statement), [ci])
  const pae = paeOf(envelope.payloadType, envelope.payload)
  const [first] = envelope.signatures
  const ssh = { keyId: ann.key.id, signature: sshBlob(ann, pae) }
  const again = { keyId: ci.key.id, signature: sshBlob(ci, pae, { hash: 'sha256' }) }
  const signatures = first === undefined ? [] : [first, ssh, again, first]
  const parsed = parseEnvelope(textOf({ ...envelope, signatures }))
  const signers = signersOf(parsed, [ci.key, ann.key, bob.key])
  t.same(
    signers.map(({ id }) => id),
    [ci.key.id, ann.key.id],
  )
})

void t.test('what no key of ours signed says nothing', async (t) => {
  const envelope = envelopeOf(bytesOf(statement), [ci, bob])
  t.same(signersOf(envelope, [ann.key]), [])
})

void t.test('no flipped bit of an envelope is taken', async (t) => {
  const policy = parseTrustPolicy(
    bytesOf({
      ...trustFile,
      environments: { '*': { threshold: 1, keys: ['ci'], policy: 'require' } },
    }),
  )
  const envelope = signedStatement({ ...statement, environments: ['production'] }, ci)
  const { app, version, tree } = statement
  const question = { policy, app, environment: 'production', release: { version, tree }, at: now }
  const outcomeOf = (bytes: Uint8Array): string =>
    verifyRelease({ ...question, envelope: bytes }).outcome
  t.equal(outcomeOf(envelope), 'trusted')
  const taken: number[] = []
  for (let bit = 0; bit < envelope.length * 8; bit += 1) {
    const flipped = Buffer.from(envelope)
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    if (outcomeOf(flipped) !== 'refused') taken.push(bit)
  }
  for (let at = 0; at < envelope.length; at += 1) {
    const replaced = [0x00, 0xff, 0x20, 0x22, 0x41, 0x5c].filter((byte) => byte !== envelope[at])
    for (const byte of replaced) {
      const other = Buffer.from(envelope)
      other.writeUInt8(byte, at)
      if (outcomeOf(other) !== 'refused') taken.push(at)
    }
    if (outcomeOf(envelope.subarray(0, at)) !== 'refused') taken.push(at)
  }
  t.same(taken, [])
  t.comment(`${envelope.length} bytes: every bit flipped, every byte replaced, cut everywhere`)
})
