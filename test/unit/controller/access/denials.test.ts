// Denied attempts: the first is told at once, the rest is counted, and nobody fills the disk with them.

import t from 'tap'
import type { AuditRecord } from '#controller/access/audit.ts'
import { type Attempt, Denials } from '#controller/access/denials.ts'
import { limits } from '#shared/limits.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const minute = 60_000

function openDenials(refuse = false) {
  const clock = new FakeClock()
  const told: AuditRecord[] = []
  const errors: unknown[] = []
  const denials = new Denials({
    clock,
    record: async (record) => {
      if (refuse) throw new Error('the disk is full')
      told.push(record)
    },
    onUnrecorded: (error) => errors.push(error),
  })
  const counts = async () => {
    await denials.idle()
    return told.splice(0).map(({ who, details }) => [who, details?.['count']])
  }
  return { clock, denials, told, errors, counts }
}

const attempt = (changes: Partial<Attempt> = {}): Attempt => ({
  who: 'nobody',
  what: 'GET /v1/hosts',
  app: null,
  environment: null,
  address: '192.0.2.7',
  code: 'unauthorised',
  ...changes,
})

void t.test('the first is told at once, the others of its minute as one', async (t) => {
  const { clock, denials, told, counts } = openDenials()
  denials.note(attempt())
  await denials.idle()
  t.match(told, [
    {
      who: 'nobody',
      what: 'GET /v1/hosts',
      outcome: 'denied',
      details: { address: '192.0.2.7', code: 'unauthorised', count: 1 },
    },
  ])
  told.splice(0)
  for (let time = 0; time < 1000; time += 1) denials.note(attempt())
  t.same(await counts(), [])
  const since = clock.now()
  clock.advance(limits.denialWindowMs)
  await denials.idle()
  t.match(told, [{ details: { count: 1000, since } }])
})

void t.test('alike is only what is alike in everything', async (t) => {
  const { denials, counts } = openDenials()
  denials.note(attempt())
  denials.note(attempt({ who: 'token-1', code: 'forbidden' }))
  denials.note(attempt({ what: 'enrol' }))
  denials.note(attempt({ address: '192.0.2.8' }))
  denials.note(attempt({ app: 'shop' }))
  t.equal((await counts()).length, 5)
})

void t.test('whoever goes on is told of less often, whoever stops is forgotten', async (t) => {
  const { clock, denials, counts } = openDenials()
  let entries = 0
  for (let at = 0; at < 24 * 60; at += 1) {
    denials.note(attempt())
    clock.advance(minute)
    entries += (await counts()).length
  }
  t.ok(entries < 40, `${entries} entries of a day`)
  clock.advance(3 * limits.denialWindowMaxMs)
  await counts()
  denials.note(attempt())
  t.same(await counts(), [['nobody', 1]], 'at once again')
})

void t.test('a flood from everywhere is bounded, and its size is told', async (t) => {
  const { clock, denials, told } = openDenials()
  let noted = 0
  for (let at = 0; at < 60; at += 1) {
    for (let host = 0; host < 500; host += 1) {
      denials.note(attempt({ address: `2001:db8::${at}:${host}` }))
      noted += 1
    }
    clock.advance(minute)
  }
  await denials.stop()
  const sum = told.reduce((total, { details }) => total + Number(details?.['count']), 0)
  t.equal(sum, noted, 'every attempt is counted')
  const most = limits.denialEntriesMax + (60 * minute) / limits.denialEntryEveryMs
  const others = (60 * minute) / limits.denialOthersMs
  t.ok(told.length <= most + others + 1, `${told.length} entries of ${noted} attempts`)
  t.comment(`${noted} attempts of an hour from as many addresses: ${told.length} entries`)
})

void t.test('a flood of strangers hides nothing that somebody tries', async (t) => {
  const { clock, denials, counts } = openDenials()
  for (let number = 0; number < 2 * limits.denialWindowsMax; number += 1) {
    denials.note(attempt({ address: `192.0.2.${number}` }))
  }
  t.equal((await counts()).length, limits.denialWindowsMax)
  denials.note(attempt({ who: 'token-1', code: 'forbidden' }))
  t.same(await counts(), [['token-1', 1]])
  denials.note(attempt({ who: 'token-1', code: 'forbidden' }))
  clock.advance(limits.denialWindowMs)
  t.same(await counts(), [['token-1', 1]], 'nor how often')
})

void t.test('what was only counted is written at the end', async (t) => {
  const { denials, counts } = openDenials()
  for (let time = 0; time < 3; time += 1) denials.note(attempt())
  await denials.stop()
  t.same(await counts(), [
    ['nobody', 1],
    ['nobody', 2],
  ])
})

void t.test('a trail that cannot be written does not let anybody in', async (t) => {
  const { denials, errors } = openDenials(true)
  denials.note(attempt())
  await denials.idle()
  t.equal(errors.length, 1)
  denials.note(attempt({ address: '192.0.2.8' }))
  await denials.stop()
  t.equal(errors.length, 2)
})
