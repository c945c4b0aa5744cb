// The attacks that TUF, Uptane, DSSE, cosign, Mender and OpenSSH's signatures were built or broken
// by, each by name, against a host that asks for two of three signatures.

import t from 'tap'
import { limits } from '#shared/limits.ts'
import { paeOf, parseEnvelope, payloadTypes, signersOf } from '#shared/trust/envelope.ts'
import { admit, committed, firstStanding } from '#shared/trust/floor.ts'
import { parseStatement, type Statement } from '#shared/trust/statement.ts'
import { parseTrustPolicy, type TrustVerdict, verifyRelease } from '#shared/trust/trust-policy.ts'
import {
  ann,
  atOf,
  bob,
  bytesOf,
  ci,
  digestOf,
  envelopeOf,
  lineOf,
  mallory,
  now,
  type SignedParts,
  type Signer,
  signedStatement,
  sshBlob,
  statement,
  textOf,
  trustFile,
} from './signing.ts'

const policy = parseTrustPolicy(bytesOf(trustFile))
const { app, version, tree, artifact } = statement

interface Circumstances {
  app?: string
  environment?: string
  release?: { version: string; tree: string; artifact?: { sha256: string; bytes: number } }
  at?: number
}

function judge(envelope: Uint8Array | null, circumstances: Circumstances = {}): TrustVerdict {
  const release = { version, tree }
  const question = { policy, app, environment: 'production', release, at: now }
  return verifyRelease({ ...question, ...circumstances, envelope })
}

function outcomeOf(envelope: Uint8Array | null, circumstances: Circumstances = {}): string {
  const verdict = judge(envelope, circumstances)
  return 'reason' in verdict ? `${verdict.outcome}: ${verdict.reason}` : verdict.outcome
}

const signed = (signers: readonly Signer[], parts: SignedParts = {}, value: object = statement) =>
  textOf(envelopeOf(bytesOf(value), signers, parts))
const statementOf = (more: object): Statement => parseStatement(bytesOf({ ...statement, ...more }))
const tooFew = 'refused: too-few-signatures'

void t.test('what is signed as asked for is trusted, and kept verbatim', async (t) => {
  const verdict = judge(signed([ci, ann]))
  t.equal(verdict.outcome, 'trusted')
  if (verdict.outcome !== 'trusted') return
  t.same(verdict.signers, ['ci', 'ann'])
  t.ok(bytesOf(statement).equals(verdict.payload))
  t.equal(verdict.statement.expiresAt, atOf('2026-12-31T00:00:00Z'))
  t.equal(outcomeOf(signed([mallory, bob, ann])), 'trusted', 'a stranger’s beside them is nothing')
  t.equal(outcomeOf(signed([ci, ann]), { release: { version, tree, artifact } }), 'trusted')
})

void t.test('TUF, arbitrary installation: nobody trusted signed', async (t) => {
  t.equal(outcomeOf(null), 'refused: unsigned')
  t.equal(outcomeOf(signed([])), 'refused: malformed', 'no signatures at all')
  t.equal(outcomeOf(signed([mallory])), tooFew)
  t.equal(outcomeOf(signed([mallory, mallory])), tooFew)
  t.equal(outcomeOf(signed([ci])), tooFew, 'one of two')
})

void t.test(
  'TUF CVE-2020-6174, CVE-2020-15093: one key twice for a threshold of two',
  async (t) => {
    t.equal(outcomeOf(signed([ci, ci])), tooFew)
    t.equal(outcomeOf(signed([ci, ci, ci, ci])), tooFew)
    const envelope = envelopeOf(bytesOf(statement), [ci])
    const ssh = sshBlob(ci, paeOf(envelope.payloadType, envelope.payload))
    const signatures = [...envelope.signatures, { keyId: ci.key.id, signature: ssh }]
    t.equal(outcomeOf(textOf({ ...envelope, signatures })), tooFew, 'bare and over SSH')
  },
)

void t.test('TUF GHSA-3633-5h82-39pq: one key under two ids', async (t) => {
  const envelope = envelopeOf(bytesOf(statement), [ci])
  const signatures = envelope.signatures.flatMap((signature) => [
    signature,
    { ...signature, keyId: mallory.key.id },
  ])
  t.equal(outcomeOf(textOf({ ...envelope, signatures })), tooFew)
  const asAnn = envelope.signatures.map((signature) => ({ ...signature, keyId: ann.key.id }))
  const both = [...envelope.signatures, ...asAnn]
  t.equal(outcomeOf(textOf({ ...envelope, signatures: both })), 'refused: malformed')
  const keys = { ci: { key: ci.line }, robot: { key: `${ci.line} of another name` } }
  const environments = { '*': { threshold: 2, keys: ['ci', 'robot'], policy: 'require' } }
  t.throws(() => parseTrustPolicy(bytesOf({ trust: 1, version: 1, keys, environments })), {
    code: 'bad-trust-file',
    message: /one key twice: "ci" and "robot"/,
  })
  t.equal(signersOf(parseEnvelope(signed([ci])), [ci.key, { ...ci.key }]).length, 1)
})

