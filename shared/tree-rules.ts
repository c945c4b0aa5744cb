// The rules for the entries of a release among each other: order, one entry per name, parents that
// are directories, and links that stay inside though they lead through other links. Pure.

import { refusedEntry, shownName } from './entry-rules.ts'
import { LockstepError } from './errors.ts'
import { limits } from './limits.ts'
import type { ManifestEntry, ManifestLink } from './manifest.ts'

/** Linux gives up after 40 links in one lookup (path_resolution(7)), and so do we. */
const linksPerLookupMax = 40

/**
 * Judges entries that stand in manifest order.
 * @throws LockstepError `refused-entry` for a duplicate, an entry below a file, a link or a
 *   directory that is not listed, and for a link that leaves the release through other links.
 */
export function checkTree(entries: readonly ManifestEntry[]): void {
  const types = new Map<string, ManifestEntry['type']>()
  const links = new Map<string, string>()
  for (const entry of entries) {
    if (types.has(entry.path)) throw refusedEntry('duplicate', entry.path)
    checkParent(entry.path, types)
    types.set(entry.path, entry.type)
    if (entry.type === 'link') links.set(entry.path, entry.target)
  }
  checkLinks(entries, links)
}

function checkParent(path: string, types: ReadonlyMap<string, ManifestEntry['type']>): void {
  const parent = parentOf(path)
  if (parent === '' || types.get(parent) === 'directory') return
  throw refusedEntry('below-non-directory', path, shownName(parent))
}

/** The path of the directory that holds `path`; empty for the top. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

function checkLinks(entries: readonly ManifestEntry[], links: ReadonlyMap<string, string>): void {
  const budget = { steps: limits.linkStepsMax }
  for (const entry of entries) {
    if (entry.type === 'link') checkLink(entry, links, budget)
  }
}

/**
 * Walks the target as the kernel would: `..` goes up from where a link led to, not from its name.
 * Names that do not exist count as directories, since a host may put shared paths there.
 */
function checkLink(
  link: ManifestLink,
  links: ReadonlyMap<string, string>,
  budget: { steps: number },
): void {
  const note = `target ${shownName(link.target)}`
  const pending = segmentsOf(link.target).reverse()
  let at = parentOf(link.path)
  let followed = 0
  for (let segment = pending.pop(); segment !== undefined; segment = pending.pop()) {
    budget.steps -= 1
    if (budget.steps < 0) throw tooManySteps()
    if (segment === '..') {
      if (at === '') throw refusedEntry('leaving-target', link.path, note)
      at = parentOf(at)
      continue
    }
    const next = at === '' ? segment : `${at}/${segment}`
    const target = links.get(next)
    if (target === undefined) {
      at = next
      continue
    }
    followed += 1
    if (followed > linksPerLookupMax) throw refusedEntry('link-loop', link.path, note)
    pending.push(...segmentsOf(target).reverse())
  }
}

function segmentsOf(target: string): string[] {
  return target.split('/').filter((segment) => segment !== '' && segment !== '.')
}

function tooManySteps(): LockstepError {
  return new LockstepError('archive-too-large', 'The symbolic links lead through too many names', {
    hint: 'Use fewer links, or shorter targets.',
    details: { stepsMax: limits.linkStepsMax },
  })
}
