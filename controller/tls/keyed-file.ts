// A private key with its certificate as one file, so that no power loss can leave one without the
// other, and what is read off a certificate.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { pinOf } from '#shared/pin.ts'
import { writeSecret } from '../adapters/secret-file.ts'
import type { KeyedCertificate } from './certificate-authority.ts'

/**
 * @returns null where there is none
 * @throws LockstepError `bad-configuration` for a damaged one
 */
export async function readKeyedFile(path: string): Promise<KeyedCertificate | null> {
  try {
    const keyed = parseKeyed(await readFile(path, 'utf8'))
    if (keyed !== null) return keyed
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'ENOENT') return null
    if (code === undefined) throw error
    throw damaged(path, code, error)
  }
  throw damaged(path, 'key and certificate do not belong together')
}

function parseKeyed(text: string): KeyedCertificate | null {
  const key = createPrivateKey(text)
  const certificate = new X509Certificate(text)
  if (!certificate.checkPrivateKey(key)) return null
  return {
    key: String(key.export({ type: 'pkcs8', format: 'pem' })),
    certificate: certificate.toString(),
  }
}

export async function writeKeyedFile(path: string, keyed: KeyedCertificate): Promise<void> {
  await writeSecret(path, keyed.key + keyed.certificate)
}

/** The pin of the certificate's key. */
export function pinOfCertificate(pem: string): string {
  const { publicKey } = new X509Certificate(pem)
  return pinOf(publicKey.export({ type: 'spki', format: 'der' }))
}

/** In epoch milliseconds. */
export function expiryOf(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime()
}

function damaged(path: string, why: string, cause?: unknown): LockstepError {
  return new LockstepError('bad-configuration', `${path} cannot be used (${why})`, {
    hint:
      'Bring it back from a backup of the data directory. Without one remove the directory `tls`: a ' +
      'new authority is made, and every agent needs its pin.',
    cause,
  })
}
