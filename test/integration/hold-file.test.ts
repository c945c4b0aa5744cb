// The hold file on a real disk: what it says, who else may have written it, and that it lasts.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type AppLayout, layoutOf, prepareLayout } from '#agent/layout/app-layout.ts'
import { holdCharsMax, readHold, removeHold, writeHold } from '#agent/layout/hold-file.ts'

function prepared(t: Test): AppLayout {
  const layout = layoutOf(t.testdir({}))
  prepareLayout(layout)
  return layout
}

void t.test('a hold is there from its writing until it is removed', async (t) => {
  const layout = prepared(t)
  t.equal(readHold(layout), null)
  t.equal(removeHold(layout), false)
  writeHold(layout, 'the database moves (ada)')
  t.equal(readHold(layout), 'the database moves (ada)')
  t.equal(statSync(layout.hold).mode & 0o777, 0o644, 'everybody may read why')
  t.equal(removeHold(layout), true)
  t.equal(readHold(layout), null)
})

void t.test('what somebody wrote by hand holds too', async (t) => {
  const layout = prepared(t)
  writeFileSync(layout.hold, '  two\n lines \n')
  t.equal(readHold(layout), 'two lines')
  writeFileSync(layout.hold, '')
  t.equal(readHold(layout), 'somebody who gave no reason')
  writeFileSync(layout.hold, 'x'.repeat(10_000))
  t.equal(readHold(layout)?.length, holdCharsMax)
})

void t.test('what is there and cannot be read holds, and nothing is waited for', async (t) => {
  const link = prepared(t)
  symlinkSync('/etc/hostname', link.hold)
  t.match(readHold(link), /hold cannot be read \(ELOOP\)/)
  const directory = prepared(t)
  mkdirSync(directory.hold)
  t.equal(readHold(directory), 'somebody who gave no reason')
  const pipe = prepared(t)
  execFileSync('mkfifo', [pipe.hold])
  t.equal(readHold(pipe), 'somebody who gave no reason')
})

void t.test('no hold is written by way of a link', async (t) => {
  const layout = layoutOf(t.testdir({ elsewhere: { hold: 'of somebody else' } }))
  symlinkSync('elsewhere', layout.lockstep)
  t.throws(() => writeHold(layout, 'x'), { code: 'disk-error', message: /no directory/ })
  t.throws(() => removeHold(layout), { code: 'disk-error', message: /no directory/ })
  t.equal(readFileSync(join(layout.root, 'elsewhere/hold'), 'utf8'), 'of somebody else')
})

void t.test('a disk that refuses says so', async (t) => {
  const layout = layoutOf(join(t.testdir({}), 'nowhere'))
  t.equal(readHold(layout), null)
  t.throws(() => writeHold(layout, 'x'), { code: 'disk-error' })
  const closed = prepared(t)
  writeFileSync(closed.hold, 'x')
  chmodSync(closed.hold, 0o000)
  t.type(readHold(closed), 'string')
})
