// Builds releases in memory for tests of the agent: manifest, tree digest and packs.

import { type BinaryLike, createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { tarEndBytes, tarHeaderOf, tarPaddingBytes } from '#shared/canonical-tar.ts'
import {
  formatManifest,
  type ManifestEntry,
  parseManifest,
  treeDigestOf,
} from '#shared/manifest.ts'
import type { Release } from '#shared/release.ts'

export type Described =
  | string
  | Buffer
  | { readonly content: string | Buffer; readonly mode: number }
  | { readonly target: string }
  | { readonly directory: number }

export interface TestRelease extends Release {
  readonly manifest: string
  /** In manifest order. */
  readonly entries: readonly ManifestEntry[]
  /** By SHA-256. */
  readonly contents: ReadonlyMap<string, Buffer>
}

/** A release of what is described by path; directories that are not described have mode 0755. */
export function releaseOf(version: string, described: Record<string, Described>): TestRelease {
  const contents = new Map<string, Buffer>()
  const entries = new Map<string, ManifestEntry>()
  for (const [path, what] of Object.entries(described)) {
    for (const parent of parentsOf(path)) {
      if (!entries.has(parent))
        entries.set(parent, { type: 'directory', path: parent, mode: 0o755 })
    }
    entries.set(path, entryOf(path, what, contents))
  }
  return finished(version, [...entries.values()], contents)
}

/** A release of everything below a directory of the disk, with modes and links as they are. */
export function releaseFromDisk(version: string, top: string): TestRelease {
  const contents = new Map<string, Buffer>()
  const paths = readdirSync(top, { recursive: true, encoding: 'utf8' })
  const entries = paths.map((path): ManifestEntry => {
    const absolute = join(top, path)
    const stats = lstatSync(absolute)
    const mode = stats.mode & 0o755
    if (stats.isDirectory()) return { type: 'directory', path, mode }
    if (stats.isSymbolicLink()) return { type: 'link', path, target: readlinkSync(absolute) }
    return entryOf(path, { content: readFileSync(absolute), mode }, contents)
  })
  return finished(version, entries, contents)
}

export interface PackFaults {
  /** Changes the content of a file in the stream, not in the manifest. */
  readonly alter?: (path: string, content: Buffer) => Buffer
  /** Changes a header in the stream. */
  readonly alterHeader?: (path: string, header: Buffer) => Buffer
  /** Put before the end blocks. */
  readonly more?: Buffer
  /** Put behind the end blocks. */
  readonly trailing?: Buffer
}

/** The canonical tar, not compressed: full, or what `from` lacks. */
export function tarOf(
  release: TestRelease,
  from: TestRelease | null = null,
  faults: PackFaults = {},
): Buffer {
  const parts: Buffer[] = []
  for (const entry of release.entries) {
    const isKnown = entry.type !== 'file' || from?.contents.has(entry.sha256)
    if (from !== null && isKnown) continue
    const header = Buffer.from(tarHeaderOf(entry))
    parts.push(faults.alterHeader?.(entry.path, header) ?? header)
    if (entry.type !== 'file') continue
    const content = release.contents.get(entry.sha256) ?? Buffer.alloc(0)
    parts.push(faults.alter?.(entry.path, content) ?? content)
    parts.push(Buffer.alloc(tarPaddingBytes(entry.sizeBytes)))
  }
  parts.push(faults.more ?? Buffer.alloc(0), Buffer.alloc(tarEndBytes))
  return Buffer.concat([...parts, faults.trailing ?? Buffer.alloc(0)])
}

export function packOf(
  release: TestRelease,
  from: TestRelease | null = null,
  faults: PackFaults = {},
): Buffer {
  return zstdCompressSync(tarOf(release, from, faults))
}

export function sha256Of(content: BinaryLike): string {
  return createHash('sha256').update(content).digest('hex')
}

/** Bytes that do not compress and are the same in every run. */
export function noise(seed: string, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  for (let at = 0; at < sizeBytes; at += 32) {
    createHash('sha256').update(`${seed} ${at}`).digest().copy(bytes, at)
  }
  return bytes
}

function entryOf(path: string, what: Described, contents: Map<string, Buffer>): ManifestEntry {
  if (typeof what === 'object' && 'target' in what) return { type: 'link', path, ...what }
  if (typeof what === 'object' && 'directory' in what) {
    return { type: 'directory', path, mode: what.directory }
  }
  const isPlain = typeof what === 'string' || Buffer.isBuffer(what)
  const content = Buffer.from(isPlain ? what : what.content)
  const sha256 = sha256Of(content)
  contents.set(sha256, content)
  return {
    type: 'file',
    path,
    mode: isPlain ? 0o644 : what.mode,
    sizeBytes: content.length,
    sha256,
  }
}

function finished(
  version: string,
  entries: readonly ManifestEntry[],
  contents: ReadonlyMap<string, Buffer>,
): TestRelease {
  const manifest = formatManifest(entries)
  return {
    version,
    tree: treeDigestOf(manifest),
    manifest,
    entries: parseManifest(manifest),
    contents,
  }
}

function parentsOf(path: string): string[] {
  const segments = path.split('/').slice(0, -1)
  return segments.map((_, index) => segments.slice(0, index + 1).join('/'))
}
