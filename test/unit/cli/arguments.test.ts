// Single arguments and the environment are read strictly: what is not plainly right is a wrong usage.

import t from 'tap'
import {
  parseCount,
  parseDuration,
  parseExclude,
  parseRequire,
  parseStrip,
} from '#cli/arguments.ts'
import { readConnection } from '#cli/connection.ts'
import { programPartOf } from '#cli/program-part.ts'

void t.test('durations have a whole number and one unit', async (t) => {
  t.same(['90s', '15m', '1h', '7d'].map(parseDuration), [90_000, 900_000, 3_600_000, 604_800_000])
  for (const text of [
    '',
    '90',
    's',
    '0s',
    '-5m',
    '1.5h',
    '1h30m',
    '5 m',
    '5M',
    '05s',
    '1e3s',
    '٣s',
    '5s\n',
  ]) {
    t.throws(
      () => parseDuration(text),
      { code: 'bad-usage', hint: /90s, 15m, 1h/ },
      JSON.stringify(text),
    )
  }
})

void t.test('how many hosts are required', async (t) => {
  t.same(['all', '1', '250', '1%', '60%', '100%'].map(parseRequire), [
    'all',
    '1',
    '250',
    '1%',
    '60%',
    '100%',
  ])
  for (const text of ['', '0', '0%', '101%', '-1', '1.5', 'ALL', '60 %', '3hosts']) {
    t.throws(() => parseRequire(text), { code: 'bad-usage' }, JSON.stringify(text))
  }
})

void t.test('counts and folders to strip', async (t) => {
  t.same(
    [parseCount('1'), parseCount('999999'), parseStrip('0'), parseStrip('2')],
    [1, 999_999, 0, 2],
  )
  for (const text of ['0', '-1', '1.0', 'x', '', '10000000'])
    t.throws(() => parseCount(text), { code: 'bad-usage' })
  for (const text of ['-1', '10', 'x', '']) t.throws(() => parseStrip(text), { code: 'bad-usage' })
})

void t.test('a host is excluded with a reason, once', async (t) => {
  const one = parseExclude('web-3=new disk')
  t.same(one, { 'web-3': 'new disk' })
  t.same(parseExclude('web-4= a=b ', one), { 'web-3': 'new disk', 'web-4': 'a=b' })
  t.throws(() => parseExclude('web-3=again', one), { code: 'bad-usage', message: /twice/ })
  t.throws(() => parseExclude('web-3'), { code: 'bad-usage', message: /no reason/ })
  t.throws(() => parseExclude('web-3= '), { code: 'bad-usage' })
  t.throws(() => parseExclude(`web-3=${'x'.repeat(201)}`), { code: 'bad-usage' })
  t.throws(() => parseExclude('-x=reason'), { code: 'bad-name' })
  t.throws(() => parseExclude('__proto__=reason'), { code: 'bad-name' })
})

void t.test('the controller’s address comes from --url or LOCKSTEP_URL', async (t) => {
  const env = { LOCKSTEP_URL: 'https://a.example/', LOCKSTEP_TOKEN: 'x' }
  t.match(readConnection(undefined, env), { url: 'https://a.example', urlSource: 'LOCKSTEP_URL' })
  t.match(readConnection('http://[::1]:7400/sub/', env), {
    url: 'http://[::1]:7400/sub',
    urlSource: '--url',
  })
  t.throws(() => readConnection(undefined, { LOCKSTEP_TOKEN: 'x' }), {
    code: 'bad-usage',
    hint: /LOCKSTEP_URL/,
  })
  for (const url of [
    'a.example',
    'ftp://a',
    'http://',
    'http://me:secret@a',
    'http://a/?x=1',
    'http://a/#x',
  ]) {
    t.throws(() => readConnection(url, env), { code: 'bad-usage', message: /^--url / }, url)
  }
})

void t.test('the token comes from a variable or a file, and is never shown', async (t) => {
  const url = 'https://a'
  const directory = t.testdir({
    token: 'lsa1.abc\n',
    empty: '\n',
    words: 'two words',
    huge: 'x'.repeat(5000),
  })
  const readFile = (name: string) =>
    readConnection(url, { LOCKSTEP_TOKEN_FILE: `${directory}/${name}` })
  t.match(readFile('token'), {
    token: 'lsa1.abc',
    tokenSource: /^LOCKSTEP_TOKEN_FILE \(.*\/token\)$/,
  })
  t.match(
    readConnection(url, { LOCKSTEP_TOKEN: 'b', LOCKSTEP_TOKEN_FILE: '/nowhere' }),
    { token: 'b', tokenSource: 'LOCKSTEP_TOKEN' },
    'the variable is stronger',
  )
  t.throws(() => readConnection(url, {}), { code: 'bad-usage', hint: /LOCKSTEP_TOKEN_FILE/ })
  t.throws(() => readFile('missing'), { code: 'bad-usage', message: /ENOENT/ })
  t.throws(() => readFile('empty'), { code: 'bad-usage', message: /is empty/ })
  for (const name of ['words', 'huge']) t.throws(() => readFile(name), { code: 'bad-usage' })
  const leaky = { LOCKSTEP_TOKEN: 'secret\r\nx-evil: 1' }
  t.throws(() => readConnection(url, leaky), { code: 'bad-usage', message: /^(?!.*secret)/ })
})

void t.test('only a daemon’s own words start a daemon', async (t) => {
  const parts: [string, string][] = [
    ['controller --data d --listen 127.0.0.1:1', 'controller'],
    ['controller', 'controller'],
    ['agent --config f', 'agent'],
    ['agent --config install', 'agent'],
    ['agent install', 'command'],
    ['agent uninstall --purge', 'command'],
    ['agent --help', 'command'],
    ['controller install', 'command'],
    ['controller recover shop --env p', 'command'],
    ['controller help', 'command'],
    ['--url x controller', 'command'],
    ['deploy controller 1', 'command'],
    ['', 'command'],
  ]
  for (const [words, part] of parts) t.equal(programPartOf(words.split(' ')), part, words)
})
