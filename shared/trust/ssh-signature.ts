// Signatures that `ssh-keygen -Y sign -n lockstep-release` makes with the keys people already have.
// Owns their form and their check; OpenSSH's PROTOCOL.sshsig.

import { createHash } from 'node:crypto'
import { LockstepError } from '../errors.ts'
import { limits } from '../limits.ts'
import { decodeBase64 } from './base64.ts'
import { isSignedBy, keyAlgorithm, type PublicKey, rawOfWire, wireOf } from './public-key.ts'
import { SshReader, sshString } from './ssh-wire.ts'

/** Keeps a signature that was made for something else (a git commit, a file) from counting here. */
export const signatureNamespace = 'lockstep-release'

const magic = 'SSHSIG'
const hashes = ['sha512', 'sha256'] as const
const armour =
  /^-----BEGIN SSH SIGNATURE-----\n((?:[0-9A-Za-z+/=]{1,76}\n)+)-----END SSH SIGNATURE-----\n?$/

export interface SshSignature {
  /** The 32 bytes of the key that it says it was made with. */
  readonly raw: Uint8Array
  readonly namespace: string
  readonly hash: (typeof hashes)[number]
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array
}

/** Whether the bytes mean to be such a signature, and not a bare one of 64 bytes. */
export function isSshSignature(blob: Uint8Array): boolean {
  return blob.length > 64 && Buffer.from(blob.subarray(0, magic.length)).toString() === magic
}

/**
 * The content of the file that ssh-keygen writes.
 * @throws LockstepError `bad-envelope`.
 */
export function decodeSshArmour(text: string): Uint8Array {
  const lines = text.length > 2 * limits.signatureBytesMax ? null : armour.exec(text)
  const blob = decodeBase64((lines?.[1] ?? '!').replaceAll('\n', ''))
  if (blob === null) throw badSignature('is not as ssh-keygen writes one')
  return blob
}

/**
 * @param blob without its armour
 * @throws LockstepError `bad-envelope`.
 */
export function parseSshSignature(blob: Uint8Array): SshSignature {
  if (blob.length > limits.signatureBytesMax) throw badSignature('is too large')
  const reader = new SshReader(blob)
  if (reader.bytes(magic.length)?.toString('latin1') !== magic) throw badSignature('has no magic')
  if (reader.uint32() !== 1) throw badSignature('is of another version')
  const raw = rawOfWire(reader.string() ?? Buffer.alloc(0))
  const namespace = reader.text()
  const reserved = reader.string()
  const hashName = reader.text()
  const inner = reader.string()
  if (namespace === null || reserved === null || inner === null || !reader.isAtEnd) {
    throw badSignature('is cut short or goes on behind its end')
  }
  if (raw === null) throw badSignature('is not by an Ed25519 key')
  if (reserved.length > 0) throw badSignature('has a reserved field that says something')
  const hash = hashes.find((known) => known === hashName)
  if (hash === undefined) throw badSignature('is over another hash than sha512 or sha256')
  const innerReader = new SshReader(inner)
  const algorithm = innerReader.text()
  const signature = innerReader.string()
  if (algorithm !== keyAlgorithm || signature?.length !== 64 || !innerReader.isAtEnd) {
    throw badSignature('holds no Ed25519 signature')
  }
  return { raw, namespace, hash, signature }
}

export type SshVerdict = 'signed' | 'other-namespace' | 'other-key' | 'false-signature'

/** Whether `key` signed the message with `signature` as a release of Lockstep. */
export function checkSshSignature(
  key: PublicKey,
  message: Uint8Array,
  signature: SshSignature,
): SshVerdict {
  if (signature.namespace !== signatureNamespace) return 'other-namespace'
  if (!Buffer.from(signature.raw).equals(key.raw)) return 'other-key'
  const signed = sshSignedBytes(message, signature.hash)
  return isSignedBy(key, signed, signature.signature) ? 'signed' : 'false-signature'
}

/** What the key itself signs: the message's hash, bound to the namespace. */
export function sshSignedBytes(message: Uint8Array, hash: SshSignature['hash']): Uint8Array {
  const hashed = createHash(hash).update(message).digest()
  return Buffer.concat([
    Buffer.from(magic),
    ...bindingOf(signatureNamespace, hash),
    sshString(hashed),
  ])
}

/**
 * What `parseSshSignature` reads.
 * @param signature 64 bytes over `sshSignedBytes`
 */
export function formatSshSignature({ raw, namespace, hash, signature }: SshSignature): Uint8Array {
  const version = Buffer.from([0, 0, 0, 1])
  const inner = Buffer.concat([sshString(keyAlgorithm), sshString(signature)])
  return Buffer.concat([
    Buffer.from(magic),
    version,
    sshString(wireOf(raw)),
    ...bindingOf(namespace, hash),
    sshString(inner),
  ])
}

/** Namespace, the reserved field, hash. */
function bindingOf(namespace: string, hash: string): Buffer[] {
  return [sshString(namespace), sshString(''), sshString(hash)]
}

function badSignature(problem: string): LockstepError {
  return new LockstepError('bad-envelope', `an SSH signature ${problem}`, {
    hint: `Sign with: ssh-keygen -Y sign -n ${signatureNamespace} -f KEY FILE (an Ed25519 key).`,
  })
}
