// The table of error codes, and what of an error crosses the wire.

import t from 'tap'
import { errorCodes, isErrorCode, LockstepError, systemCodeOf } from '#shared/errors.ts'

void t.test('every code is kebab-case, has an HTTP status and a meaning', (t) => {
  for (const [code, { status, meaning, retryable }] of Object.entries(errorCodes)) {
    t.match(code, /^[a-z]+(?:-[a-z]+)*$/)
    t.ok(code.length <= 40, `${code} fits into a message`)
    t.ok(status >= 400 && status < 600, code)
    t.match(meaning, /^\p{Lu}.*\.$/u, code)
    t.type(retryable, 'boolean')
  }
  t.end()
})

void t.test('an error crosses the wire without its cause and its stack', (t) => {
  const error = new LockstepError('no-space', 'the disk is full', {
    hint: 'Free some.',
    details: { bytes: 5 },
    cause: new Error('ENOSPC: secret path'),
  })
  t.same(JSON.parse(JSON.stringify(error.toWire())), {
    code: 'no-space',
    message: 'the disk is full',
    hint: 'Free some.',
    details: { bytes: 5 },
  })
  t.same(new LockstepError('busy', 'wait').toWire(), { code: 'busy', message: 'wait' })
  t.equal(error.status, 507)
  t.equal(error.retryable, false)
  t.equal(new LockstepError('busy', 'wait').retryable, true)
  t.end()
})

void t.test('what is no code of ours is told apart, members of every object included', (t) => {
  t.ok(isErrorCode('fenced'))
  for (const text of ['', 'Fenced', 'constructor', '__proto__', 'toString']) {
    t.notOk(isErrorCode(text), text)
  }
  t.end()
})

void t.test('the code of a system error is a text or nothing', (t) => {
  t.equal(systemCodeOf(Object.assign(new Error('x'), { code: 'ENOENT' })), 'ENOENT')
  t.equal(systemCodeOf(Object.assign(new Error('x'), { code: 20 })), undefined)
  t.equal(systemCodeOf(new Error('x')), undefined)
  t.equal(systemCodeOf({ code: 'ENOENT' }), undefined)
  t.equal(systemCodeOf(null), undefined)
  t.end()
})
