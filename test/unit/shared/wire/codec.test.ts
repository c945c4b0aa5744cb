// Frames of the agents' channel: what is not exactly a message is an error that names what is wrong.

import t from 'tap'
import { limits } from '#shared/limits.ts'
import { decodeDown, decodeUp, encode } from '#shared/wire/codec.ts'
import type { DownMessage, UpMessage } from '#shared/wire/messages.ts'
import {
  desiredMessageOf,
  digestOf,
  fenceOf,
  helloOf,
  observedOf,
  one,
  releaseOf,
  two,
} from '../../../support/fleet-facts.ts'

const failure = { code: 'no-space', message: 'full', hint: 'Free some.' }
const ups: readonly UpMessage[] = [
  helloOf(),
  helloOf({ apps: [] }),
  observedOf(),
  observedOf({
    seq: 9,
    fence: fenceOf(2, 7),
    phase: 'failed',
    failure,
    current: one,
    standing: 'run',
    ready: { target: two.tree, fallback: one.tree },
    progress: { bytes: 1, bytesTotal: 2 },
    activation: { activatedAt: 1.5, errorMs: 0.25, mode: 'timed' },
    conflict: fenceOf(2, 7, 'e'),
    clock: { roundTripMs: 0.5, errorMs: 0.25 },
    serving: true,
  }),
  { type: 'clock', sentAt: 12.5 },
  { type: 'pinned', pins: [] },
  { type: 'pinned', pins: ['p'.repeat(43), 'q'.repeat(43)] },
]
const downs: readonly DownMessage[] = [
  { type: 'welcome', contentToken: 'lsc1.x', pins: [] },
  desiredMessageOf(),
  desiredMessageOf({
    kind: 'activate',
    run: { release: two, fallback: one, activateAt: 1.5 },
    stage: null,
    history: [two, one],
  }),
  { type: 'clock', sentAt: 12.5, at: 1.5e12 },
  { type: 'refused', code: 'bad-message', message: 'no' },
  { type: 'refused', code: 'bad-message', message: 'no', hint: 'Say it well.' },
]

void t.test('every message comes out as it went in', (t) => {
  for (const message of ups) t.same(decodeUp(encode(message)), message)
  for (const message of downs) t.same(decodeDown(encode(message)), message)
  t.end()
})

void t.test('a message for one direction is none for the other', (t) => {
  for (const type of ['welcome', 'desired', 'refused']) {
    t.throws(() => decodeUp(JSON.stringify({ type })), { code: 'bad-message' })
  }
  for (const type of ['hello', 'observed']) {
    t.throws(() => decodeDown(JSON.stringify({ type })), { code: 'bad-message' })
  }
  t.end()
})

