// Private keys: what ssh-keygen and openssl write is read, what is written is read again, and whatever
// else is refused without a word of it.

import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { formatOpenSsh, newKeyOf, parseKeyMaterial } from '#cli/signing/private-key.ts'
import { LockstepError } from '#shared/errors.ts'
import { isSignedBy, parsePublicKey } from '#shared/trust/public-key.ts'

const check = Buffer.from([1, 2, 3, 4])
const made = newKeyOf(generateKeyPairSync('ed25519').privateKey)
const text = formatOpenSsh(made, 'ci@example.com', check)
const message = Buffer.from('what is signed')

function refusalOf(given: string): string {
  try {
    return parseKeyMaterial(given).kind
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return `${error.code}: ${error.message}`
  }
}

/** The key with other bytes between its armour. */
function changed(change: (content: Buffer) => Buffer): string {
  const content = Buffer.from(text.replaceAll(/-----.*-----|\n/g, ''), 'base64')
  const lines = change(content)
    .toString('base64')
    .replaceAll(/.{70}(?=.)/g, '$&\n')
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`
}

void t.test('what is written is read again, whatever became of its line ends', async (t) => {
  for (const comment of ['c', 'ci@x', 'eight ch', 'nine char', 'a b c d e f g h i j k l m n o']) {
    const whole = formatOpenSsh(made, comment, check)
    for (const given of [whole, whole.trim(), whole.replaceAll('\n', '\r\n'), `\n${whole}\n\n`]) {
      const material = parseKeyMaterial(given)
      if (material.kind !== 'private') throw new Error(material.kind)
      const { privateKey } = material
      t.equal(privateKey.key.id, made.publicKey.id)
      t.ok(isSignedBy(made.publicKey, message, privateKey.sign(message)))
    }
  }
})

void t.test('a key of openssl is read', async (t) => {
  const pair = generateKeyPairSync('ed25519')
  const pem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' })
  const spki = pair.publicKey.export({ format: 'pem', type: 'spki' })
  const material = parseKeyMaterial(String(pem))
  if (material.kind !== 'private') throw new Error(material.kind)
  t.equal(material.privateKey.key.id, parsePublicKey(String(spki)).id)
  t.match(parseKeyMaterial(String(spki)), {
    kind: 'public',
    key: { id: material.privateKey.key.id },
  })
})

void t.test('what is no key to sign with is refused', async (t) => {
  const other = newKeyOf(generateKeyPairSync('ed25519').privateKey)
  const raw = Buffer.from(made.publicKey.raw)
  const at = (content: Buffer, nth: number): number =>
    nth === 0 ? content.indexOf(raw) : content.indexOf(raw, at(content, nth - 1) + 1)
  const put = (nth: number) => (content: Buffer) => {
    content.set(other.publicKey.raw, at(content, nth))
    return content
  }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  const x25519 = generateKeyPairSync('x25519').privateKey
  const sealed = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), made.seed]),
    format: 'der',
    type: 'pkcs8',
  }).export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
  const cases: [given: string, refusal: RegExp][] = [
    ['', /^bad-public-key: /],
    ['no key at all', /^bad-public-key: /],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n', /is malformed$/],
    [text.slice(0, 200), /is malformed$/],
    [text.replace('b3Bl', 'b3B!'), /is malformed$/],
    [`${text}${text}`, /is malformed$/],
    [changed((content) => content.subarray(0, -1)), /is malformed$/],
    [changed((content) => Buffer.concat([content, Buffer.from([0])])), /is malformed$/],
    [changed(put(0)), /is malformed$/],
    [changed(put(1)), /is malformed$/],
    [changed(put(2)), /is damaged: its two halves are not of one key$/],
    [
      changed((content) => {
        const seed = content.indexOf(made.seed)
        content[seed] = (content[seed] ?? 0) ^ 1
        return content
      }),
      /is damaged/,
    ],
    [
      changed((content) => {
        const first = content.indexOf(check)
        content[first] = 9
        return content
      }),
      /is malformed$/,
    ],
    [String(rsa.export({ format: 'pem', type: 'pkcs8' })), /is no Ed25519 key$/],
    [String(x25519.export({ format: 'pem', type: 'pkcs8' })), /is no Ed25519 key$/],
    [String(rsa.export({ format: 'pem', type: 'pkcs1' })), /is of a kind that is not known$/],
    [String(sealed), /is encrypted$/],
    ['-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', /is malformed$/],
  ]
  for (const [given, refusal] of cases) {
    const said = refusalOf(given)
    t.match(said, refusal)
    t.match(said, /^(cannot-sign|bad-public-key): /)
  }
  t.comment(`${cases.length} refused`)
})

void t.test('no byte that is changed makes another key of it', async (t) => {
  const content = Buffer.from(text.replaceAll(/-----.*-----|\n/g, ''), 'base64')
  let refused = 0
  for (let at = 0; at < content.length; at += 1) {
    const given = changed((bytes) => {
      bytes[at] = (bytes[at] ?? 0) ^ 0x20
      return bytes
    })
    let kind = ''
    try {
      const material = parseKeyMaterial(given)
      kind = material.kind
      if (material.kind === 'private') t.equal(material.privateKey.key.id, made.publicKey.id)
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      refused += 1
    }
    // Only the comment, the padding and the name of the cipher say nothing of the key.
    t.ok(['', 'private', 'encrypted'].includes(kind))
  }
  t.comment(`${refused} of ${content.length} refused`)
  t.ok(refused > 200)
})
