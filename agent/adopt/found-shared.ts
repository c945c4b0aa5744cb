// Which shared paths the tool before Lockstep linked: the links in what runs that lead into
// `shared/`, and how they are written in agent.toml.

import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { SharedPath } from '../config.ts'
import type { AppLayout } from '../layout/app-layout.ts'
import { isWithin } from '../layout/mounts.ts'
import type { FoundSharedPath } from '#shared/host-apps.ts'
import { limits } from '#shared/limits.ts'
import { realPathOf } from '../adapters/real-path.ts'

/**
 * @param runs the real directory of the release that runs
 * @returns by path; of a tree that is too large what the first entries show
 */
export function findShared(layout: AppLayout, runs: string): FoundSharedPath[] {
  const shared = [layout.shared, realPathOf(layout.shared)].filter((path) => path !== null)
  const found: FoundSharedPath[] = []
  const waiting = ['']
  let looked = 0
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of readdirSync(join(runs, next), { withFileTypes: true })) {
      looked += 1
      if (looked > limits.entriesMax) return found
      const path = join(next, entry.name)
      if (entry.isDirectory()) waiting.push(path)
      if (!entry.isSymbolicLink()) continue
      const target = targetIn(shared, join(runs, path))
      if (target !== null) found.push({ path, target, type: typeOf(join(runs, path)) })
    }
  }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** What the configuration lacks of what was found, as Lockstep would link it. */
export function lackingShared(
  found: readonly FoundSharedPath[],
  configured: readonly SharedPath[],
): SharedPath[] {
  return found.flatMap(({ path, target, type }) => {
    if (type === 'missing' || path !== target) return []
    return configured.some((one) => isWithin(path, one.path)) ? [] : [{ path, type }]
  })
}

/** The line of agent.toml that has them all. */
export function sharedLineOf(paths: readonly SharedPath[]): string {
  const texts = paths.map(({ path, type }) => (type === 'directory' ? `${path}/` : path))
  return `shared = [${texts.map((text) => JSON.stringify(text)).join(', ')}]`
}

/** Where below `shared/` a link leads, by its text or in the end; null for elsewhere. */
function targetIn(shared: readonly string[], link: string): string | null {
  const ends = [resolve(dirname(link), readlinkSync(link)), realPathOf(link)]
  for (const end of ends) {
    const top = shared.find((directory) => end !== null && isWithin(end, directory))
    if (top !== undefined && end !== null && end !== top) return relative(top, end)
  }
  return null
}

function typeOf(link: string): FoundSharedPath['type'] {
  const stats = statSync(link, { throwIfNoEntry: false })
  if (stats === undefined) return 'missing'
  return stats.isDirectory() ? 'directory' : 'file'
}
