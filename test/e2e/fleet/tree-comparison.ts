// Compares two trees on the disk entry by entry: type, mode, content, link target. Takes turns with
// the event loop: a fleet's wires run through this process, and must not stand still meanwhile.

import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'

/** Entries that are looked at without a rest: a few milliseconds. */
const entriesAtOnce = 30

/** By path below the top: everything that must be equal on every host. */
export type TreeFacts = ReadonlyMap<string, string>

/** @param modeMask the bits of modes that count: a release keeps 0755 of what a tarball says */
export async function treeFacts(top: string, modeMask = 0o7777): Promise<TreeFacts> {
  const facts = new Map<string, string>()
  for (const path of readdirSync(top, { recursive: true, encoding: 'utf8' }).sort()) {
    facts.set(path, entryFacts(join(top, path), modeMask))
    if (facts.size % entriesAtOnce === 0) await setImmediate()
  }
  return facts
}

/** What differs, in words; empty for equal trees. */
export function treeDifferences(expected: TreeFacts, found: TreeFacts): string[] {
  const paths = [...new Set([...expected.keys(), ...found.keys()])].sort()
  return paths.flatMap((path) => {
    const [wanted, there] = [expected.get(path), found.get(path)]
    if (wanted === there) return []
    return [`${path}: expected ${wanted ?? 'nothing'}, found ${there ?? 'nothing'}`]
  })
}

/** A link has no mode of its own on Linux. */
function entryFacts(path: string, modeMask: number): string {
  const stats = lstatSync(path)
  if (stats.isSymbolicLink()) return `link to ${readlinkSync(path)}`
  const mode = (stats.mode & modeMask).toString(8)
  if (stats.isDirectory()) return `directory ${mode}`
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
  return stats.isFile() ? `file ${mode} ${stats.size} ${sha256}` : 'something else'
}
