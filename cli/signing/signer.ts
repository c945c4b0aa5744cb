// Who signs: the key of a file, of the environment, or of an ssh-agent. The key itself goes nowhere.

import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { type Envelope, paeOf, signersOf } from '#shared/trust/envelope.ts'
import type { PublicKey } from '#shared/trust/public-key.ts'
import {
  formatSshSignature,
  signatureNamespace,
  sshSignedBytes,
} from '#shared/trust/ssh-signature.ts'
import { misuse } from '../arguments.ts'
import type { Environment } from '../connection.ts'
import { readGivenFile } from '../given-file.ts'
import { printable } from '../output/printable.ts'
import { cannotSign, type KeyMaterial, parseKeyMaterial } from './private-key.ts'
import { signByAgent } from './ssh-agent.ts'

export interface Signer {
  readonly key: PublicKey
  /** @returns the signature as it stands in an envelope */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/** For CI systems, whose secrets are variables. */
const variable = 'LOCKSTEP_SIGNING_KEY'

/**
 * @param keyFile stronger than the environment; of a public key, or of an encrypted one, an ssh-agent
 *   has to hold the private half
 * @throws LockstepError `bad-usage`, `cannot-sign`, `bad-public-key`.
 */
export async function openSigner(keyFile: string | undefined, env: Environment): Promise<Signer> {
  const material = keyFile === undefined ? ofVariable(env[variable]) : await ofFile(keyFile)
  if (material.kind === 'private') {
    const { privateKey } = material
    return { key: privateKey.key, sign: async (bytes) => privateKey.sign(bytes) }
  }
  const { key } = material
  const socketPath = env['SSH_AUTH_SOCK'] ?? ''
  if (socketPath === '') throw noAgent(material.kind)
  return {
    key,
    async sign(bytes) {
      const signed = sshSignedBytes(bytes, 'sha512')
      const signature = await signByAgent(socketPath, key, signed)
      const { raw } = key
      return formatSshSignature({ raw, namespace: signatureNamespace, hash: 'sha512', signature })
    },
  }
}

/**
 * The envelope with one signature more; as it is when the key has signed it already.
 * @throws LockstepError `cannot-sign` when what came back is no signature of this key, `bad-envelope`
 *   when one that bears its name does not hold
 */
export async function signEnvelope(envelope: Envelope, signer: Signer): Promise<Envelope> {
  const { payloadType, payload, signatures } = envelope
  if (signersOf(envelope, [signer.key]).length === 1) return envelope
  const signature = await signer.sign(paeOf(payloadType, payload))
  const keyId = signer.key.id
  const own = { payloadType, payload, signatures: [{ keyId, signature }] }
  try {
    if (signersOf(own, [signer.key]).length === 1) {
      return { payloadType, payload, signatures: [...signatures, ...own.signatures] }
    }
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
  }
  throw cannotSign('cannot be used: what it signs does not hold')
}

function ofVariable(text: string | undefined): KeyMaterial {
  if (text !== undefined && text !== '') return parseKeyMaterial(text)
  throw misuse(
    'there is no key to sign with',
    `Name its file with --key FILE, or set ${variable} to the key itself.`,
  )
}

async function ofFile(path: string): Promise<KeyMaterial> {
  const { content, mode } = await readGivenFile(path, 'the key', limits.privateKeyBytesMax)
  const material = parseKeyMaterial(content.toString('utf8'))
  if (material.kind === 'public' || mode === null || (mode & 0o077) === 0) return material
  throw cannotSign(
    `${printable(path)} can be read by others (mode 0${mode.toString(8)})`,
    `Take their rights away: chmod 600 ${printable(path)}`,
  )
}

function noAgent(kind: 'public' | 'encrypted'): LockstepError {
  return kind === 'encrypted'
    ? cannotSign('is encrypted', 'Let ssh-agent hold it: eval "$(ssh-agent)", then ssh-add KEY.')
    : cannotSign(
        'is not there: this is a public key, and SSH_AUTH_SOCK names no ssh-agent',
        'Name the private key’s file, or start an ssh-agent that holds it.',
      )
}
