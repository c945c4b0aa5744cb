// Base64 of which every text means other bytes: what is signed or compared must have one spelling.

/** @returns null for what is not exactly what encoding the bytes gives (RFC 4648, section 4) */
export function decodeBase64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}
