// Public keys: OpenSSH and OpenSSL spell one key, its id is what ssh-keygen shows, and nothing that
// nobody or anybody could sign for is taken.

import { createPublicKey } from 'node:crypto'
import t from 'tap'
import { LockstepError } from '#shared/errors.ts'
import { pointFlawOf } from '#shared/trust/ed25519-point.ts'
import { isSignedBy, parsePublicKey, publicKeyOf } from '#shared/trust/public-key.ts'
import { sshString } from '#shared/trust/ssh-wire.ts'
import { ci, lineOf, signerOf } from './signing.ts'
import { fingerprint, publicLine, publicPem } from './ssh-vector.ts'

const p = 2n ** 255n - 19n

/** 32 bytes, little endian; `sign` is the highest bit. */
function rawOf(y: bigint, sign = 0n): Buffer {
  const hex = (y | (sign << 255n)).toString(16).padStart(64, '0')
  return Buffer.from(hex, 'hex').reverse()
}

function refusalOf(text: string): string {
  try {
    parsePublicKey(text)
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'bad-public-key') return error.message
    throw error
  }
  return ''
}

void t.test('an id is what ssh-keygen shows, in either spelling', async (t) => {
  t.equal(parsePublicKey(publicLine).id, fingerprint)
  t.equal(parsePublicKey(`${publicPem}\n`).id, fingerprint)
  const written = createPublicKey(publicPem).export({ format: 'pem', type: 'spki' })
  t.equal(parsePublicKey(String(written)).id, fingerprint, 'OpenSSL writes it so')
  const bare = publicLine.split(' ').slice(0, 2).join(' ')
  t.equal(parsePublicKey(`${bare}\n`).id, fingerprint, 'a comment is no part of a key')
})

void t.test('honest keys are points, each its own', async (t) => {
  const ids = Array.from({ length: 64 }, (_, seed) => signerOf(seed).key.id)
  t.equal(new Set(ids).size, 64)
})

void t.test('no key of small order, without a point or in a second spelling', async (t) => {
  const order8 = [
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  ].map((hex) => Buffer.from(hex, 'hex'))
  const small = [rawOf(0n), rawOf(0n, 1n), rawOf(1n), rawOf(1n, 1n), rawOf(p - 1n)]
  for (const raw of [...small, rawOf(p - 1n, 1n), ...order8]) {
    t.equal(pointFlawOf(raw), 'small-order', raw.toString('hex'))
    t.match(refusalOf(lineOf(raw)), /small order/)
    t.throws(() => publicKeyOf(raw), { code: 'bad-public-key' })
  }
  for (const y of [p, p + 1n, p + 18n]) {
    t.equal(pointFlawOf(rawOf(y)), 'not-canonical')
    t.match(refusalOf(lineOf(rawOf(y, 1n))), /not canonical/)
  }
  const flaws = Array.from({ length: 40 }, (_, y) => pointFlawOf(rawOf(BigInt(y + 2))))
  t.ok(flaws.includes('not-on-curve') && flaws.includes(null), 'half of all y have no x')
  const at = flaws.indexOf('not-on-curve')
  t.match(refusalOf(lineOf(rawOf(BigInt(at + 2)))), /no point/)
})

void t.test('what is no Ed25519 key in its one spelling is refused', async (t) => {
  const [, base64 = ''] = publicLine.split(' ')
  const wire = (...parts: Uint8Array[]): string =>
    `ssh-ed25519 ${Buffer.concat(parts).toString('base64')}`
  const { raw } = ci.key
  const bad = [
    '',
    'ssh-ed25519',
    'ssh-ed25519 ',
    base64,
    ` ${publicLine}`,
    `${publicLine}\n\n`,
    `${publicLine}\n${publicLine}\n`,
    `cert-authority ${publicLine}`,
    `command="id" ${publicLine}`,
    `ssh-rsa ${base64} ci`,
    `sk-ssh-ed25519@openssh.com ${base64} ci`,
    `ssh-ed25519  ${base64}`,
    `ssh-ed25519 ${base64}=`,
    `ssh-ed25519 ${base64.slice(0, -1)}u`,
    `ssh-ed25519 ${base64.slice(0, -4)}`,
    `ssh-ed25519 ${base64.replaceAll('+', '-')}`,
    wire(sshString('ssh-rsa'), sshString(raw)),
    wire(sshString('ssh-ed25519'), sshString(raw.subarray(1))),
    wire(sshString('ssh-ed25519'), sshString(Buffer.concat([raw, Buffer.alloc(1)]))),
    wire(sshString('ssh-ed25519'), sshString(raw), Buffer.alloc(1)),
    wire(sshString('ssh-ed25519'), Buffer.from([255, 255, 255, 255]), raw),
    wire(sshString('ssh-ed25519')),
    publicPem.replace('PUBLIC', 'PRIVATE'),
    publicPem.replaceAll('\n', '\r\n'),
    publicPem.replace('MCow', 'MCox'),
    publicPem.replace('K2Vw', 'K2Vx'),
    publicPem.replace('BK0=', 'BK1='),
    `${publicPem}\n${publicPem}`,
    `${publicLine}${'x'.repeat(1024)}`,
  ]
  for (const text of bad) t.not(refusalOf(text), '', JSON.stringify(text))
  t.comment(`${bad.length} bad keys, none taken`)
})

void t.test('only its holder signs, and only in one way', async (t) => {
  const bytes = Buffer.from('bytes')
  const signature = Buffer.from(ci.sign(bytes))
  t.ok(isSignedBy(ci.key, bytes, signature))
  t.notOk(isSignedBy(signerOf(2).key, bytes, signature))
  t.notOk(isSignedBy(ci.key, Buffer.from('bytez'), signature))
  t.notOk(isSignedBy(ci.key, bytes, signature.subarray(1)))
  t.notOk(isSignedBy(ci.key, bytes, Buffer.concat([signature, Buffer.alloc(1)])))
  // S + L is the same number modulo the group's order: a second signature nobody made.
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`)
  const twin = Buffer.concat([signature.subarray(0, 32), rawOf(s + order)])
  t.notOk(isSignedBy(ci.key, bytes, twin), 'a signature has no twin')
})
