// The rules for one entry, each with what it refuses and what lies just inside it.

import t from 'tap'
import {
  checkCharacters,
  checkLinkTarget,
  checkPath,
  entryRules,
  keptMode,
  refusedEntry,
  shownName,
} from '#shared/entry-rules.ts'
import { limits } from '#shared/limits.ts'

const segments = (count: number): string => Array.from({ length: count }, () => 'd').join('/')

void t.test('ordinary and merely unusual paths are accepted', async (t) => {
  const paths = [
    'a',
    'a/b.c',
    '.env',
    '...',
    '..a/b..',
    'c:x',
    'a b',
    ' a ',
    'dot.',
    'Ünïcode/日本語/🚀',
    'e\u0301',
    'zero\u200bwidth',
    'a/.lockstep',
    '.lockstep2',
    'x'.repeat(255),
    segments(64),
    `${'x'.repeat(254)}/`.repeat(4) + 'x'.repeat(4),
  ]
  for (const path of paths) t.doesNotThrow(() => checkPath(path), path)
})

void t.test('each rule refuses by its own name and names the entry', async (t) => {
  const rows: [path: string, rule: string][] = [
    ['', 'empty-path'],
    ['/a', 'absolute-path'],
    ['/', 'absolute-path'],
    ['..', 'parent-segment'],
    ['a/../b', 'parent-segment'],
    ['.', 'dot-segment'],
    ['./a', 'dot-segment'],
    ['a/.', 'dot-segment'],
    ['a//b', 'empty-segment'],
    ['a/', 'empty-segment'],
    ['a\0b', 'nul-character'],
    ['a\tb', 'control-character'],
    ['a\nb', 'control-character'],
    ['a\u001bb', 'control-character'],
    ['a\u007fb', 'control-character'],
    ['a\u009bb', 'control-character'],
    ['a\u2029b', 'control-character'],
    ['a\u200eb', 'bidi-character'],
    ['a\u202eb', 'bidi-character'],
    ['a\u2069b', 'bidi-character'],
    ['a\ufffdb', 'not-utf8'],
    ['a\ud800b', 'not-utf8'],
    ['a\\b', 'backslash'],
    ['x'.repeat(256), 'segment-too-long'],
    ['é'.repeat(128), 'segment-too-long'],
    [`${'x'.repeat(254)}/`.repeat(4) + 'x'.repeat(5), 'path-too-long'],
    [segments(65), 'path-too-deep'],
    ['.lockstep', 'reserved-name'],
    ['.lockstep/serving', 'reserved-name'],
  ]
  for (const [path, rule] of rows) {
    const wanted = { code: 'refused-entry', details: { rule, entry: path } }
    t.throws(() => checkPath(path), wanted, rule)
    t.throws(() => checkPath(path), { message: shownName(path).slice(0, 5) }, 'the name is said')
  }
})

void t.test('a link may lead anywhere inside the release', async (t) => {
  const rows: [path: string, target: string][] = [
    ['l', 'a'],
    ['l', './a//b/'],
    ['a/l', '..'],
    ['a/b/l', '../../c'],
    ['a/l', '../a/../a'],
    ['l', '.'],
    ['l', 'x'.repeat(1024)],
  ]
  for (const [path, target] of rows) t.doesNotThrow(() => checkLinkTarget(path, target), target)
})

void t.test('a link may not leave, nor hide where it leads', async (t) => {
  const rows: [path: string, target: string, rule: string][] = [
    ['l', '', 'empty-target'],
    ['l', '/etc', 'absolute-target'],
    ['l', '..', 'leaving-target'],
    ['a/l', '../..', 'leaving-target'],
    ['a/l', 'b/../../../a', 'leaving-target'],
    ['l', '../app/a', 'leaving-target'],
    ['l', 'a\u0007', 'unsafe-target'],
    ['l', 'a\u202e', 'unsafe-target'],
    ['l', 'a\\b', 'unsafe-target'],
    ['l', 'a\0', 'unsafe-target'],
    ['l', 'x'.repeat(1025), 'target-too-long'],
  ]
  for (const [path, target, rule] of rows) {
    t.throws(
      () => checkLinkTarget(path, target),
      { code: 'refused-entry', details: { rule } },
      rule,
    )
  }
})

void t.test('characters alone can be judged before a name is put together', async (t) => {
  t.doesNotThrow(() => checkCharacters('../a//b', '/etc'))
  t.throws(() => checkCharacters('a\0', ''), {
    code: 'refused-entry',
    details: { rule: 'nul-character' },
  })
  t.throws(() => checkCharacters('a', '\u001b'), {
    code: 'refused-entry',
    details: { rule: 'unsafe-target' },
  })
})

void t.test('a mode keeps what 0755 has of it, and special bits are refused', async (t) => {
  t.equal(keptMode('a', 0o777), 0o755)
  t.equal(keptMode('a', 0o664), 0o644)
  t.equal(keptMode('a', 0o100600), 0o600)
  for (const mode of [0o4755, 0o2755, 0o1777, 0o7000]) {
    t.throws(() => keptMode('a', mode), {
      code: 'refused-entry',
      details: { rule: 'special-mode' },
    })
  }
})

void t.test('every rule has words, and a name in them cannot command a terminal', async (t) => {
  for (const rule of Object.keys(entryRules) as (keyof typeof entryRules)[]) {
    const error = refusedEntry(rule, 'a\u001b[2J\u202e\u009b\u200b\n')
    t.match(error.message, entryRules[rule])
    t.ok(error.hint)
    t.notMatch(error.message, /[\p{Cc}\u202e\u200b]/u, 'nothing raw')
  }
  t.ok(shownName('x'.repeat(limits.pathBytesMax)).length < 210)
})
