// Which files of a checkout are the program that runs on a host: the sources of all sides, the packages
// they need in production and Node itself, without what only development needs. Only reads.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { LockstepError } from '#shared/errors.ts'
import { parseVersion, sha256Hex } from '#shared/ids.ts'
import { unlessMissing } from './durable-file.ts'

export type ProgramEntry =
  | { readonly path: string; readonly type: 'directory' }
  | { readonly path: string; readonly type: 'file'; readonly mode: number; readonly sha256: string }
  | { readonly path: string; readonly type: 'link'; readonly target: string }

export interface Program {
  /** Where it was read. */
  readonly directory: string
  readonly version: string
  /** Parents before what is in them. */
  readonly entries: readonly ProgramEntry[]
  /** SHA-256 over every path, type, mode and content: what tells two builds of one version apart. */
  readonly digest: string
}

const sources = ['package.json', 'bin', 'shared', 'agent', 'controller', 'cli', 'systemd']
const lockPath = 'node_modules/.package-lock.json'
const nodePath = 'node_modules/.bin/node'
const streamedFromBytes = 1 << 22

/** Parts of packages that only a compiler reads: 77 MB of headers and of SQLite's source text. */
const unneeded = [
  /^node_modules\/node-(?:bin-)?linux-[^/]+\/(?:include|share)$/,
  /^node_modules\/better-sqlite3\/(?:deps|src)$/,
]

/**
 * @param directory a checkout after `npm run setup`, or an installed program
 * @throws LockstepError `install-failed` when it is neither
 */
export async function readProgram(directory: string): Promise<Program> {
  const version = await readVersion(directory)
  const entries: ProgramEntry[] = []
  for (const path of sources) await addTree(directory, path, entries)
  for (const path of [lockPath, nodePath]) await addTree(directory, path, entries)
  for (const path of await readProductionPackages(directory)) {
    await addTree(directory, path, entries)
  }
  const whole = withParents(entries)
  checkLinks(directory, whole)
  return { directory, version, entries: whole, digest: digestOf(whole) }
}

/**
 * The paths of the packages that are not there for development only.
 * @param lock npm's `node_modules/.package-lock.json`, which lists what is really installed
 */
export function productionPackages(lock: unknown): string[] {
  const packages = isRecord(lock) ? lock['packages'] : undefined
  if (!isRecord(packages)) throw incomplete(`${lockPath} is no lock file of npm`)
  return Object.entries(packages)
    .filter(([path, facts]) => path !== '' && isRecord(facts) && facts['dev'] !== true)
    .map(([path]) => path)
    .toSorted()
}

async function readVersion(directory: string): Promise<string> {
  const facts = await readJson(directory, 'package.json')
  const version = isRecord(facts) ? facts['version'] : undefined
  if (typeof version === 'string') return parseVersion(version)
  throw incomplete(`${join(directory, 'package.json')} says no version`)
}

async function readProductionPackages(directory: string): Promise<string[]> {
  return productionPackages(await readJson(directory, lockPath))
}

async function readJson(directory: string, path: string): Promise<unknown> {
  const text = await unlessMissing(readFile(join(directory, path), 'utf8'))
  if (text === undefined) throw incomplete(`${join(directory, path)} is missing`)
  return JSON.parse(text)
}

async function addTree(directory: string, path: string, entries: ProgramEntry[]): Promise<void> {
  if (unneeded.some((pattern) => pattern.test(path))) return
  const full = join(directory, path)
  const facts = await unlessMissing(lstat(full))
  if (facts === undefined) throw incomplete(`${full} is missing`)
  if (facts.isSymbolicLink()) {
    entries.push({ path, type: 'link', target: await readlink(full) })
  } else if (facts.isFile()) {
    const mode = (facts.mode & 0o100) === 0 ? 0o644 : 0o755
    entries.push({ path, type: 'file', mode, sha256: await hashFile(full, facts.size) })
  } else if (facts.isDirectory()) {
    entries.push({ path, type: 'directory' })
    for (const name of (await readdir(full)).toSorted()) {
      // A package inside a package stands in the lock file by itself, if it is needed.
      if (name !== 'node_modules') await addTree(directory, posix.join(path, name), entries)
    }
  } else throw incomplete(`${full} is neither file, directory nor link`)
}

async function hashFile(path: string, sizeBytes: number): Promise<string> {
  // Thousands of files are small: a stream for each would cost more than all the hashing.
  if (sizeBytes <= streamedFromBytes) return sha256Hex(await readFile(path))
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}

function withParents(entries: readonly ProgramEntry[]): ProgramEntry[] {
  const byPath = new Map<string, ProgramEntry>()
  for (const entry of entries) {
    for (let parent = dirname(entry.path); parent !== '.'; parent = dirname(parent)) {
      if (!byPath.has(parent)) byPath.set(parent, { path: parent, type: 'directory' })
    }
    byPath.set(entry.path, entry)
  }
  return [...byPath.values()].toSorted((one, other) => (one.path < other.path ? -1 : 1))
}

/** A link to something that is not copied would be a program with a hole. */
function checkLinks(directory: string, entries: readonly ProgramEntry[]): void {
  const paths = new Set(entries.map(({ path }) => path))
  for (const entry of entries) {
    if (entry.type !== 'link') continue
    const target = posix.join(posix.dirname(entry.path), entry.target)
    if (!posix.isAbsolute(entry.target) && paths.has(target)) continue
    throw incomplete(`${join(directory, entry.path)} links to ${entry.target}, outside the program`)
  }
}

function digestOf(entries: readonly ProgramEntry[]): string {
  const hash = createHash('sha256')
  for (const entry of entries) hash.update(`${JSON.stringify(entry)}\n`)
  return hash.digest('hex')
}

function incomplete(what: string): LockstepError {
  return new LockstepError('install-failed', `the program cannot be copied: ${what}`, {
    hint: 'Run `npm run setup` in the checkout, then install again. Nothing was changed.',
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
