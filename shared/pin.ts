// Pins: what a controller's key is known by to whoever has never seen its certificate. Pure.

import { createHash } from 'node:crypto'

/**
 * @param spki DER of a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7)
 * @returns base64url of its SHA-256, 43 characters
 */
export function pinOf(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('base64url')
}

export function isPin(text: string): boolean {
  return /^[0-9A-Za-z_-]{43}$/.test(text)
}
