// What the tests of trust sign with: keys of fixed seeds, and envelopes as a CI would make them.

import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { type Envelope, paeOf, payloadTypes } from '#shared/trust/envelope.ts'
import { type PublicKey, publicKeyOf } from '#shared/trust/public-key.ts'
import { sshString } from '#shared/trust/ssh-wire.ts'

export interface Signer {
  readonly key: PublicKey
  /** As its .pub file has it. */
  readonly line: string
  sign(bytes: Uint8Array): Uint8Array
}

export function signerOf(seed: number): Signer {
  const pkcs8 = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.alloc(32, seed),
  ])
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const key = publicKeyOf(spki.subarray(-32))
  return { key, line: lineOf(key.raw), sign: (bytes) => sign(null, bytes, privateKey) }
}

export function lineOf(raw: Uint8Array): string {
  const wire = Buffer.concat([sshString('ssh-ed25519'), sshString(raw)])
  return `ssh-ed25519 ${wire.toString('base64')} somebody`
}

export const ci = signerOf(1)
export const ann = signerOf(2)
export const bob = signerOf(3)
export const mallory = signerOf(66)

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')
export const atOf = (text: string): number => Date.parse(text)
export const now = atOf('2026-06-01T00:00:00Z')

export const statement = {
  statement: 1,
  app: 'shop',
  version: '1.4.0',
  sequence: 17,
  tree: digestOf('tree of 1.4.0'),
  artifact: { sha256: digestOf('tarball of 1.4.0'), bytes: 4096 },
  environments: ['production', 'staging'],
  expires: '2026-12-31T00:00:00Z',
  floor: 12,
}

export const bytesOf = (value: unknown): Buffer =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

export interface SshParts {
  magic: string
  version: number
  key: Uint8Array
  namespace: string
  reserved: string
  hash: string
  /** What is hashed with. */
  digest: 'sha512' | 'sha256'
  algorithm: string
  behind: Uint8Array
  behindInner: Uint8Array
}

/** An SSH signature, any part of which may be other than it should. */
export function sshBlob(signer: Signer, bytes: Uint8Array, parts: Partial<SshParts> = {}): Buffer {
  const all: SshParts = {
    magic: 'SSHSIG',
    version: 1,
    key: Buffer.concat([sshString('ssh-ed25519'), sshString(signer.key.raw)]),
    namespace: 'lockstep-release',
    reserved: '',
    hash: 'sha512',
    digest: parts.hash === 'sha256' ? 'sha256' : 'sha512',
    algorithm: 'ssh-ed25519',
    behind: Buffer.alloc(0),
    behindInner: Buffer.alloc(0),
    ...parts,
  }
  const common = [sshString(all.namespace), sshString(all.reserved), sshString(all.hash)]
  const hashed = createHash(all.digest).update(bytes).digest()
  const signed = Buffer.concat([Buffer.from('SSHSIG'), ...common, sshString(hashed)])
  const inner = [sshString(all.algorithm), sshString(signer.sign(signed)), all.behindInner]
  const version = Buffer.alloc(4)
  version.writeUInt32BE(all.version)
  return Buffer.concat([
    Buffer.from(all.magic),
    version,
    sshString(all.key),
    ...common,
    sshString(Buffer.concat(inner)),
    all.behind,
  ])
}

export interface SignedParts {
  payloadType?: string
  /** What the signatures are over, when it is not the type that the envelope says. */
  signedType?: string
  signedPayload?: Uint8Array
}

/** One signature for each signer, in order. */
export function envelopeOf(
  payload: Uint8Array,
  signers: readonly Signer[],
  parts: SignedParts = {},
): Envelope {
  const payloadType = parts.payloadType ?? payloadTypes.release
  const pae = paeOf(parts.signedType ?? payloadType, parts.signedPayload ?? payload)
  const signatures = signers.map((signer) => ({
    keyId: signer.key.id,
    signature: signer.sign(pae),
  }))
  return { payloadType, payload, signatures }
}

/** The envelope as it travels. */
export function textOf({ payloadType, payload, signatures }: Envelope): Buffer {
  return bytesOf({
    payloadType,
    payload: Buffer.from(payload).toString('base64'),
    signatures: signatures.map(({ keyId, signature }) => ({
      keyid: keyId,
      sig: Buffer.from(signature).toString('base64'),
    })),
  })
}

export function signedStatement(value: unknown, ...signers: Signer[]): Buffer {
  return textOf(envelopeOf(bytesOf(value), signers))
}

export const trustFile = {
  trust: 1,
  version: 3,
  keys: {
    ci: { key: ci.line },
    ann: { key: ann.line, notBefore: '2026-01-01T00:00:00Z' },
    bob: { key: bob.line, notAfter: '2026-09-01T00:00:00Z' },
  },
  environments: {
    'production': { threshold: 2, keys: ['ci', 'ann', 'bob'], policy: 'require' },
    'staging': { threshold: 1, keys: ['ci'], policy: 'warn' },
    'dev': { policy: 'off' },
  },
}
