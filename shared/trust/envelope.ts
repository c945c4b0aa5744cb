// The envelope that carries signed bytes and their signatures (DSSE 1.0.2). Owns its form, the bytes
// that are signed, and whose signatures hold; never looks into the payload.

import { Type } from 'typebox'
import { LockstepError } from '../errors.ts'
import { limits } from '../limits.ts'
import { decodeBase64 } from './base64.ts'
import { isSignedBy, type PublicKey } from './public-key.ts'
import { checkSshSignature, isSshSignature, parseSshSignature } from './ssh-signature.ts'
import { strictReader } from './strict-json.ts'

export const payloadTypes = {
  release: 'application/vnd.lockstep.release.v1+json',
} as const

export interface EnvelopeSignature {
  /** Which key is said to have signed: it chooses the key to check with, and proves nothing. */
  readonly keyId: string
  /** Ed25519 over the PAE (64 bytes), or an SSH signature over it without its armour. */
  readonly signature: Uint8Array
}

export interface Envelope {
  readonly payloadType: string
  /** Verbatim: what was signed. */
  readonly payload: Uint8Array
  readonly signatures: readonly EnvelopeSignature[]
}

const closed = { additionalProperties: false }
const signatureSchema = Type.Object(
  {
    keyid: Type.String({ pattern: '^SHA256:[0-9A-Za-z+/]{43}$' }),
    sig: Type.String({ minLength: 1, maxLength: 2 * limits.signatureBytesMax }),
  },
  closed,
)
const envelopeSchema = Type.Object(
  {
    payloadType: Type.String({ minLength: 1, maxLength: 128 }),
    payload: Type.String({ minLength: 1 }),
    signatures: Type.Array(signatureSchema, {
      minItems: 1,
      maxItems: limits.envelopeSignaturesMax,
    }),
  },
  closed,
)

const read = strictReader({
  schema: envelopeSchema,
  what: 'the envelope',
  bytesMax: limits.envelopeBytesMax,
  code: 'bad-envelope',
})

/** @throws LockstepError `bad-envelope`. */
export function parseEnvelope(content: Uint8Array): Envelope {
  const { payloadType, payload, signatures } = read(content)
  return {
    payloadType,
    payload: bytesOf(payload, 'the payload'),
    signatures: signatures.map(({ keyid, sig }) => ({
      keyId: keyid,
      signature: bytesOf(sig, `the signature of ${keyid}`),
    })),
  }
}

/** What `parseEnvelope` reads, for a file: a member a line. */
export function formatEnvelope({ payloadType, payload, signatures }: Envelope): string {
  const written = {
    payloadType,
    payload: base64Of(payload),
    signatures: signatures.map(({ keyId, signature }) => ({
      keyid: keyId,
      sig: base64Of(signature),
    })),
  }
  return `${JSON.stringify(written, null, 2)}\n`
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

/** The bytes that are signed: type and payload with their lengths (DSSE, "PAE"). */
export function paeOf(payloadType: string, payload: Uint8Array): Uint8Array {
  const typeBytes = Buffer.byteLength(payloadType)
  const head = `DSSEv1 ${typeBytes} ${payloadType} ${payload.length} `
  return Buffer.concat([Buffer.from(head), payload])
}

/**
 * Which of the keys signed: each at most once, however often it signed and whatever it was called.
 * A signature of none of the keys says nothing; one that names a key and does not hold spoils the
 * envelope, since nothing honest makes one.
 * @throws LockstepError `bad-envelope`.
 */
export function signersOf(envelope: Envelope, keys: readonly PublicKey[]): readonly PublicKey[] {
  const signed = paeOf(envelope.payloadType, envelope.payload)
  const signers = new Map<string, PublicKey>()
  for (const { keyId, signature } of envelope.signatures) {
    const key = keys.find(({ id }) => id === keyId)
    if (key === undefined) continue
    const verdict = checkSignature(key, signed, signature)
    if (verdict !== 'signed') {
      throw badEnvelope(`has a signature of ${keyId} that does not hold (${verdict})`)
    }
    signers.set(Buffer.from(key.raw).toString('hex'), key)
  }
  return [...signers.values()]
}

function checkSignature(key: PublicKey, signed: Uint8Array, signature: Uint8Array): string {
  if (isSshSignature(signature)) {
    return checkSshSignature(key, signed, parseSshSignature(signature))
  }
  return isSignedBy(key, signed, signature) ? 'signed' : 'false-signature'
}

function bytesOf(text: string, what: string): Uint8Array {
  const bytes = decodeBase64(text)
  if (bytes === null) throw badEnvelope(`is malformed: ${what} is no canonical base64`)
  return bytes
}

function badEnvelope(problem: string): LockstepError {
  return new LockstepError('bad-envelope', `the envelope ${problem}`, {
    hint: 'Sign the release again, and publish it with the new envelope.',
  })
}
