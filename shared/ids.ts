// The names and ids that travel between people, controller and agents, and the only functions that
// accept them. A name that has passed here is safe as one path segment and in a terminal.

import { createHash } from 'node:crypto'
import { LockstepError } from './errors.ts'

const appPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/
const versionPattern = /^[0-9A-Za-z][0-9A-Za-z._+-]{0,63}$/
const hostNamePattern = /^[0-9A-Za-z](?:[0-9A-Za-z.-]{0,61}[0-9A-Za-z])?$/
const digestPattern = /^[0-9a-f]{64}$/
const hostIdPattern = /^[0-9A-Za-z_-]{26}$/
const labelNamePattern = /^[a-z][a-z0-9_.-]{0,30}$/
const labelValuePattern = /^[0-9A-Za-z][0-9A-Za-z_.-]{0,62}$/

/** Source texts of the patterns, for the schemas of the wire and of the HTTP API. */
export const patterns = {
  app: appPattern.source,
  environment: appPattern.source,
  version: '^(?!.*\\.\\.)[0-9A-Za-z][0-9A-Za-z._+-]{0,63}$',
  hostName: hostNamePattern.source,
  digest: digestPattern.source,
  hostId: hostIdPattern.source,
  /** Of a key, see pin.ts. */
  pin: '^[0-9A-Za-z_-]{43}$',
  labelName: labelNamePattern.source,
  labelValue: labelValuePattern.source,
} as const

/** @throws LockstepError `bad-name` when `text` is no app name. */
export function parseApp(text: string): string {
  return parseName('app', appPattern, 'lower-case letters, digits, "-" and "_"', text)
}

/** @throws LockstepError `bad-name` when `text` is no environment name. */
export function parseEnvironment(text: string): string {
  return parseName('environment', appPattern, 'lower-case letters, digits, "-" and "_"', text)
}

/** @throws LockstepError `bad-name` when `text` is no host name. */
export function parseHostName(text: string): string {
  return parseName('host name', hostNamePattern, 'letters, digits, "." and "-"', text)
}

/**
 * A version is a label, never an order: releases are ordered by the controller's own sequence.
 * @throws LockstepError `bad-name` when `text` is no version.
 */
export function parseVersion(text: string): string {
  const version = parseName('version', versionPattern, 'letters, digits and "._+-"', text)
  if (!version.includes('..')) return version
  throw new LockstepError('bad-name', `"${version}" is no version: ".." is not allowed in it`)
}

/** @throws LockstepError `bad-name` when `text` is no name of a label. */
export function parseLabelName(text: string): string {
  return parseName('label name', labelNamePattern, 'lower-case letters, digits and "_.-"', text)
}

/** @throws LockstepError `bad-name` when `text` is no value of a label. */
export function parseLabelValue(text: string): string {
  return parseName('label value', labelValuePattern, 'letters, digits and "_.-"', text)
}

/** @throws LockstepError `bad-name` when `text` is no SHA-256 in lower-case hexadecimal. */
export function parseDigest(text: string): string {
  return parseName('digest', digestPattern, '64 lower-case hexadecimal digits', text)
}

/** SHA-256 of bytes or of UTF-8 text, as 64 lower-case hexadecimal digits. */
export function sha256Hex(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

/** A host's id: the first 26 characters of base64url(SHA-256(raw Ed25519 public key, 32 bytes)). */
export function hostIdOf(rawPublicKey: Uint8Array): string {
  return createHash('sha256').update(rawPublicKey).digest('base64url').slice(0, 26)
}

function parseName(kind: string, pattern: RegExp, allowed: string, text: string): string {
  if (pattern.test(text)) return text
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
  throw new LockstepError('bad-name', `${shown} is no ${kind}`, {
    hint: `A ${kind} has 1 to 64 characters: ${allowed}, beginning with a letter or digit.`,
  })
}
