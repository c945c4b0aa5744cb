// What is a secret by its shape alone, and what is none although it looks alike.

import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { holdsSecret, requireNoSecretIn, withoutSecretText } from '#shared/secret-text.ts'

const part = 'A1b2_C3d4-E5f6'.repeat(4).slice(0, 43)
const id = 'abcdefghijk'
const host = 'abcdefghijklmnopqrstuvwxyz'
const { privateKey } = generateKeyPairSync('ed25519')
const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

const secrets: readonly (readonly [text: string, shown: string])[] = [
  [`lsk1.${id}.${part}`, `lsk1.${id}.(secret)`],
  [`lsj1.${id}.${part}`, `lsj1.${id}.(secret)`],
  [`lsj1.${id}.${part}.${part}`, `lsj1.${id}.(secret)`],
  [`lsc1.${host}.1700000000000.${part}`, `lsc1.${host}.1700000000000.(secret)`],
  [`lsk1.${id}.${part.slice(0, 7)}`, `lsk1.${id}.(secret)`],
  [`token=lsk1.${id}.${part}&x=1`, `token=lsk1.${id}.(secret)&x=1`],
  [`xlsk1.${id}.${part}, yes`, `xlsk1.${id}.(secret), yes`],
  [`a lsk1.${id}.${part} and lsk1.${id}.${part}`, `a lsk1.${id}.(secret) and lsk1.${id}.(secret)`],
  [`authorization: Bearer ${part}`, 'authorization: Bearer (secret)'],
  ['Authorization: basic dXNlcjpwYXNzd29yZA==', 'Authorization: basic (secret)'],
  [
    `LockstepAgent id=${host},nonce=${part},signature=${part}${part}`,
    `LockstepAgent id=${host}(secret)`,
  ],
  ['https://ana:hunter2@git.example.com/x', 'https://ana:(secret)@git.example.com/x'],
  ['postgres://:pw@db/x', 'postgres://:(secret)@db/x'],
  ['redis://app:p@ss@word@db:6379/0', 'redis://app:(secret)@db:6379/0'],
  [`key:\n${pem}end.`, 'key:\n-----BEGIN PRIVATE KEY-----(secret)\nend.'],
  [pem.slice(0, 80), '-----BEGIN PRIVATE KEY-----(secret)'],
  [
    '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----',
    '-----BEGIN OPENSSH PRIVATE KEY-----(secret)',
  ],
]

void t.test('every shape of a secret is masked, and what says whose it is stays', async (t) => {
  for (const [text, shown] of secrets) {
    t.equal(withoutSecretText(text), shown)
    t.equal(withoutSecretText(shown), shown, 'once is enough')
  }
})

void t.test('JSON of it is JSON, and says the same around it', async (t) => {
  for (const [text] of secrets) {
    const json = withoutSecretText(JSON.stringify({ text, after: 'it', list: [text] }))
    const value = JSON.parse(json)
    t.equal(value.after, 'it')
    t.notMatch(json, part.slice(0, 20))
    t.notMatch(value.text, pem.slice(40, 60))
  }
})

void t.test('what is none stays as it is', async (t) => {
  for (const text of [
    'lsk1',
    `lsk1.${id}`,
    'lsk1.short.abc',
    'a'.repeat(64),
    'SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU',
    'Bearer of news',
    'Basic training',
    'http://127.0.0.1:7400/v1/agent',
    'http://[::1]:7400, ask ana@example.com',
    'git@example.com:shop.git',
    '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----',
    'Send `Authorization: Bearer TOKEN`.',
  ]) {
    t.equal(withoutSecretText(text), text)
    t.notOk(holdsSecret(text), text)
  }
})

void t.test('a long text that goes on and on is masked all the same', async (t) => {
  for (const piece of ['-----BEGIN PRIVATE KEY-----', 'lsk1.', '://a:', 'Bearer ', `lsk1.${id}.`]) {
    const text = piece.repeat(20_000)
    t.equal(withoutSecretText(withoutSecretText(text)), withoutSecretText(text))
  }
})

void t.test('a command line with a token is refused without its words', async (t) => {
  const token = `lsj1.${id}.${part}`
  for (const argv of [[token], ['x', `--token=${token}`], [pem]]) {
    t.throws(() => requireNoSecretIn(argv), { code: 'bad-usage', message: /command line/ })
    t.doesNotThrow(() => requireNoSecretIn(['status', 'shop', '--env', 'production']))
  }
})
