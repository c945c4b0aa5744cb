// The record of a staged version: what staging left on the disk, entry by entry, as lstat(2) saw
// it. A version counts as held only with one, so it is written last but for the rename into
// `versions/`. Text, a line an entry, so that it can be read in slices; no path holds a TAB.
//
//   {"format":"lockstep-record 1","version":…,"tree":…,"entryCount":…,"sharedPaths":[…]}
//   d<TAB>0755<TAB>mtimeMs<TAB>inode<TAB>path                  (the version's top has no path)
//   f<TAB>0644<TAB>mtimeMs<TAB>inode<TAB>sizeBytes<TAB>sha256<TAB>path
//   l<TAB>0777<TAB>mtimeMs<TAB>inode<TAB>target<TAB>path

import { closeSync, constants, openSync, readSync } from 'node:fs'
import type { SharedPath } from '../config.ts'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { writeDurablySync } from '../adapters/durable-file.ts'
import { type AppLayout, recordPath } from '../layout/app-layout.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { patterns } from '#shared/ids.ts'
import { parseJson } from '#shared/json-text.ts'

interface RecordedBase {
  /** Relative to the version; empty for its top. */
  readonly path: string
  readonly mode: number
  readonly mtimeMs: number
  /** As a number: two numbers over 2^53 may compare equal, which weakens one check of five. */
  readonly inode: number
}

export type RecordedEntry =
  | (RecordedBase & { readonly type: 'directory' })
  | (RecordedBase & { readonly type: 'file'; readonly sizeBytes: number; readonly sha256: string })
  | (RecordedBase & { readonly type: 'link'; readonly target: string })

export interface RecordHead {
  readonly version: string
  readonly tree: string
  /** Lines that follow; a record with another number of them is none. */
  readonly entryCount: number
  /** What was left out of the build and linked to `shared/`. */
  readonly sharedPaths: readonly SharedPath[]
}

const format = 'lockstep-record 1'
const digestPattern = new RegExp(patterns.digest)
const readBytes = 64 * 1024
/** What no entry of a file system has. */
const noInode = 0

/** @throws LockstepError `no-space`, `disk-error`. */
export function writeRecord(
  layout: AppLayout,
  head: Omit<RecordHead, 'entryCount'>,
  entries: readonly RecordedEntry[],
): void {
  const { version, tree, sharedPaths } = head
  const first = JSON.stringify({ format, version, tree, entryCount: entries.length, sharedPaths })
  const text = `${[first, ...entries.map(lineOf)].join('\n')}\n`
  withDiskErrors(`Recording ${version}`, () => {
    writeDurablySync(recordPath(layout, version), text, 0o600)
  })
}

/**
 * Notes that these entries are not what was recorded, though lstat(2) shows no difference: until
 * the version is staged again, no quick attest finds it whole.
 * @throws LockstepError `no-space`, `disk-error`.
 */
export function distrust(layout: AppLayout, version: string, paths: ReadonlySet<string>): void {
  const head = readRecordHead(layout, version)
  if (head === null) return
  try {
    const entries = [...recordedEntries(layout, head)]
    writeRecord(
      layout,
      head,
      entries.map((entry) => (paths.has(entry.path) ? { ...entry, inode: noInode } : entry)),
    )
  } catch (error) {
    // What is no record proves nothing as it is.
    if (!(error instanceof BadRecord)) throw error
  }
}

/** The head of a version's record; null when there is none or it is not one of this version. */
export function readRecordHead(layout: AppLayout, version: string): RecordHead | null {
  const lines = linesOf(recordPath(layout, version))
  try {
    const first = lines.next()
    const head = first.done === true ? null : parseHead(first.value)
    return head?.version === version ? head : null
  } catch (error) {
    if (error instanceof BadRecord) return null
    throw error
  } finally {
    lines.return()
  }
}

/**
 * What the record says was left on the disk; read from it while it is walked.
 * @throws BadRecord when it is not the whole record of `head`
 */
export function* recordedEntries(layout: AppLayout, head: RecordHead): Generator<RecordedEntry> {
  let count = -1
  for (const line of linesOf(recordPath(layout, head.version))) {
    if (count >= 0) yield parseLine(line)
    count += 1
  }
  if (count !== head.entryCount) throw new BadRecord(`the record has ${count} entries`)
}

/** A record that was not written as it stands: never more than a reason to stage again. */
export class BadRecord extends Error {
  override readonly name = 'BadRecord'
}

function lineOf(entry: RecordedEntry): string {
  const base = `0${entry.mode.toString(8)}\t${entry.mtimeMs}\t${entry.inode}`
  if (entry.type === 'directory') return `d\t${base}\t${entry.path}`
  if (entry.type === 'link') return `l\t${base}\t${entry.target}\t${entry.path}`
  return `f\t${base}\t${entry.sizeBytes}\t${entry.sha256}\t${entry.path}`
}

function parseLine(line: string): RecordedEntry {
  const [type, mode = '', mtimeMs = '', inode = '', one = '', two = '', three] = line.split('\t')
  const base = {
    mode: Number.parseInt(mode, 8),
    mtimeMs: Number(mtimeMs),
    inode: Number(inode),
  }
  if (type === 'd') return { type: 'directory', ...base, path: one }
  if (type === 'l') return { type: 'link', ...base, target: one, path: two }
  if (type === 'f' && three !== undefined) {
    return { type: 'file', ...base, sizeBytes: Number(one), sha256: two, path: three }
  }
  throw new BadRecord(`the record has a bad line: ${line.slice(0, 80)}`)
}

function parseHead(line: string): RecordHead | null {
  const value = parseJson(line)
  if (typeof value !== 'object' || value === null) return null
  const { format: found, ...head } = value as RecordHead & { format?: unknown }
  const isRecord =
    found === format &&
    typeof head.version === 'string' &&
    digestPattern.test(head.tree) &&
    Array.isArray(head.sharedPaths)
  return isRecord ? head : null
}

/** The lines of a file, of which a little is in memory at a time; none when it is not there. */
function* linesOf(path: string): Generator<string, void> {
  const descriptor = openIfThere(path)
  if (descriptor === null) return
  try {
    const buffer = Buffer.allocUnsafe(readBytes)
    let rest: Buffer = Buffer.alloc(0)
    for (;;) {
      const count = readSync(descriptor, buffer, 0, readBytes, null)
      if (count === 0) break
      let chunk: Buffer = Buffer.concat([rest, buffer.subarray(0, count)])
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10)) {
        yield chunk.toString('utf8', 0, end)
        chunk = chunk.subarray(end + 1)
      }
      rest = chunk
    }
    // A last line without its end was cut off.
    if (rest.length > 0) throw new BadRecord('the record ends in the middle of a line')
  } finally {
    closeSync(descriptor)
  }
}

function openIfThere(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw error
  }
}
