// A published release as the API shows it. Pure.

import type { ReleaseView } from '#shared/api/schemas.ts'
import type { Requires } from '#shared/descriptor.ts'
import { readCarried } from '../publishing/carried-statement.ts'
import type { FailedRelease } from '../store/history-store.ts'
import type { PublishedRelease } from '../store/release-store.ts'

/** @param failed what failed of the release's app */
export function releaseView(
  release: PublishedRelease,
  failed: readonly FailedRelease[],
): ReleaseView {
  const ofTree = failed.filter((known) => known.release.tree === release.tree)
  return {
    ...release,
    statement: release.statement === null ? null : statementView(release.statement),
    requires: release.requires === null ? null : listsOf(release.requires),
    failed: ofTree.map(({ mark }) => mark),
  }
}

function statementView(text: string): ReleaseView['statement'] {
  const { statement, signedBy } = readCarried(text)
  const { environments, expiresAt, floor } = statement
  return { environments, expiresAt, floor: floor ?? null, signedBy: [...signedBy] }
}

function listsOf({ os, arch, libc, commands }: Requires): ReleaseView['requires'] {
  return { os: [...os], arch: [...arch], libc: [...libc], commands }
}
