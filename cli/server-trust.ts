// Whom the command takes for the controller: an authority's file, pins, or the certificates that everybody
// trusts; and that no token goes over a network in clear. docs/cli.md, "Environment".

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { isLoopback } from '#shared/loopback.ts'
import { isPin } from '#shared/pin.ts'
import { misuse } from './arguments.ts'
import type { Environment } from './connection.ts'
import { printable } from './output/printable.ts'

export type ServerTrust =
  | { readonly kind: 'public' }
  /** PEM of the certificates that its own has to be signed by. */
  | { readonly kind: 'authority'; readonly certificates: string }
  | { readonly kind: 'pins'; readonly pins: readonly string[] }

/** @throws LockstepError `bad-usage` */
export function readServerTrust(env: Environment): ServerTrust {
  const file = env['LOCKSTEP_CA'] ?? ''
  const pins = (env['LOCKSTEP_PIN'] ?? '').split(/[\s,]+/).filter((pin) => pin !== '')
  if (file !== '' && pins.length > 0) {
    throw misuse(
      'both LOCKSTEP_CA and LOCKSTEP_PIN are set',
      'Either says by itself which controller is meant: unset one of them.',
    )
  }
  if (file !== '') return { kind: 'authority', certificates: readCertificates(file) }
  if (pins.length === 0) return { kind: 'public' }
  if (pins.every(isPin)) return { kind: 'pins', pins }
  throw misuse(
    'LOCKSTEP_PIN holds something that is no pin',
    'A pin has 43 characters; `lockstep controller pin --data DIR` prints it on the controller’s machine.',
  )
}

/** @throws LockstepError `bad-usage` for an address to which the token would travel in clear */
export function refusePlainHttp({ protocol, hostname, origin }: URL, env: Environment): void {
  if (protocol === 'https:' || isLoopback(hostname) || env['LOCKSTEP_PLAIN_HTTP'] === '1') return
  throw misuse(
    `${origin} is plain HTTP: whoever is on the network could read the token`,
    'Write https:// in the address. Where nobody else can be on that network, LOCKSTEP_PLAIN_HTTP=1 ' +
      'allows it.',
  )
}

function readCertificates(file: string): string {
  const source = `LOCKSTEP_CA (${printable(file)})`
  const hint = 'Set it to a copy of `ca.pem` from the controller’s data directory.'
  try {
    const text = readFileSync(file, 'utf8')
    if (isCertificate(text)) return text
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw new LockstepError('bad-usage', `${source} cannot be read (${code})`, {
      hint,
      cause: error,
    })
  }
  throw misuse(`${source} holds no certificate as PEM`, hint)
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).raw.length > 0
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return false
  }
}
