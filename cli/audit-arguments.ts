// Reads the arguments of `lockstep audit`, strictly.

import { readFileSync } from 'node:fs'
import type { AuditHead, AuditOutcome } from '#shared/audit/audit-entry.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { misuse, parseDuration } from './arguments.ts'

/** A head that was noted elsewhere: `1234:HASH`. Adds it to those given before. */
export function parseAnchor(text: string, before: readonly AuditHead[] = []): readonly AuditHead[] {
  const [, sequence = '', hash = ''] = /^([1-9][0-9]{0,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (hash !== '') return [...before, { sequence: Number(sequence), hash }]
  throw misuse(
    `${JSON.stringify(text.slice(0, 100))} is no anchor`,
    'Write the number of an entry and its hash: 1234:9f86d0…, as `lockstep audit head` prints it.',
  )
}

export function parseOutcome(text: string): AuditOutcome {
  if (text === 'done' || text === 'denied') return text
  throw misuse(`there is no outcome ${JSON.stringify(text)}`, 'Write done or denied.')
}

/** An instant, or how long ago. @returns given now, both in epoch milliseconds */
export function parseSince(text: string): (now: number) => number {
  if (/^[0-9]+[smhd]$/.test(text)) {
    const ms = parseDuration(text)
    return (now) => Math.max(0, now - ms)
  }
  const isInstant = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)?$/.test(text)
  const at = isInstant ? Date.parse(text) : Number.NaN
  if (at >= 0) return () => at
  throw misuse(
    `${JSON.stringify(text)} is neither an instant nor a duration`,
    'Write 2026-11-23, 2026-11-23T14:00Z or, for the last so long, 2h or 7d.',
  )
}

/** A principal or a deed: a word that the controller looks up as it is. */
export function parseWord(text: string): string {
  if (text !== '' && text.length <= 100) return text
  throw misuse('a filter is empty or too long', 'Write what `lockstep audit list` shows.')
}

/**
 * The anchors in a file, one a line.
 * @throws LockstepError `bad-usage` for a file that cannot be read, holds none or something else
 */
export function readAnchors(path: string): readonly AuditHead[] {
  const lines = linesOf(path).filter((line) => line !== '')
  if (lines.length > 0) return lines.flatMap((line) => parseAnchor(line))
  throw misuse(`${path} holds no anchor`, 'Name a host’s `audit-anchors`, or a copy of it.')
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw misuse(`${path} cannot be read (${code})`, 'Name a file with one N:HASH a line.')
  }
}
