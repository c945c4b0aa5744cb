// Which releases the host holds: those whose record and disk agree. Read at the start, and after
// anything that may have changed it; what an earlier process remembered counts for nothing.

import { readdirSync } from 'node:fs'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { syncDirectory } from '../adapters/durable-file.ts'
import type { AppLayout } from '../layout/app-layout.ts'
import { type Attest, quickAttest } from './quick-attest.ts'
import { readRecordHead } from './record.ts'
import { patterns } from '#shared/ids.ts'
import type { Release } from '#shared/release.ts'

export interface HeldReleases {
  /** Record and disk agree. */
  readonly whole: readonly (Release & { readonly attest: Attest })[]
  /** Recorded, but the disk says otherwise: not to be promised, activated or gone back to. */
  readonly drifted: readonly (Release & { readonly attest: Attest })[]
}

const versionPattern = new RegExp(patterns.version)

/** The versions that have a record, whatever is left of them. */
export function recordedVersions(layout: AppLayout): string[] {
  return readdirSync(layout.records).filter((name) => versionPattern.test(name))
}

/**
 * Durable too: an earlier process may have ended between the rename of a version and its sync, and
 * `current` must not come to outlive what it leads to.
 * @throws LockstepError `disk-error`
 */
export async function heldReleases(layout: AppLayout): Promise<HeldReleases> {
  const whole: (Release & { attest: Attest })[] = []
  const drifted: (Release & { attest: Attest })[] = []
  const versions = withDiskErrors('Listing releases', () => {
    syncDirectory(layout.versions)
    return recordedVersions(layout)
  })
  for (const version of versions) {
    const attest = await quickAttest(layout, version)
    if (attest.tree === null) continue
    const list = attest.outcome === 'whole' ? whole : drifted
    list.push({ version, tree: attest.tree, attest })
  }
  return { whole, drifted }
}

/**
 * Everything that was staged here, whole or not: what clean-up is to know of.
 * @throws LockstepError `disk-error`
 */
export function recordedReleases(layout: AppLayout): Release[] {
  return withDiskErrors('Listing releases', () =>
    recordedVersions(layout).flatMap((version) => {
      const head = readRecordHead(layout, version)
      return head === null ? [] : [{ version, tree: head.tree }]
    }),
  )
}
