// Certificates as OpenSSL, Node's own, reads them: names, uses, times, and who signed what.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import t from 'tap'
import { issueLeaf, makeAuthority } from '#controller/tls/certificate-authority.ts'

const at = Date.UTC(2026, 10, 23, 12)
const day = 24 * 60 * 60_000

void t.test('an authority signs itself, with P-256, for ten years', async (t) => {
  const { certificate, key } = makeAuthority(at)
  const read = new X509Certificate(certificate)
  t.ok(read.ca)
  t.ok(read.verify(read.publicKey))
  t.ok(read.checkIssued(read))
  t.ok(read.checkPrivateKey(createPrivateKey(key)))
  t.equal(read.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  t.equal(read.validFromDate.getTime(), at - day)
  t.equal(read.validToDate.getTime(), at + 3650 * day)
})

void t.test(
  'what it issues is a server\u2019s, for 90 days and for the names that it is given',
  async (t) => {
    const authority = makeAuthority(at)
    const issuer = new X509Certificate(authority.certificate)
    const leaf = issueLeaf(authority, ['deploy.example.com', '10.0.0.1', '2001:db8::1'], at)
    const read = new X509Certificate(leaf.certificate)
    t.notOk(read.ca)
    t.ok(read.checkIssued(issuer))
    t.ok(read.verify(issuer.publicKey))
    t.ok(read.checkPrivateKey(createPrivateKey(leaf.key)))
    t.same(read.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'and no client\u2019s')
    t.ok(read.checkHost('deploy.example.com'))
    t.notOk(read.checkHost('example.com'))
    t.ok(read.checkIP('10.0.0.1'))
    t.ok(read.checkIP('2001:db8::1'))
    t.notOk(read.checkIP('10.0.0.2'))
    t.equal(read.validToDate.getTime(), at + 90 * day)
  },
)

void t.test('nothing outlives the authority that signed it', async (t) => {
  const authority = makeAuthority(at)
  const late = issueLeaf(authority, ['localhost'], at + 3600 * day)
  t.equal(
    new X509Certificate(late.certificate).validTo,
    new X509Certificate(authority.certificate).validTo,
  )
})

void t.test('no two have a name, a serial number or a key in common', async (t) => {
  const authorities = [makeAuthority(at), makeAuthority(at)]
  const [one] = authorities
  if (one === undefined) throw new Error('none')
  const leaves = [issueLeaf(one, ['a'], at), issueLeaf(one, ['a'], at)]
  const read = [...authorities, ...leaves].map(
    ({ certificate }) => new X509Certificate(certificate),
  )
  t.equal(new Set(read.map(({ serialNumber }) => serialNumber)).size, 4)
  t.equal(
    new Set(read.map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'pem' }))).size,
    4,
  )
  t.equal(
    new Set(authorities.map(({ certificate }) => new X509Certificate(certificate).subject)).size,
    2,
  )
})

void t.test('times after 2049 are written as RFC 5280 wants them', async (t) => {
  const { certificate } = makeAuthority(Date.UTC(2048, 0, 1))
  t.equal(new X509Certificate(certificate).validToDate.getUTCFullYear(), 2057)
})
