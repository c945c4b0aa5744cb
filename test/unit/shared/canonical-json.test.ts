// One text for one value: the hash of a decision is taken over it.

import fc from 'fast-check'
import t from 'tap'
import { canonicalJson, type Json } from '#shared/canonical-json.ts'

void t.test('keys are sorted by code unit at every depth, without white space', (t) => {
  t.equal(
    canonicalJson({ b: [1, { z: null, a: true }], a: 'x', B: {}, é: -0.5, 10: [], 9: '' }),
    '{"10":[],"9":"","B":{},"a":"x","b":[1,{"a":true,"z":null}],"é":-0.5}',
  )
  t.equal(canonicalJson('a"\\\u0001\u2028'), JSON.stringify('a"\\\u0001\u2028'))
  t.end()
})

void t.test('the order in which a value was put together leaves no trace', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(asJson(value))
      return canonicalJson(reversed(asJson(JSON.parse(text)))) === text
    }),
    { seed: 1, numRuns: 500 },
  )
  t.end()
})

void t.test('two values that differ have two texts', (t) => {
  t.not(canonicalJson({ a: '1' }), canonicalJson({ a: 1 }))
  t.not(canonicalJson(['a', 'b']), canonicalJson(['a,b']))
  t.not(canonicalJson({ a: null }), canonicalJson({}))
  t.end()
})

function asJson(value: unknown): Json {
  return value as Json
}

function reversed(value: Json): Json {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item: Json) => reversed(item))
  const entries = Object.entries(value).toReversed()
  return Object.fromEntries(entries.map(([key, member]) => [key, reversed(member)]))
}
