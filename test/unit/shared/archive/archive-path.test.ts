// From an archive's names to a release's: ./, slashes at the end, and --strip.

import t from 'tap'
import { releasePathOf } from '#shared/archive/archive-path.ts'

void t.test(
  'a name loses the leading ./, the slash at its end, and what is stripped',
  async (t) => {
    const rows: [name: string, isDirectory: boolean, strip: number, path: string | null][] = [
      ['a', false, 0, 'a'],
      ['./a', false, 0, 'a'],
      ['a/b/', true, 0, 'a/b'],
      ['./', true, 0, null],
      ['.', true, 0, null],
      ['', true, 0, null],
      ['package/a', false, 1, 'a'],
      ['package/', true, 1, null],
      ['package', true, 1, null],
      ['a/b/c', false, 2, 'c'],
      ['a/b', true, 3, null],
      ['./package/a', false, 1, 'package/a'],
      ['./package/a', false, 2, 'a'],
      ['./package/', true, 2, null],
      ['.hidden/a', false, 0, '.hidden/a'],
      ['...', false, 0, '...'],
      ['app/.lockstep', false, 0, 'app/.lockstep'],
    ]
    for (const [name, isDirectory, strip, path] of rows) {
      t.equal(releasePathOf(name, isDirectory, strip), path, `${name} --strip ${strip}`)
    }
  },
)

void t.test(
  'what is stripped is judged too, and nothing is stripped away but directories',
  async (t) => {
    const rows: [name: string, isDirectory: boolean, strip: number, rule: string][] = [
      ['../a', false, 1, 'parent-segment'],
      ['/a/b', false, 1, 'absolute-path'],
      ['//b', false, 2, 'absolute-path'],
      ['a//b', false, 2, 'empty-segment'],
      ['a\u202e/b', false, 1, 'bidi-character'],
      ['a', false, 1, 'nothing-left'],
      ['./a', false, 2, 'nothing-left'],
      ['a/b', false, 5, 'nothing-left'],
      ['.', false, 0, 'dot-segment'],
      ['a/', false, 0, 'empty-segment'],
      ['a//', true, 0, 'empty-segment'],
      ['/', true, 0, 'empty-path'],
      ['', false, 0, 'empty-path'],
      ['app/.lockstep/x', false, 1, 'reserved-name'],
    ]
    for (const [name, isDirectory, strip, rule] of rows) {
      t.throws(
        () => releasePathOf(name, isDirectory, strip),
        { code: 'refused-entry', details: { rule } },
        `${name} --strip ${strip}`,
      )
    }
  },
)
