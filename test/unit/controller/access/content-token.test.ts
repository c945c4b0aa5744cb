// Content tokens: good for the host and the time that they name, for nobody who makes his own.

import t from 'tap'
import { contentToken, hostOfContentToken } from '#controller/access/content-token.ts'

const secret = Buffer.alloc(32, 1)
const host = 'h'.repeat(26)

void t.test('a token names its host until it expires', (t) => {
  const token = contentToken(secret, host, 1000.75)
  t.ok(token.length <= 200, 'it fits into a header and a message')
  t.equal(hostOfContentToken(secret, token, 999), host)
  t.equal(hostOfContentToken(secret, token, 1000), null)
  t.end()
})

void t.test('nothing of it can be changed', (t) => {
  const token = contentToken(secret, host, 1000)
  const other = contentToken(Buffer.alloc(32, 2), host, 1000)
  const wrong = [
    '',
    'lsc1',
    other,
    token.replace('.1000.', '.1001.'),
    token.replace(host, 'i'.repeat(26)),
    token.replace('lsc1', 'lsk1'),
    `${token}A`,
    token.slice(0, -1),
    ` ${token}`,
  ]
  for (const text of wrong) t.equal(hostOfContentToken(secret, text, 1), null, text)
  t.end()
})
