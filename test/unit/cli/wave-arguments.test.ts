// What the command line says of waves and labels is read strictly, and becomes the body of a request.

import t from 'tap'
import { policyOf } from '#cli/commands/policy-options.ts'
import { parseCanary, parseOn, parseSoak, parseWave } from '#cli/wave-arguments.ts'

void t.test('a canary is a number of hosts or a percentage', async (t) => {
  t.same(parseCanary('1'), { name: 'canary', count: 1 })
  t.same(parseCanary('10%'), { name: 'canary', percent: 10 })
  for (const text of ['', '0', '0%', '101%', '-1', '1.5', 'role=web', '10000']) {
    t.throws(() => parseCanary(text), { code: 'bad-usage', hint: /10%/ }, text)
  }
})

void t.test('a wave has a name, hosts and perhaps a rest', async (t) => {
  t.same(parseWave('first=2'), [{ name: 'first', count: 2 }])
  t.same(parseWave('half=50%:5m'), [{ name: 'half', percent: 50, soakMs: 300_000 }])
  t.same(parseWave('web=role=web,zone=a:10m', [{ name: 'first', count: 2 }]), [
    { name: 'first', count: 2 },
    { name: 'web', label: 'role=web,zone=a', soakMs: 600_000 },
  ])
  t.same(parseWave('web=role=web:0'), [{ name: 'web', label: 'role=web', soakMs: 0 }])
  for (const text of [
    '',
    'first',
    '=2',
    'first=',
    'first=web',
    'first=0',
    'a=1:',
    'a=1:x',
    'a=1:2h',
  ]) {
    t.throws(() => parseWave(text), { code: 'bad-usage' }, text)
  }
  t.throws(() => parseWave('a b=1'), { code: 'bad-name' })
  t.throws(() => parseWave('a=1', parseWave('a=2')), { message: /names a twice/ })
})

void t.test('labels may be given again and again', async (t) => {
  t.same(parseOn('zone=b', parseOn('role=web,zone=a')), ['role=web,zone=a', 'zone=b'])
  for (const text of ['', 'web', 'role=', 'role=web,', 'Role=web']) {
    t.throws(() => parseOn(text), { code: 'bad-name' }, text)
  }
  t.equal(parseSoak('10m'), 600_000)
  t.throws(() => parseSoak('61m'), { code: 'bad-usage', hint: /1 h 00 min/ })
})

void t.test('the canary goes first, and rests only when it is said for how long', async (t) => {
  const canary = parseCanary('1')
  t.same(policyOf({}), {})
  t.same(policyOf({ canary }), { waves: [{ name: 'canary', count: 1 }] })
  t.same(policyOf({ canary, soak: 60_000, wave: parseWave('half=50%') }), {
    waves: [
      { name: 'canary', count: 1, soakMs: 60_000 },
      { name: 'half', percent: 50 },
    ],
  })
  t.same(policyOf({ once: 'run', force: true, on: ['role=web'], wait: 1000 }), {
    once: 'run',
    force: true,
    on: ['role=web'],
    waitMs: 1000,
  })
  t.throws(() => policyOf({ soak: 1000 }), { code: 'bad-usage', message: /--canary/ })
  t.throws(() => policyOf({ force: true }), { code: 'bad-usage', message: /--once run/ })
  t.throws(() => policyOf({ force: true, once: 'done' }), { code: 'bad-usage' })
})