void t.test('TUF GHSA-fphv-w9fq-2525: threshold 0', async (t) => {
  for (const threshold of [0, -1, 0.5, null, '2', 3]) {
    const environments = { '*': { threshold, keys: ['ci', 'ann'], policy: 'require' } }
    t.throws(() => parseTrustPolicy(bytesOf({ ...trustFile, environments })), {
      code: 'bad-trust-file',
    })
  }
})

void t.test('TUF, key compromise: a stolen key is one of two, and its time ends', async (t) => {
  t.equal(outcomeOf(signed([bob, mallory])), tooFew)
  t.equal(outcomeOf(signed([ci, bob]), { at: atOf('2026-08-31T23:59:59Z') }), 'trusted')
  t.equal(outcomeOf(signed([ci, bob]), { at: atOf('2026-09-01T00:00:00Z') }), tooFew)
  t.equal(outcomeOf(signed([ci, ann]), { at: atOf('2025-12-31T23:59:59Z') }), tooFew)
  t.equal(outcomeOf(signed([ci, ann]), { at: atOf('2026-01-01T00:00:00Z') }), 'trusted')
})

void t.test('a key of small order, for which anybody can sign', async (t) => {
  const weak = lineOf(Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]))
  const keys = { weak: { key: weak } }
  const environments = { '*': { threshold: 1, keys: ['weak'], policy: 'require' } }
  t.throws(() => parseTrustPolicy(bytesOf({ trust: 1, version: 1, keys, environments })), {
    code: 'bad-trust-file',
    message: /small order/,
  })
})

void t.test('TUF, rollback: an older release that was signed once', async (t) => {
  const standing = committed(
    committed(firstStanding, statementOf({})),
    statementOf({
      sequence: 20,
      version: '1.5.0',
      floor: 17,
    }),
  )
  const reasonFor = (more: object, purpose: 'new' | 'return' = 'new'): string => {
    const verdict = admit({ statement: statementOf(more), standing, purpose, at: now })
    return verdict.outcome === 'admitted' ? 'admitted' : verdict.reason
  }
  t.equal(reasonFor({ sequence: 16, version: '1.3.9', floor: 1 }), 'below-floor')
  t.equal(reasonFor({ sequence: 18, version: '1.4.1' }), 'below-highest')
  t.equal(reasonFor({ sequence: 18, version: '1.4.1' }, 'return'), 'never-run')
  t.equal(reasonFor({}, 'return'), 'admitted', 'what ran here, not below the floor')
})

void t.test('TUF CVE-2022-29173: what was trusted before is compared, never zero', async (t) => {
  const standing = committed(firstStanding, statementOf({ sequence: 40, version: '2.0.0' }))
  const restored = JSON.parse(JSON.stringify(standing))
  const verdict = admit({ statement: statementOf({}), standing: restored, purpose: 'new', at: now })
  t.match(verdict, { outcome: 'refused', reason: 'below-highest' })
})

void t.test('TUF, fast-forward: a number so high that none can follow', async (t) => {
  for (const sequence of [2 ** 53, 1e300, '17', 17.5, 0, -1]) {
    const envelope = signed([ci, ann], {}, { ...statement, sequence })
    t.equal(outcomeOf(envelope), 'refused: malformed', String(sequence))
  }
  const high = statementOf({ sequence: Number.MAX_SAFE_INTEGER, floor: 1_000_000 })
  admit({ statement: high, standing: firstStanding, purpose: 'new', at: now })
  const next = admit({
    statement: statementOf({}),
    standing: firstStanding,
    purpose: 'new',
    at: now,
  })
  t.equal(next.outcome, 'admitted', 'only what is committed counts, not what was offered')
  const floored = signed([ci, ann], {}, { ...statement, floor: 18 })
  t.equal(outcomeOf(floored), 'refused: malformed', 'a floor above the release itself')
})

