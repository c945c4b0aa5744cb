// What reaches a terminal: text from elsewhere never moves its cursor, and numbers read as people say them.

import t from 'tap'
import { printable } from '#cli/output/printable.ts'
import {
  ageText,
  bytesText,
  clockText,
  countText,
  durationText,
  instantText,
  namesText,
  percentText,
} from '#cli/output/quantities.ts'
import { facts, table } from '#cli/output/table.ts'
import { bad, bold, joined, plain, render } from '#cli/output/text.ts'
import { escapedJson } from '#shared/unsafe-text.ts'

process.env['TZ'] = 'UTC'

/** Everything that may not reach a terminal as it is, made in full rather than listed. */
const hostile = [
  ...Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)),
  ...Array.from({ length: 0x21 }, (_, code) => String.fromCharCode(0x7f + code)),
  '\u00ad', // soft hyphen
  '\u061c', // Arabic letter mark
  '\u115f', // Hangul filler
  '\u180e',
  ...Array.from({ length: 16 }, (_, code) => String.fromCharCode(0x200b + code)), // zero width, bidi
  '\u2028',
  '\u2029',
  '\u202a',
  '\u202e',
  '\u2060',
  '\u2066',
  '\u2069',
  '\u3164',
  '\ufeff',
  '\ufff9',
  '\u{e0001}',
  '\u{e0041}', // a tag letter
  '\ud800', // half of a pair
].filter((character) => !/[\u2010-\u201a]/.test(character))

void t.test('no control, bidi or invisible character survives', async (t) => {
  for (const character of hostile) {
    const shown = printable(`a${character}b`)
    const name = character.codePointAt(0)?.toString(16)
    t.match(shown, /^a\\[ -~]+b$/, `U+${name} is written out`)
    t.equal(printable(shown), shown, 'and stays so')
  }
  t.comment(`${hostile.length} characters`)
})

void t.test('what is written out can be read', async (t) => {
  t.equal(printable('web-1\x1b[2J\x07'), 'web-1\\x1b[2J\\x07')
  t.equal(printable('a\r\n\tb'), 'a\\r\\n\\tb')
  t.equal(printable('evil\u202egpj.exe'), 'evil\\u202egpj.exe')
  t.equal(printable('\u{e0041}'), '\\u{e0041}')
  t.equal(printable('\x9b31m'), '\\x9b31m')
  t.equal(printable('Größe 3 µs – 日本 😀'), 'Größe 3 µs – 日本 😀', 'honest text is left alone')
  t.equal(printable('x'.repeat(5000)), `${'x'.repeat(2000)}…`, 'a flood is cut')
})

void t.test('JSON keeps its value and loses its teeth', async (t) => {
  const value = { text: hostile.join('|'), more: ['\u202e', 'ü'], number: 5 }
  for (const json of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
    const shown = escapedJson(json)
    t.same(JSON.parse(shown), value, 'the same value')
    t.notMatch(shown, /[^\n -~üß-ÿ]/, 'only plain characters')
  }
})

void t.test('text is made printable where it is rendered, styles are ours', async (t) => {
  const paint = (style: string, text: string) => `<${style}>${text}</${style}>`
  t.equal(
    render(['a\x1b[1m ', bold('b\n'), [bad('c')]], paint),
    'a\\x1b[1m <bold>b\\n</bold><red>c</red>',
  )
  t.equal(plain(joined(['a', bold('b'), 'c'], ', ')), 'a, b, c')
})

void t.test('tables are as wide as what they show', async (t) => {
  const lines = table(
    ['NAME', 'N'],
    [
      ['a', '1'],
      [bold('longer'), '22'],
      ['x\x1b', '3'],
    ],
  )
  t.same(lines.map(plain), ['NAME    N', 'a       1', 'longer  22', 'x\\x1b   3'])
  t.same(table(['NAME'], []), [], 'no headings over nothing')
  t.same(
    facts([
      ['why', 'a'],
      ['nothing', undefined],
      ['longer', 'b'],
    ]).map(plain),
    ['  why     a', '  longer  b'],
  )
})

void t.test('quantities', async (t) => {
  t.same([0, 999, 1000, 23_100_000, 812_000_000, 4.2e9].map(bytesText), [
    '0 B',
    '999 B',
    '1.0 KB',
    '23.1 MB',
    '812 MB',
    '4.2 GB',
  ])
  t.same(
    [0, 0.44, 3.24, 45, 300, 7100, 12_000, 59_949, 60_000, 245_000, 3_600_000, 12_000_000, 2e8].map(
      durationText,
    ),
    [
      '0 ms',
      '0.4 ms',
      '3.2 ms',
      '45 ms',
      '300 ms',
      '7.1 s',
      '12 s',
      '59.9 s',
      '1 min 00 s',
      '4 min 05 s',
      '1 h 00 min',
      '3 h 20 min',
      '2 days',
    ],
  )
  t.same([-5, 40_000, 200_000, 20_000_000, 2e8].map(ageText), [
    '0 s',
    '40 s',
    '3 min',
    '5 h',
    '2 days',
  ])
  t.equal(instantText(Date.UTC(2026, 0, 3, 4, 5, 6)), '2026-01-03 04:05:06')
  t.equal(clockText(Date.UTC(2026, 0, 3, 14, 5, 6)), '14:05:06')
  t.same(
    [percentText(1, 3), percentText(999, 1000), percentText(5, 0), percentText(9, 3)],
    ['33 %', '99 %', '0 %', '100 %'],
  )
  t.same(
    [countText(1, 'host'), countText(0, 'host'), countText(5, 'host')],
    ['1 host', '0 hosts', '5 hosts'],
  )
  t.same(
    [
      namesText([], 2),
      namesText(['a'], 2),
      namesText(['a', 'b'], 2),
      namesText(['a', 'b', 'c'], 2),
    ],
    ['', 'a', 'a and b', 'a, b and 1 more'],
  )
})
