// The one way to systemd, with a program of the test's in place of systemctl: every end has its word.

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { changeUnits } from '#agent/adapters/reload-units.ts'
import { systemctl } from '#agent/adapters/systemctl.ts'

/** Puts a script in the place of systemctl for the rest of the test. */
function standIn(t: Test, script: string): void {
  const directory = t.testdir({})
  const file = join(directory, 'systemctl')
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  const before = process.env['PATH']
  process.env['PATH'] = `${directory}:${before}`
  t.teardown(() => {
    process.env['PATH'] = before
  })
}

void t.test('what it prints, and how it ends', async (t) => {
  standIn(t, 'echo "$@"; echo "first" >&2; echo "second" >&2; exit 3')
  t.same(await systemctl(['show', '--', 'a b.service'], { timeoutMs: 10_000 }), {
    exitCode: 3,
    stdout: '--no-ask-password show -- a b.service\n',
    said: 'first second',
  })
})

void t.test('it is given up after its time, and when nobody waits', async (t) => {
  standIn(t, 'exec sleep 1000')
  t.match(await systemctl(['reload'], { timeoutMs: 200 }), {
    exitCode: 124,
    said: 'no answer within 200 ms',
  })
  const abort = new AbortController()
  const asked = changeUnits('restart', ['a.service', 'b.service'], systemctl, abort.signal)
  abort.abort()
  t.match(await asked, {
    kind: 'failed',
    failure: {
      code: 'reload-failed',
      message: 'systemctl restart a.service failed: it was given up',
    },
  })
})

void t.test('a machine without it says so', async (t) => {
  const before = process.env['PATH']
  process.env['PATH'] = t.testdir({})
  t.teardown(() => {
    process.env['PATH'] = before
  })
  t.match(await systemctl(['reload'], { timeoutMs: 1000 }), {
    exitCode: 127,
    said: 'systemctl cannot be run (ENOENT)',
  })
})