void t.test('TUF, freeze: a release whose time is over is not staged anew', async (t) => {
  const late = { statement: statementOf({}), at: atOf('2026-12-31T00:00:00Z') }
  t.match(admit({ ...late, standing: firstStanding, purpose: 'new' }), { reason: 'expired' })
  t.match(admit({ ...late, standing: firstStanding, purpose: 'return' }), { reason: 'never-run' })
  const standing = committed(firstStanding, late.statement)
  t.match(admit({ ...late, standing, purpose: 'return' }), { outcome: 'admitted' })
})

void t.test('TUF, mix and match: the parts of two signed releases', async (t) => {
  const other = { ...statement, version: '1.5.0', sequence: 18, tree: digestOf('tree of 1.5.0') }
  const envelope = signed([ci, ann], {}, other)
  t.equal(outcomeOf(envelope), 'refused: other-version')
  t.equal(outcomeOf(envelope, { release: { version: '1.5.0', tree } }), 'refused: other-tree')
  const mixed = { version, tree: digestOf('tree of 1.5.0') }
  t.equal(outcomeOf(envelope, { release: mixed }), 'refused: other-version')
  const halves = [envelopeOf(bytesOf(statement), [ci]), envelopeOf(bytesOf(other), [ann])]
  const signatures = halves.flatMap((half) => half.signatures)
  const joined = textOf({ payloadType: payloadTypes.release, payload: bytesOf(other), signatures })
  t.equal(outcomeOf(joined), 'refused: malformed', 'signatures of two releases')
})

void t.test('TUF, endless data: everything has an end before it is read', async (t) => {
  const endless = Buffer.alloc(limits.envelopeBytesMax + 1, 0x20)
  t.equal(outcomeOf(endless), 'refused: malformed')
  const padded = { ...statement, padding: 'x'.repeat(limits.statementBytesMax) }
  t.equal(outcomeOf(signed([ci, ann], {}, padded)), 'refused: malformed')
  const crowd = Array.from({ length: limits.envelopeSignaturesMax + 1 }, () => ci)
  t.equal(outcomeOf(signed(crowd)), 'refused: malformed')
  const deep = `${'['.repeat(60_000)}${']'.repeat(60_000)}`
  t.equal(outcomeOf(Buffer.from(deep)), 'refused: malformed')
  const verdict = judge(signed([ci, ann]), {
    release: { version, tree, artifact: { ...artifact, bytes: artifact.bytes + 1 } },
  })
  t.match(verdict, { reason: 'other-artifact' }, 'a byte more than was signed')
})

void t.test('Uptane: the online side sends a host what was signed for others', async (t) => {
  const envelope = signed([ci, ann])
  t.equal(outcomeOf(envelope, { app: 'billing' }), 'refused: other-app')
  t.equal(outcomeOf(envelope, { environment: 'unheard-of' }), 'refused: no-rule')
  const elsewhere = signed([ci, ann], {}, { ...statement, environments: ['staging'] })
  t.equal(outcomeOf(elsewhere), 'refused: other-environment')
  const everywhere = signed([ci, ann], {}, { ...statement, environments: ['*'] })
  t.equal(outcomeOf(everywhere), 'refused: malformed', 'a statement has no wildcard')
})

void t.test('DSSE, type confusion: signed as something else', async (t) => {
  const { release } = payloadTypes
  const trust = 'application/vnd.lockstep.trust.v1+json'
  t.equal(outcomeOf(signed([ci, ann], { payloadType: trust })), 'refused: other-type')
  t.equal(outcomeOf(signed([ci, ann], { signedType: trust })), 'refused: malformed')
  const types = ['application/json', '', `${release} `, release.toUpperCase(), `${release};v=2`]
  for (const payloadType of types) {
    t.match(outcomeOf(signed([ci, ann], { payloadType })), /^refused/, payloadType)
    t.equal(outcomeOf(signed([ci, ann], { signedType: payloadType })), 'refused: malformed')
  }
})

void t.test('DSSE, bare payload: a signature without type and length', async (t) => {
  const payload = bytesOf(statement)
  const signatures = [ci, ann].map((signer) => ({
    keyId: signer.key.id,
    signature: signer.sign(payload),
  }))
  const envelope = textOf({ payloadType: payloadTypes.release, payload, signatures })
  t.equal(outcomeOf(envelope), 'refused: malformed')
})

void t.test('DSSE, envelope of another artifact: good signatures, other content', async (t) => {
  const envelope = signed([ci, ann])
  const release = { version, tree: digestOf('what the controller sends') }
  t.equal(outcomeOf(envelope, { release }), 'refused: other-tree')
  const other = { version, tree, artifact: { ...artifact, sha256: digestOf('other') } }
  t.equal(outcomeOf(envelope, { release: other }), 'refused: other-artifact')
})

