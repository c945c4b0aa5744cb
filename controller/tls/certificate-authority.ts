// Makes the two kinds of certificates that the controller needs: an authority of its own, and what it
// shows to whoever connects (RFC 5280). Keys and signatures are Node's; the package only knows how the
// fields are written (docs/adr/0011). Reads no clock and no disk.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { isIP } from 'node:net'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import * as x509 from '@peculiar/asn1-x509'
import { limits } from '#shared/limits.ts'

/** A private key and the certificate of it, both as PEM. */
export interface KeyedCertificate {
  readonly key: string
  readonly certificate: string
}

interface CertificateFacts {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly issuerKey: KeyObject
  /** Epoch milliseconds. */
  readonly from: number
  readonly until: number
  readonly extensions: readonly x509.Extension[]
}

/** ecdsa-with-SHA256 (RFC 5758, 3.2); it has no parameters. */
const signatureAlgorithm = '1.2.840.10045.4.3.2'
const commonName = '2.5.4.3'

/** A new authority with a P-256 key; it may sign servers' certificates and no further authority. */
export function makeAuthority(at: number): KeyedCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  // Two authorities of one name would be taken for each other by what verifies a chain.
  const name = `Lockstep controller ${randomBytes(8).toString('hex')}`
  const basicConstraints = new x509.BasicConstraints({ cA: true, pathLenConstraint: 0 })
  const keyUsage = new x509.KeyUsage(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign)
  return keyed(privateKey, {
    subject: name,
    issuer: name,
    publicKey,
    issuerKey: privateKey,
    from: at - limits.certificateBackdatedMs,
    until: at + limits.authorityLifeMs,
    extensions: [
      extension(x509.id_ce_basicConstraints, basicConstraints, 'critical'),
      extension(x509.id_ce_keyUsage, keyUsage, 'critical'),
      extension(x509.id_ce_subjectKeyIdentifier, keyIdentifierOf(publicKey)),
    ],
  })
}

/**
 * A certificate for a server with a new key.
 * @param names host names and addresses that it is reached by; at least one
 */
export function issueLeaf(
  authority: KeyedCertificate,
  names: readonly string[],
  at: number,
): KeyedCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const issuerKey = createPrivateKey(authority.key)
  const issuer = new X509Certificate(authority.certificate)
  const alternatives = names.map(
    (name) => new x509.GeneralName(isIP(name) === 0 ? { dNSName: name } : { iPAddress: name }),
  )
  return keyed(privateKey, {
    subject: 'Lockstep controller',
    issuer: commonNameOf(issuer),
    publicKey,
    issuerKey,
    from: at - limits.certificateBackdatedMs,
    until: Math.min(at + limits.leafLifeMs, issuer.validToDate.getTime()),
    extensions: [
      extension(x509.id_ce_basicConstraints, new x509.BasicConstraints(), 'critical'),
      extension(
        x509.id_ce_keyUsage,
        new x509.KeyUsage(x509.KeyUsageFlags.digitalSignature),
        'critical',
      ),
      extension(x509.id_ce_extKeyUsage, new x509.ExtendedKeyUsage([x509.id_kp_serverAuth])),
      extension(x509.id_ce_subjectAltName, new x509.SubjectAlternativeName(alternatives)),
      extension(x509.id_ce_subjectKeyIdentifier, keyIdentifierOf(publicKey)),
      extension(
        x509.id_ce_authorityKeyIdentifier,
        new x509.AuthorityKeyIdentifier({
          keyIdentifier: new x509.KeyIdentifier(keyIdBytes(createPublicKey(issuerKey))),
        }),
      ),
    ],
  })
}

function keyed(privateKey: KeyObject, facts: CertificateFacts): KeyedCertificate {
  const algorithm = new x509.AlgorithmIdentifier({ algorithm: signatureAlgorithm })
  const tbsCertificate = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: newSerialNumber(),
    signature: algorithm,
    issuer: nameOf(facts.issuer),
    validity: new x509.Validity({
      notBefore: new Date(facts.from),
      notAfter: new Date(facts.until),
    }),
    subject: nameOf(facts.subject),
    subjectPublicKeyInfo: AsnConvert.parse(spkiOf(facts.publicKey), x509.SubjectPublicKeyInfo),
    extensions: new x509.Extensions([...facts.extensions]),
  })
  const signatureValue = sign(
    'sha256',
    Buffer.from(AsnConvert.serialize(tbsCertificate)),
    facts.issuerKey,
  )
  const der = AsnConvert.serialize(
    new x509.Certificate({
      tbsCertificate,
      signatureAlgorithm: algorithm,
      signatureValue: bufferOf(signatureValue),
    }),
  )
  return {
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    certificate: new X509Certificate(Buffer.from(der)).toString(),
  }
}

function extension(id: string, value: object, weight?: 'critical'): x509.Extension {
  return new x509.Extension({
    extnID: id,
    critical: weight === 'critical',
    extnValue: new OctetString(AsnConvert.serialize(value)),
  })
}

function nameOf(text: string): x509.Name {
  const value = new x509.AttributeValue({ utf8String: text })
  return new x509.Name([
    new x509.RelativeDistinguishedName([
      new x509.AttributeTypeAndValue({ type: commonName, value }),
    ]),
  ])
}

function commonNameOf({ subject }: X509Certificate): string {
  return subject.replace(/^CN=/, '')
}

function spkiOf(key: KeyObject): ArrayBuffer {
  return bufferOf(key.export({ type: 'spki', format: 'der' }))
}

function keyIdentifierOf(key: KeyObject): x509.SubjectKeyIdentifier {
  return new x509.SubjectKeyIdentifier(keyIdBytes(key))
}

/** 160 bits of SHA-256 (RFC 7093, 2). */
function keyIdBytes(key: KeyObject): ArrayBuffer {
  const hash = createHash('sha256')
    .update(new Uint8Array(spkiOf(key)))
    .digest()
  return bufferOf(hash.subarray(0, 20))
}

/** Positive, and never with a zero byte in front, which would not be its shortest form. */
function newSerialNumber(): ArrayBuffer {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bufferOf(bytes)
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}
