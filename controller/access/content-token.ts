// The tokens with which agents fetch content: a host, an expiry, and a proof that this controller
// said so (HMAC-SHA-256). Nothing is stored, so that they outlive a restart.

import { createHmac, timingSafeEqual } from 'node:crypto'

const tokenPattern = /^lsc1\.([0-9A-Za-z_-]{26})\.([0-9]{1,15})\.([0-9A-Za-z_-]{43})$/

/** @param expiresAt epoch milliseconds */
export function contentToken(secret: Uint8Array, host: string, expiresAt: number): string {
  const expiry = Math.floor(expiresAt)
  return `lsc1.${host}.${expiry}.${proof(secret, host, expiry)}`
}

/** The host that the token was given to, or null for anything but a good one. */
export function hostOfContentToken(secret: Uint8Array, text: string, at: number): string | null {
  const [, host, expiry, given] = tokenPattern.exec(text) ?? []
  if (host === undefined || expiry === undefined || given === undefined) return null
  const expected = Buffer.from(proof(secret, host, Number(expiry)))
  if (!timingSafeEqual(expected, Buffer.from(given))) return null
  return Number(expiry) > at ? host : null
}

function proof(secret: Uint8Array, host: string, expiresAt: number): string {
  return createHmac('sha256', secret).update(`content\n${host}\n${expiresAt}`).digest('base64url')
}