void t.test('DSSE, parse before verify: an unsigned payload is never looked at', async (t) => {
  const envelope = envelopeOf(Buffer.from('{ no JSON'), [mallory])
  t.equal(outcomeOf(textOf(envelope)), tooFew, 'not "malformed": nobody read it')
  const confirmed = envelopeOf(Buffer.from('{ no JSON'), [ci, ann])
  t.equal(outcomeOf(textOf(confirmed)), 'refused: malformed')
})

void t.test('cosign CVE-2022-36056: an entry that does not hold among ones that do', async (t) => {
  const envelope = envelopeOf(bytesOf(statement), [ci, ann])
  const stale = envelopeOf(bytesOf({ ...statement, sequence: 1 }), [bob]).signatures
  const signatures = [...envelope.signatures, ...stale]
  t.equal(outcomeOf(textOf({ ...envelope, signatures })), 'refused: malformed')
  const swapped = envelope.signatures.map(({ signature }, at) => ({
    keyId: at === 0 ? ann.key.id : ci.key.id,
    signature,
  }))
  t.equal(outcomeOf(textOf({ ...envelope, signatures: swapped })), 'refused: malformed')
})

void t.test('Mender MEN-1412: a part of the release that no signature covers', async (t) => {
  for (const part of Object.keys(statement)) {
    const changed = { ...statement, [part]: 'changed' }
    const envelope = envelopeOf(bytesOf(changed), [ci, ann], { signedPayload: bytesOf(statement) })
    t.equal(outcomeOf(textOf(envelope)), 'refused: malformed', part)
    const { [part]: _, ...rest } = statement as Record<string, unknown>
    const without = envelopeOf(bytesOf(rest), [ci, ann], { signedPayload: bytesOf(statement) })
    t.equal(outcomeOf(textOf(without)), 'refused: malformed', `without ${part}`)
  }
  const more = signed([ci, ann], {}, { ...statement, hooks: ['run me'] })
  t.equal(outcomeOf(more), 'refused: malformed', 'a signed member that no reader knows')
})

void t.test('Mender CVE-2026-33552: the rules of two places are never joined', async (t) => {
  const lax = { threshold: 1, keys: ['bob'], policy: 'require' }
  const joined = { ...trustFile.environments, '*': lax }
  const both = parseTrustPolicy(bytesOf({ ...trustFile, environments: joined }))
  const question = { app, release: { version, tree }, at: now, policy: both }
  const asked = (environment: string, ...signers: Signer[]): string =>
    verifyRelease({
      ...question,
      environment,
      envelope: signedStatement({ ...statement, environments: [environment] }, ...signers),
    }).outcome
  t.equal(asked('production', bob), 'refused', 'not by the wildcard’s rule')
  t.equal(asked('canary', bob), 'trusted')
  t.equal(asked('canary', ci, ann), 'refused', 'nor by another environment’s')
  t.equal(asked('constructor', ci), 'refused', 'an object’s own names are no rules')
})

void t.test('OpenSSH, wrong namespace: a signed commit or file is no release', async (t) => {
  const envelope = envelopeOf(bytesOf(statement), [ci])
  const pae = paeOf(envelope.payloadType, envelope.payload)
  const withSsh = (parts: Parameters<typeof sshBlob>[2]): string => {
    const signature = sshBlob(ann, pae, parts)
    const signatures = [...envelope.signatures, { keyId: ann.key.id, signature }]
    return outcomeOf(textOf({ ...envelope, signatures }))
  }
  t.equal(withSsh({}), 'trusted')
  t.equal(withSsh({ hash: 'sha256' }), 'trusted')
  for (const namespace of ['git', 'file', '', 'lockstep-trust']) {
    t.equal(withSsh({ namespace }), 'refused: malformed', namespace)
  }
  t.equal(withSsh({ hash: 'sha1' }), 'refused: malformed')
})

void t.test('a host that only warns goes on, and says why', async (t) => {
  const circumstances = { environment: 'staging' }
  t.equal(outcomeOf(null, circumstances), 'doubted: unsigned')
  t.equal(outcomeOf(signed([mallory]), circumstances), 'doubted: too-few-signatures')
  t.equal(outcomeOf(signed([ci]), circumstances), 'trusted')
  t.equal(outcomeOf(null, { environment: 'dev' }), 'not-asked')
  t.match(judge(signed([ci])), { message: /2 of ci, ann, bob have to sign.* did ci$/ })
})
