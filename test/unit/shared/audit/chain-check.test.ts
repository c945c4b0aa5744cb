// The chain of the audit trail: what its hashes cover, and what a check says of a trail that is not
// the one that was recorded.

import { createHash } from 'node:crypto'
import t from 'tap'
import {
  type AuditContent,
  type AuditEntry,
  auditLine,
  emptyTrail,
  linked,
} from '#shared/audit/audit-entry.ts'
import { ChainCheck } from '#shared/audit/chain-check.ts'

const content = (at: number): AuditContent => ({
  at,
  who: 'operator',
  what: 'deploy',
  app: 'shop',
  environment: 'production',
  why: at % 2 === 0 ? null : 'a reason, “quoted”',
  outcome: 'done',
  details: { version: `${at}.0.0`, hosts: at },
})

function trailOf(length: number): AuditEntry[] {
  const trail: AuditEntry[] = []
  for (let at = 1; at <= length; at += 1)
    trail.push(linked(trail.at(-1) ?? emptyTrail, content(at)))
  return trail
}

/** What a check says first of the entries, in their order, then of their end. */
function faultOf(entries: readonly AuditEntry[], anchors: readonly AuditEntry[] = []) {
  const check = new ChainCheck(anchors)
  for (const entry of entries) {
    const fault = check.add(entry)
    if (fault !== null) return fault
  }
  return check.end()
}

void t.test('the hash is one that any tool computes from a line of an export', async (t) => {
  const first = linked(emptyTrail, content(1))
  const second = linked(first, content(2))
  const { hash, ...hashed } = second
  const line = auditLine(second)
  t.same(JSON.parse(line), second)
  const withoutHash = line.replace(`"hash":"${hash}",`, '')
  t.same(JSON.parse(withoutHash), hashed)
  const sum = createHash('sha256').update(`${first.hash}${withoutHash}`).digest('hex')
  t.equal(sum, hash)
  t.equal(first.sequence, 1)
})

void t.test('a trail that nobody touched is whole, with every anchor of it', async (t) => {
  for (const length of [0, 1, 2, 50]) t.equal(faultOf(trailOf(length), trailOf(length)), null)
  const check = new ChainCheck([])
  const trail = trailOf(3)
  for (const entry of trail) check.add(entry)
  t.same(check.head, { sequence: 3, hash: trail.at(-1)?.hash })
})

void t.test('the first entry that is not right is named', async (t) => {
  const trail = trailOf(9)
  const at = (index: number) => trail[index] as AuditEntry
  const changed = trail.with(4, { ...at(4), who: 'somebody else' })
  t.match(faultOf(changed), { kind: 'changed', sequence: 5, message: /entry 5 is not what/ })
  const rehashed = trail.with(4, linked(at(3), { ...content(5), who: 'somebody else' }))
  t.match(faultOf(rehashed), { kind: 'changed', sequence: 6 })
  t.match(faultOf(trail.toSpliced(4, 1)), {
    kind: 'missing',
    sequence: 6,
    message: 'entry 5 is missing: entry 6 is next',
  })
  t.match(faultOf(trail.toSpliced(4, 3)), { message: /^entries 5 to 7 are missing/ })
  t.match(faultOf(trail.toSpliced(4, 0, at(3))), { kind: 'out-of-order', sequence: 4 })
  t.match(faultOf(trail.slice(1)), { kind: 'missing', sequence: 2 })
  const moved = trail.with(4, { ...at(5), sequence: 5 }).with(5, { ...at(4), sequence: 6 })
  t.match(faultOf(moved), { kind: 'changed', sequence: 5 })
})

void t.test('an anchor finds what the chain alone cannot', async (t) => {
  const trail = trailOf(9)
  const cut = trail.slice(0, 6)
  t.equal(faultOf(cut), null, 'a shorter trail is a trail')
  t.match(faultOf(cut, trail.slice(-1)), {
    kind: 'cut-off',
    sequence: 9,
    message: 'the trail ends with entry 6, and the anchor is of entry 9: it was cut off',
  })
  t.match(faultOf([], trail.slice(-1)), { kind: 'cut-off', message: /has no entry/ })
  const anew: AuditEntry[] = []
  for (let at = 1; at <= 12; at += 1) {
    const who = at === 2 ? 'somebody else' : 'operator'
    anew.push(linked(anew.at(-1) ?? emptyTrail, { ...content(at), who }))
  }
  t.equal(faultOf(anew), null, 'whoever writes all of it writes a good chain')
  t.match(faultOf(anew, trail.slice(-1)), {
    kind: 'not-anchored',
    sequence: 9,
    message: 'entry 9 is not the one of the anchor: the trail was written anew',
  })
})
