// The records of a pax extended header, read strictly, and which of them a release may depend on.
// POSIX.1-2017, pax, "pax Extended Header". What belongs to the machine that built the archive
// (owners, times, extended attributes) is left out, as `tar x` leaves it out by default.

import { refusedEntry } from '../entry-rules.ts'
import { badArchive } from './tar-header.ts'

export interface PaxFacts {
  path?: string
  linkPath?: string
  sizeBytes?: number
}

/** Left out of a release, by whoever it was written. */
const ignoredKeys = new RegExp(
  `^(?:${[
    '[acm]time|[ug]id|[ug]name|comment|charset|hdrcharset',
    String.raw`LIBARCHIVE\.(?:creationtime|symlinktype|xattr\..+)`,
    String.raw`SCHILY\.(?:dev|ino|nlink|fflags|acl\..+|xattr\..+)`,
    String.raw`RHT\.security\.selinux|MSWINDOWS\..+`,
  ].join('|')})$`,
)

/**
 * @param name the header's own name, for messages
 * @throws LockstepError `bad-archive` when a record is malformed or of an unknown kind,
 *   `refused-entry` for sparse files and file capabilities.
 */
export function paxFactsOf(body: Buffer, name: string, atByte: number): PaxFacts {
  const facts: PaxFacts = {}
  for (const [key, value] of recordsOf(body, atByte)) {
    if (key === 'path') setOnce(facts, 'path', textOf(value, atByte), atByte)
    else if (key === 'linkpath') setOnce(facts, 'linkPath', textOf(value, atByte), atByte)
    else if (key === 'size') setOnce(facts, 'sizeBytes', sizeOf(value, atByte), atByte)
    else checkKey(key, name, atByte)
  }
  return facts
}

/**
 * A global header would change entries that follow far behind it; only the comment with which
 * `git archive` names its commit is harmless.
 * @throws LockstepError `bad-archive` for any other record.
 */
export function checkGlobalPax(body: Buffer, atByte: number): void {
  for (const [key] of recordsOf(body, atByte)) {
    if (key !== 'comment') {
      throw badArchive(`The tarball has a global pax record ${JSON.stringify(key)}`, atByte)
    }
  }
}

/** `"%d %s=%s\n"` again and again, where the number counts the whole record. */
function* recordsOf(body: Buffer, atByte: number): Generator<[key: string, value: Buffer]> {
  let at = 0
  while (at < body.length) {
    const digits = /^([1-9][0-9]{0,6}) /.exec(body.toString('latin1', at, at + 8))?.[1]
    const end = at + Number(digits)
    const equals = body.indexOf('=', at)
    const isWhole = digits !== undefined && end <= body.length && body[end - 1] === 0x0a
    if (!isWhole || equals === -1 || equals >= end) {
      throw badArchive('The tarball has a malformed pax record', atByte)
    }
    const key = body.toString('utf8', at + digits.length + 1, equals)
    yield [key, body.subarray(equals + 1, end - 1)]
    at = end
  }
}

function setOnce<Key extends keyof PaxFacts>(
  facts: PaxFacts,
  key: Key,
  value: NonNullable<PaxFacts[Key]>,
  atByte: number,
): void {
  if (facts[key] !== undefined) throw badArchive(`The tarball has two pax records "${key}"`, atByte)
  facts[key] = value
}

function textOf(value: Buffer, atByte: number): string {
  if (value.length === 0) throw badArchive('The tarball has an empty name in a pax record', atByte)
  return value.toString('utf8')
}

function sizeOf(value: Buffer, atByte: number): number {
  const digits = value.toString('latin1')
  if (/^(?:0|[1-9][0-9]{0,14})$/.test(digits)) return Number(digits)
  throw badArchive(`The tarball has a bad size ${JSON.stringify(digits)} in a pax record`, atByte)
}

function checkKey(key: string, name: string, atByte: number): void {
  if (key.startsWith('GNU.sparse.') || key.startsWith('SCHILY.realsize')) {
    throw refusedEntry('sparse-file', name)
  }
  if (/^(?:SCHILY|LIBARCHIVE)\.xattr\.security\.capability$/.test(key)) {
    throw refusedEntry('file-capability', name)
  }
  if (!ignoredKeys.test(key)) {
    throw badArchive(`The tarball has an unknown pax record ${JSON.stringify(key)}`, atByte)
  }
}
