// Public keys that may sign releases: Ed25519 only, as OpenSSH or OpenSSL write them. A key is
// known by what it is, never by what somebody calls it: its id is computed from its bytes.

import { createHash, createPublicKey, verify } from 'node:crypto'
import { LockstepError } from '../errors.ts'
import { limits } from '../limits.ts'
import { decodeBase64 } from './base64.ts'
import { pointFlawOf } from './ed25519-point.ts'
import { SshReader, sshString } from './ssh-wire.ts'

export interface PublicKey {
  /** `SHA256:` and the unpadded base64 of the wire form's SHA-256, as `ssh-keygen -l` shows it. */
  readonly id: string
  /** The 32 bytes of RFC 8032. */
  readonly raw: Uint8Array
}

export const keyAlgorithm = 'ssh-ed25519'

const sshLine = /^ssh-ed25519 ([0-9A-Za-z+/=]+)(?: [^\n\r]*)?\n?$/
const pem = /^-----BEGIN PUBLIC KEY-----\n([0-9A-Za-z+/=]+)\n-----END PUBLIC KEY-----\n?$/
/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410, section 4). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

/**
 * @param text a line `ssh-ed25519 AAAA… comment`, or a PEM file with `BEGIN PUBLIC KEY`
 * @throws LockstepError `bad-public-key`.
 */
export function parsePublicKey(text: string): PublicKey {
  if (text.length > limits.publicKeyCharsMax) {
    throw badKey(`is longer than ${limits.publicKeyCharsMax} characters`)
  }
  const [, line] = sshLine.exec(text) ?? []
  const [, block] = pem.exec(text) ?? []
  const content = decodeBase64(line ?? block ?? '')
  if (content === null) throw badKey('is no canonical base64')
  const raw = line === undefined ? rawOfSpki(content) : rawOfWire(content)
  if (raw === null) throw badKey('is no Ed25519 public key')
  return publicKeyOf(raw)
}

/**
 * @param raw 32 bytes
 * @throws LockstepError `bad-public-key` when nobody, or anybody, could sign for it.
 */
export function publicKeyOf(raw: Uint8Array): PublicKey {
  const flaw = pointFlawOf(raw)
  if (flaw === 'small-order') throw badKey('is of small order: anybody could sign for it')
  if (flaw !== null) throw badKey(`is ${flaw === 'not-canonical' ? 'not canonical' : 'no point'}`)
  const id = createHash('sha256').update(wireOf(raw)).digest('base64').replace(/=+$/, '')
  return { id: `SHA256:${id}`, raw: Buffer.from(raw) }
}

/** The 32 bytes in OpenSSH's wire form of a key; null for any other content. */
export function rawOfWire(wire: Uint8Array): Uint8Array | null {
  const reader = new SshReader(wire)
  const algorithm = reader.text()
  const raw = reader.string()
  return algorithm === keyAlgorithm && raw?.length === 32 && reader.isAtEnd ? raw : null
}

/** The line that `parsePublicKey` reads, as in a .pub file. @param comment without a line end */
export function publicKeyLine({ raw }: PublicKey, comment: string): string {
  return `${keyAlgorithm} ${wireOf(raw).toString('base64')} ${comment}`
}

/** Whether the holder of the key made this signature over just these bytes (RFC 8032, 5.1.7). */
export function isSignedBy(key: PublicKey, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false
  const spki = Buffer.concat([spkiPrefix, key.raw])
  return verify(null, bytes, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature)
}

function rawOfSpki(content: Uint8Array): Uint8Array | null {
  const prefix = Buffer.from(content.subarray(0, spkiPrefix.length))
  const isEd25519 = content.length === spkiPrefix.length + 32 && prefix.equals(spkiPrefix)
  return isEd25519 ? content.subarray(spkiPrefix.length) : null
}

/** OpenSSH's wire form of a key. */
export function wireOf(raw: Uint8Array): Buffer {
  return Buffer.concat([sshString(keyAlgorithm), sshString(raw)])
}

function badKey(problem: string): LockstepError {
  return new LockstepError('bad-public-key', `the public key ${problem}`, {
    hint: 'Give an Ed25519 key: the line in its .pub file (ssh-keygen -t ed25519), or its PEM.',
  })
}
