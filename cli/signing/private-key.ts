// Private keys that sign releases: Ed25519, as ssh-keygen writes them without a passphrase (OpenSSH's
// PROTOCOL.key) or as PKCS #8 in PEM (RFC 8410). Owns their forms; nothing of a key is in any message.

import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { LockstepError } from '#shared/errors.ts'
import { decodeBase64 } from '#shared/trust/base64.ts'
import {
  keyAlgorithm,
  parsePublicKey,
  type PublicKey,
  publicKeyOf,
  rawOfWire,
  wireOf,
} from '#shared/trust/public-key.ts'
import { SshReader, sshString } from '#shared/trust/ssh-wire.ts'

export interface PrivateKey {
  readonly key: PublicKey
  /** @returns 64 bytes, RFC 8032 */
  sign(bytes: Uint8Array): Uint8Array
}

/** What a key file holds: a key to sign with, or only the name of one that an ssh-agent may hold. */
export type KeyMaterial =
  | { readonly kind: 'private'; readonly privateKey: PrivateKey }
  | { readonly kind: 'public' | 'encrypted'; readonly key: PublicKey }

const magic = Buffer.from('openssh-key-v1\0')
const armour =
  /^-----BEGIN OPENSSH PRIVATE KEY-----\n((?:[0-9A-Za-z+/=]+\n)+)-----END OPENSSH PRIVATE KEY-----\n?$/
/** PKCS #8 of an Ed25519 key up to its 32 bytes (RFC 8410, section 7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
/** Of a cipher that is none. */
const blockBytes = 8

/** @throws LockstepError `cannot-sign`, `bad-public-key`. */
export function parseKeyMaterial(given: string): KeyMaterial {
  // Secret stores of CI systems take off the last line end, or make two of each.
  const text = `${given.replaceAll('\r\n', '\n').trim()}\n`
  if (text.includes('-----BEGIN OPENSSH PRIVATE KEY-----')) return ofOpenSsh(text)
  if (text.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----')) {
    throw cannotSign(
      'is encrypted',
      'Take an OpenSSH key and let ssh-agent hold it (ssh-add KEY), or one without a passphrase.',
    )
  }
  if (text.includes('-----BEGIN PRIVATE KEY-----')) return ofPem(text)
  if (text.includes('PRIVATE KEY-----')) throw cannotSign('is of a kind that is not known')
  return { kind: 'public', key: parsePublicKey(text) }
}

/** As ssh-keygen writes a key without a passphrase. @param check four random bytes, said twice */
export function formatOpenSsh(key: NewKey, comment: string, check: Uint8Array): string {
  const { raw } = key.publicKey
  const secret = Buffer.concat([
    check,
    check,
    wireOf(raw),
    sshString(Buffer.concat([key.seed, raw])),
    sshString(comment),
  ])
  const content = Buffer.concat([
    magic,
    ...['none', 'none', ''].map(sshString),
    Buffer.from([0, 0, 0, 1]),
    sshString(wireOf(raw)),
    sshString(Buffer.concat([secret, paddingOf(secret.length)])),
  ])
  const lines = content.toString('base64').replaceAll(/.{70}(?=.)/g, '$&\n')
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`
}

export interface NewKey {
  readonly publicKey: PublicKey
  /** 32 bytes. */
  readonly seed: Uint8Array
}

/** @param made of `generateKeyPairSync('ed25519')` */
export function newKeyOf(made: KeyObject): NewKey {
  const der = made.export({ format: 'der', type: 'pkcs8' })
  return { publicKey: publicOf(made), seed: der.subarray(pkcs8Prefix.length) }
}

function ofPem(text: string): KeyMaterial {
  let made: KeyObject
  try {
    made = createPrivateKey({ key: text, format: 'pem' })
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw cannotSign('is malformed')
  }
  if (made.asymmetricKeyType !== 'ed25519') throw cannotSign('is no Ed25519 key')
  return { kind: 'private', privateKey: privateKeyOf(made) }
}

function ofOpenSsh(text: string): KeyMaterial {
  const content = decodeBase64((armour.exec(text)?.[1] ?? '!').replaceAll('\n', ''))
  if (content === null) throw cannotSign('is malformed')
  const reader = new SshReader(content)
  const start = reader.bytes(magic.length)
  const cipher = reader.text()
  const kdf = reader.text()
  const kdfOptions = reader.string()
  const count = reader.uint32()
  const wire = reader.string()
  const secret = reader.string()
  const isWhole = start?.equals(magic) === true && kdfOptions !== null && reader.isAtEnd
  if (!isWhole || wire === null || secret === null || count !== 1) throw cannotSign('is malformed')
  const raw = rawOfWire(wire)
  if (raw === null) throw cannotSign('is no Ed25519 key')
  if (cipher !== 'none' || kdf !== 'none') return { kind: 'encrypted', key: publicKeyOf(raw) }
  return { kind: 'private', privateKey: ofSecret(secret, raw) }
}

/** The two halves must be of one key: a signature with another public half gives the secret away. */
function ofSecret(secret: Buffer, raw: Uint8Array): PrivateKey {
  const reader = new SshReader(secret)
  const [first, second] = [reader.uint32(), reader.uint32()]
  const algorithm = reader.text()
  const publicHalf = reader.string()
  const both = reader.string()
  const comment = reader.string()
  if (first === null || first !== second || algorithm !== keyAlgorithm || comment === null) {
    throw cannotSign('is malformed')
  }
  if (both?.length !== 64 || publicHalf?.equals(raw) !== true) throw cannotSign('is malformed')
  const der = Buffer.concat([pkcs8Prefix, both.subarray(0, 32)])
  const privateKey = privateKeyOf(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
  if (Buffer.from(privateKey.key.raw).equals(raw) && both.subarray(32).equals(raw))
    return privateKey
  throw cannotSign('is damaged: its two halves are not of one key')
}

function privateKeyOf(made: KeyObject): PrivateKey {
  return { key: publicOf(made), sign: (bytes) => sign(null, bytes, made) }
}

function publicOf(made: KeyObject): PublicKey {
  return publicKeyOf(createPublicKey(made).export({ format: 'der', type: 'spki' }).subarray(-32))
}

function paddingOf(lengthBytes: number): Buffer {
  const missing = (blockBytes - (lengthBytes % blockBytes)) % blockBytes
  return Buffer.from(Array.from({ length: missing }, (_, at) => at + 1))
}

export function cannotSign(
  problem: string,
  hint = 'Make one with `lockstep keygen FILE`, or with ssh-keygen -t ed25519.',
): LockstepError {
  return new LockstepError('cannot-sign', `the private key ${problem}`, { hint })
}