void t.test('what is no message is refused, whatever it is', (t) => {
  const frames = ['', 'hello', '{', 'null', '7', '"hello"', '[]', '{}', '{"type":7}', '{"type":""}']
  const types = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'goodbye']
  for (const frame of [...frames, ...types.map((type) => JSON.stringify({ type }))]) {
    t.throws(() => decodeUp(frame), { code: 'bad-message' }, frame)
    t.throws(() => decodeDown(frame), { code: 'bad-message' }, frame)
  }
  t.throws(() => decodeUp(`{"type":"hello","apps":${'['.repeat(30_000)}`), { code: 'bad-message' })
  const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`
  t.throws(() => decodeUp(`{"type":"hello","apps":${deep}}`), { code: 'bad-message' })
  t.end()
})

void t.test('every member is needed, every other one is refused, and the mistake is named', (t) => {
  for (const message of ups) {
    t.throws(() => decodeUp(JSON.stringify({ ...message, extra: 1 })), {
      code: 'bad-message',
      message: /extra/,
    })
    for (const name of Object.keys(message)) {
      if (name === 'type') continue
      const { [name]: _, ...rest } = Object.fromEntries(Object.entries(message))
      t.throws(() => decodeUp(JSON.stringify(rest)), {
        code: 'bad-message',
        message: new RegExp(name),
      })
    }
  }
  t.end()
})

void t.test('members of the wrong shape are refused', (t) => {
  const wrong: readonly Record<string, unknown>[] = [
    { ...helloOf(), protocol: 0 },
    { ...helloOf(), protocol: 1.5 },
    { ...helloOf(), instance: 'A'.repeat(32) },
    { ...helloOf(), agentVersion: 'x'.repeat(65) },
    { ...helloOf(), apps: [{ app: 'shop' }] },
    { ...helloOf(), apps: [{ app: 'shop', environment: '../x' }] },
    { ...helloOf(), apps: Array.from({ length: 65 }, () => ({ app: 'a', environment: 'b' })) },
    { ...observedOf(), seq: 0 },
    { ...observedOf(), phase: 'unknown' },
    { ...observedOf(), standing: 'unknown' },
    { ...observedOf(), fence: { term: 0, epoch: 1, hash: digestOf('a') } },
    { ...observedOf(), fence: { term: 1, epoch: 1, hash: 'a' } },
    { ...observedOf(), current: { version: '../../etc', tree: digestOf('a') } },
    { ...observedOf(), current: { version: '1..2', tree: digestOf('a') } },
    { ...observedOf(), progress: { bytes: -1, bytesTotal: 1 } },
    { ...observedOf(), failure: { ...failure, code: 'No Space' } },
    { ...observedOf(), failure: { ...failure, message: 'x'.repeat(2001) } },
    { ...observedOf(), activation: { activatedAt: 1, errorMs: -1, mode: 'timed' } },
    { ...observedOf(), serving: 1 },
    { type: 'clock', sentAt: '1' },
  ]
  for (const message of wrong) {
    t.throws(
      () => decodeUp(JSON.stringify(message)),
      { code: 'bad-message' },
      JSON.stringify(message),
    )
  }
  const history = Array.from({ length: limits.historyItemsMax + 1 }, () => one)
  t.throws(() => decodeDown(JSON.stringify(desiredMessageOf({ history }))), { code: 'bad-message' })
  t.throws(() => decodeDown(JSON.stringify({ ...desiredMessageOf(), kind: 'once' })), {
    code: 'bad-message',
  })
  t.end()
})

void t.test('a number that the next one could not follow is no term and no epoch', (t) => {
  for (const number of [2 ** 53, 1e300]) {
    for (const name of ['term', 'epoch']) {
      const fence = { ...fenceOf(1, 1), [name]: number }
      t.throws(() => decodeUp(JSON.stringify(observedOf({ fence }))), { code: 'bad-message' })
      t.throws(() => decodeDown(JSON.stringify(desiredMessageOf({ fence }))), {
        code: 'bad-message',
      })
    }
  }
  t.end()
})

void t.test('a frame over the limit is refused before it is parsed, and none such is sent', (t) => {
  const filler = 'x'.repeat(limits.messageBytesMax + 1)
  t.throws(() => decodeUp(filler), { code: 'too-large' })
  t.throws(() => decodeUp('\u00e9'.repeat(limits.messageBytesMax / 2 + 1)), { code: 'too-large' })
  t.throws(() => encode({ type: 'welcome', contentToken: filler, pins: [] }), { code: 'too-large' })
  t.end()
})

void t.test('the largest desired state fits into a message', (t) => {
  const version = 'v'.repeat(64)
  const longest = releaseOf(version, 'a')
  const history = Array.from({ length: limits.historyItemsMax }, () => longest)
  const run = { release: longest, fallback: longest, activateAt: 1_700_000_000_000.123 }
  const message = desiredMessageOf({ history, run, stage: longest })
  t.ok(Buffer.byteLength(encode(message)) < limits.messageBytesMax / 4)
  t.end()
})

void t.test('what is said of a mistake stays short, however the peer named its members', (t) => {
  const name = '\u0001'.repeat(3000)
  const message = { ...helloOf(), [name]: 1, [`${name}2`]: 1, [`${name}3`]: 1 }
  const error = t.throws(() => decodeUp(JSON.stringify(message)), { code: 'bad-message' })
  t.ok(error instanceof Error && error.message.length <= 1000)
  t.end()
})
