// The manifest: the canonical list of a release's entries, and the text whose SHA-256 is the tree
// digest. The text is the truth; nothing here reads a disk. docs/protocol.md, "Manifest".
//
//   lockstep-manifest 1
//   d<TAB>0755<TAB>path
//   f<TAB>0644<TAB>sizeBytes<TAB>sha256<TAB>path
//   l<TAB>target<TAB>path

import { checkLinkTarget, checkPath, shownName } from './entry-rules.ts'
import { LockstepError } from './errors.ts'
import { sha256Hex } from './ids.ts'
import { limits } from './limits.ts'
import { checkTree } from './tree-rules.ts'

export interface ManifestDirectory {
  readonly type: 'directory'
  readonly path: string
  /** At most 0755. */
  readonly mode: number
}

export interface ManifestFile {
  readonly type: 'file'
  readonly path: string
  /** At most 0755. */
  readonly mode: number
  readonly sizeBytes: number
  /** 64 lower-case hexadecimal digits. */
  readonly sha256: string
}

export interface ManifestLink {
  readonly type: 'link'
  readonly path: string
  /** As `readlink` gives it: relative, never leaving the release. */
  readonly target: string
}

export type ManifestEntry = ManifestDirectory | ManifestFile | ManifestLink

const headerLine = 'lockstep-manifest 1'
const lineForms = [
  String.raw`d\t(0[0-7]{3})\t([^\t]+)`,
  String.raw`f\t(0[0-7]{3})\t(0|[1-9][0-9]{0,15})\t([0-9a-f]{64})\t([^\t]+)`,
  String.raw`l\t([^\t]+)\t([^\t]+)`,
]
const linePattern = new RegExp(`^(?:${lineForms.join('|')})$`)

/** 2000-01-01T00:00:00Z: the modification time of what has no content of its own. */
const epochSeconds = 946684800

/**
 * The canonical text: UTF-8, entries sorted by the bytes of their paths, a line feed at each end.
 * @throws LockstepError `refused-entry`, `archive-too-large` when the entries break a rule.
 */
export function formatManifest(entries: readonly ManifestEntry[]): string {
  const sorted = entries.toSorted((a, b) => comparePaths(a.path, b.path))
  for (const entry of sorted) checkEntry(entry)
  checkTotals(sorted)
  checkTree(sorted)
  return `${[headerLine, ...sorted.map(lineOf)].join('\n')}\n`
}

/**
 * Reads a manifest and judges it anew by every rule, as if nobody had before.
 * @throws LockstepError `bad-manifest` when the text is not in canonical form, `refused-entry` and
 *   `archive-too-large` when it is, but no release may be so.
 */
export function parseManifest(text: string): readonly ManifestEntry[] {
  if (!text.startsWith(`${headerLine}\n`)) {
    throw malformed(`does not begin with "${headerLine}"`)
  }
  if (!text.endsWith('\n')) throw malformed('does not end with a line feed')
  if (text.length > limits.manifestBytesMax) throw malformed('is too long')
  const lines = text.slice(0, -1).split('\n').slice(1)
  const entries = lines.map(parseManifestLine)
  for (const entry of entries) checkEntry(entry)
  checkOrder(entries)
  checkTotals(entries)
  checkTree(entries)
  return entries
}

/** The digest that names a tree: SHA-256 of the manifest's text, 64 hexadecimal digits. */
export function treeDigestOf(text: string): string {
  return sha256Hex(text)
}

/**
 * A file's modification time follows from its content, so that size and time, hence ETags of web
 * servers, agree on all hosts, and equal files of two releases can be one inode.
 * @returns seconds since 1970
 */
export function mtimeSecondsOf(entry: ManifestEntry): number {
  if (entry.type !== 'file') return epochSeconds
  return epochSeconds + Number.parseInt(entry.sha256.slice(0, 7), 16)
}

/** What all files of a tree take, counted once per file though content may repeat. */
export function treeBytesOf(entries: readonly ManifestEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.sizeBytes : 0), 0)
}

/** Orders paths by their UTF-8 bytes; UTF-16 order differs for characters above U+FFFF only. */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index += 1) {
    const difference = utf8RankOf(a.charCodeAt(index)) - utf8RankOf(b.charCodeAt(index))
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Moves the surrogates, which stand for characters above U+FFFF, behind all other code units. */
function utf8RankOf(codeUnit: number): number {
  if (codeUnit < 0xd800) return codeUnit
  return codeUnit < 0xe000 ? codeUnit + 0x2000 : codeUnit - 0x800
}

function lineOf(entry: ManifestEntry): string {
  if (entry.type === 'link') return `l\t${entry.target}\t${entry.path}`
  const mode = entry.mode.toString(8).padStart(4, '0')
  if (entry.type === 'directory') return `d\t${mode}\t${entry.path}`
  return `f\t${mode}\t${entry.sizeBytes}\t${entry.sha256}\t${entry.path}`
}

/**
 * One line after the first, judged by its form alone: of a manifest whose digest is known.
 * @param index from 0, for the message
 * @throws LockstepError `bad-manifest`
 */
export function parseManifestLine(line: string, index: number): ManifestEntry {
  const fields = linePattern.exec(line)
  if (fields === null) throw malformed(`has a bad line ${index + 2}: ${shownName(line)}`)
  const [, directoryMode, directoryPath, fileMode, size, sha256, filePath, target, linkPath] =
    fields
  if (directoryMode !== undefined && directoryPath !== undefined) {
    return { type: 'directory', path: directoryPath, mode: Number.parseInt(directoryMode, 8) }
  }
  if (target !== undefined && linkPath !== undefined) {
    return { type: 'link', path: linkPath, target }
  }
  return {
    type: 'file',
    path: filePath ?? '',
    mode: Number.parseInt(fileMode ?? '', 8),
    sizeBytes: Number(size),
    sha256: sha256 ?? '',
  }
}

function checkEntry(entry: ManifestEntry): void {
  checkPath(entry.path)
  if (entry.type === 'link') {
    checkLinkTarget(entry.path, entry.target)
    return
  }
  if ((entry.mode & ~0o755) !== 0) {
    throw malformed(`gives ${shownName(entry.path)} the mode 0${entry.mode.toString(8)}`)
  }
  if (entry.type === 'file' && entry.sizeBytes > limits.fileBytesMax) {
    throw tooLarge(`${shownName(entry.path)} is over ${limits.fileBytesMax} bytes`)
  }
}

function checkOrder(entries: readonly ManifestEntry[]): void {
  let previous: ManifestEntry | undefined
  for (const entry of entries) {
    if (previous !== undefined && comparePaths(previous.path, entry.path) > 0) {
      throw malformed(`has ${shownName(entry.path)} out of order`)
    }
    previous = entry
  }
}

function checkTotals(entries: readonly ManifestEntry[]): void {
  if (entries.length === 0) throw malformed('has no entries')
  if (entries.length > limits.entriesMax) {
    throw tooLarge(`There are more than ${limits.entriesMax} entries`)
  }
  if (treeBytesOf(entries) > limits.treeBytesMax) {
    throw tooLarge(`The files are over ${limits.treeBytesMax} bytes together`)
  }
}

function malformed(why: string): LockstepError {
  return new LockstepError('bad-manifest', `The manifest ${why}`, {
    hint: 'A manifest is written by the controller only; publish the release again.',
  })
}

function tooLarge(message: string): LockstepError {
  return new LockstepError('archive-too-large', message, {
    hint: 'Leave out what the servers do not need, or split the app.',
  })
}
