// Names and ids: what is accepted is safe as one path segment and in a terminal.

import fc from 'fast-check'
import t from 'tap'
import { LockstepError } from '#shared/errors.ts'
import {
  hostIdOf,
  parseApp,
  parseDigest,
  parseEnvironment,
  parseHostName,
  parseLabelName,
  parseLabelValue,
  parseVersion,
  patterns,
  sha256Hex,
} from '#shared/ids.ts'

const digest = 'a'.repeat(64)

const table = {
  app: {
    parse: parseApp,
    good: ['shop', 'a', '0', 'a-b_c', 'x'.repeat(63)],
    bad: ['', 'Shop', '-a', '_a', 'a.b', 'a b', 'x'.repeat(64), 'shop\n', 'ä', '..', 'a/b'],
  },
  environment: {
    parse: parseEnvironment,
    good: ['production', 'eu-1'],
    bad: ['', 'Prod', 'a/b', 'production\n', '.'],
  },
  hostName: {
    parse: parseHostName,
    good: ['web-1', 'Web.example.com', 'a', 'A9', `a${'b'.repeat(61)}c`],
    bad: ['', '-a', 'a-', '.a', 'a.', 'a_b', 'a b', `a${'b'.repeat(62)}c`, 'web\n'],
  },
  labelName: {
    parse: parseLabelName,
    good: ['role', 'zone-2', 'example.com_tier', `a${'b'.repeat(30)}`],
    bad: ['', 'Role', '1st', '-a', 'a b', 'a=b', 'a,b', `a${'b'.repeat(31)}`, 'role\n'],
  },
  labelValue: {
    parse: parseLabelValue,
    good: ['web', '1', 'eu-West.1_a', 'x'.repeat(63)],
    bad: ['', '-web', 'a b', 'a=b', 'a,b', 'x'.repeat(64), 'web\n', 'wéb'],
  },
  version: {
    parse: parseVersion,
    good: ['0.0.12', 'v1.2.3-rc.1+build', 'a', '2026_11', 'x'.repeat(64)],
    bad: ['', '..', '.1', '-1', '1..2', '1/2', '1 2', 'x'.repeat(65), '1\n', '~1', '1\u202e'],
  },
  digest: {
    parse: parseDigest,
    good: [digest],
    bad: ['', digest.slice(1), `${digest}a`, digest.toUpperCase(), `${digest}\n`, 'g'.repeat(64)],
  },
} as const

for (const [kind, { parse, good, bad }] of Object.entries(table)) {
  void t.test(`of a ${kind}, what is allowed comes back and all else is named`, (t) => {
    for (const text of good) t.equal(parse(text), text)
    for (const text of bad) {
      const error = t.throws(() => parse(text), { code: 'bad-name' }, JSON.stringify(text))
      t.type(error, LockstepError)
    }
    t.end()
  })

  void t.test(`the pattern that schemas have of a ${kind} judges as its parser does`, (t) => {
    const pattern = new RegExp(patterns[kind as keyof typeof table])
    for (const text of good) t.match(text, pattern)
    for (const text of bad) t.notMatch(text, pattern, JSON.stringify(text))
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'aA0.-_+/ \n'.split('')), maxLength: 6 }),
        (text) => {
          const isParsed = accepts(parse, text)
          return pattern.test(text) === isParsed
        },
      ),
      { seed: 1, numRuns: 2000 },
    )
    t.end()
  })
}

void t.test(
  'a refusal shows the name without its control characters, shortened, and a hint',
  (t) => {
    t.throws(() => parseApp(`a\u001b[31m${'b'.repeat(500)}`), {
      message: /^"a\\u001b\[31mb{70,80}…" is no app$/,
      hint: /lower-case/,
    })
    t.end()
  },
)

void t.test('a host id is the beginning of the hash of its key', (t) => {
  t.equal(hostIdOf(Buffer.alloc(32)), 'Zmh6rfhivXdsj8GLjp-OIAiXFI')
  t.match(hostIdOf(Buffer.alloc(32, 1)), new RegExp(patterns.hostId))
  t.equal(sha256Hex('abc').slice(0, 16), 'ba7816bf8f01cfea')
  t.equal(sha256Hex(Buffer.from('abc')), sha256Hex('abc'))
  t.end()
})

function accepts(parse: (text: string) => string, text: string): boolean {
  try {
    parse(text)
    return true
  } catch (error) {
    if (error instanceof LockstepError) return false
    throw error
  }
}
