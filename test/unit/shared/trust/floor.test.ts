// The floor: expiry holds back only what is new, and nothing leads back below what was committed
// but to what this host itself ran.

import fc from 'fast-check'
import t from 'tap'
import { limits } from '#shared/limits.ts'
import { admit, committed, firstStanding, type Standing } from '#shared/trust/floor.ts'
import type { Statement } from '#shared/trust/statement.ts'
import { atOf, digestOf, now } from './signing.ts'

function statementOf(sequence: number, more: Partial<Statement> = {}): Statement {
  const version = `1.${sequence}.0`
  return {
    statement: 1,
    app: 'shop',
    version,
    sequence,
    tree: digestOf(`tree of ${version}`),
    artifact: { sha256: digestOf(version), bytes: 1 },
    environments: ['production'],
    expires: null,
    expiresAt: null,
    ...more,
  }
}

function verdictOf(
  statement: Statement,
  standing: Standing,
  purpose: 'new' | 'return' = 'new',
): string {
  const verdict = admit({ statement, standing, purpose, at: now })
  return verdict.outcome === 'admitted' ? 'admitted' : verdict.reason
}

const after = (...statements: Statement[]): Standing => statements.reduce(committed, firstStanding)

void t.test('a host that committed nothing takes any sequence', async (t) => {
  t.equal(verdictOf(statementOf(1), firstStanding), 'admitted')
  t.equal(verdictOf(statementOf(900), firstStanding), 'admitted')
  t.equal(verdictOf(statementOf(1), firstStanding, 'return'), 'never-run')
})

void t.test('below the highest only what ran here comes back', async (t) => {
  const standing = after(statementOf(5), statementOf(9))
  t.equal(verdictOf(statementOf(10), standing), 'admitted')
  t.equal(verdictOf(statementOf(9), standing), 'admitted', 'the same once more')
  t.equal(verdictOf(statementOf(5), standing), 'admitted', 'it ran here')
  t.equal(verdictOf(statementOf(5), standing, 'return'), 'admitted')
  t.equal(verdictOf(statementOf(7), standing), 'below-highest', 'it never ran here')
  t.equal(verdictOf(statementOf(7), standing, 'return'), 'never-run')
  t.equal(verdictOf(statementOf(10), standing, 'return'), 'never-run', 'new under another name')
})

void t.test('a number stands for one release', async (t) => {
  const standing = after(statementOf(5), statementOf(9))
  for (const sequence of [5, 9]) {
    for (const other of [{ tree: digestOf('other') }, { version: '9.9.9' }]) {
      for (const purpose of ['new', 'return'] as const) {
        const outcome = verdictOf(statementOf(sequence, other), standing, purpose)
        t.equal(outcome, 'sequence-reused')
      }
    }
  }
})

void t.test('the floor holds whatever the purpose, and even for what ran here', async (t) => {
  const standing = after(statementOf(5), statementOf(8), statementOf(9, { floor: 8 }))
  t.equal(standing.floor, 8)
  t.equal(verdictOf(statementOf(5), standing), 'below-floor')
  t.equal(verdictOf(statementOf(5), standing, 'return'), 'below-floor')
  t.equal(verdictOf(statementOf(8), standing, 'return'), 'admitted')
  t.equal(verdictOf(statementOf(8), committed(standing, statementOf(8)), 'return'), 'admitted')
  t.equal(committed(standing, statementOf(8)).floor, 8, 'going back does not lower it')
  t.equal(committed(standing, statementOf(10, { floor: 2 })).floor, 8, 'nor does a lower floor')
})

void t.test('expiry is asked of the new only', async (t) => {
  const expires = '2026-05-31T23:59:59Z'
  const expired = { expires, expiresAt: atOf(expires) }
  const standing = after(statementOf(5, expired), statementOf(6))
  t.equal(verdictOf(statementOf(7, expired), standing), 'expired')
  t.equal(verdictOf(statementOf(5, expired), standing), 'expired')
  t.equal(verdictOf(statementOf(5, expired), standing, 'return'), 'admitted')
  t.equal(verdictOf(statementOf(7, { expiresAt: now }), standing), 'expired', 'to the instant')
  t.equal(verdictOf(statementOf(7, { expiresAt: now + 1 }), standing), 'admitted')
})

void t.test('hearing of a release raises nothing', async (t) => {
  const standing = after(statementOf(5))
  const before = JSON.stringify(standing)
  verdictOf(statementOf(Number.MAX_SAFE_INTEGER, { floor: 1000 }), standing)
  t.equal(JSON.stringify(standing), before)
})

void t.test('whatever is committed in whatever order, nothing goes down', async () => {
  const release = fc.record({
    sequence: fc.integer({ min: 1, max: 40 }),
    floor: fc.option(fc.integer({ min: 1, max: 40 }), { nil: null }),
  })
  fc.assert(
    fc.property(fc.array(release, { maxLength: 60 }), (releases) => {
      let standing = firstStanding
      const ran = new Set<number>()
      for (const { sequence, floor } of releases) {
        const statement = statementOf(sequence, floor === null ? {} : { floor })
        const before = standing
        const isIn = verdictOf(statement, before) === 'admitted'
        if (isIn !== (sequence >= before.floor && (sequence > before.highest || ran.has(sequence))))
          return false
        if (!isIn) continue
        ran.add(sequence)
        standing = committed(before, statement)
        if (standing.floor < before.floor || standing.highest < before.highest) return false
      }
      return true
    }),
    { seed: 7, numRuns: 500 },
  )
})

void t.test('a host remembers the newest, and refuses what it forgot', async (t) => {
  const count = limits.standingReleasesMax + 3
  const standing = after(...Array.from({ length: count }, (_, at) => statementOf(at + 1)))
  t.equal(standing.committed.length, limits.standingReleasesMax)
  t.equal(verdictOf(statementOf(3), standing, 'return'), 'never-run')
  t.equal(verdictOf(statementOf(3), standing), 'below-highest')
  t.equal(verdictOf(statementOf(4), standing, 'return'), 'admitted')
})
