// What publishing a version means beside what was published before. Pure.

import { LockstepError } from '#shared/errors.ts'

/** `created` is HTTP 201; `unchanged` is 200: the version names this very tree already. */
export type PublishOutcome = 'created' | 'unchanged'

/**
 * A version never changes what it names.
 * @param existingTree the tree that the version names already, or null
 * @throws LockstepError `version-exists` when it names another.
 */
export function publishOutcome(
  release: { app: string; version: string; tree: string },
  existingTree: string | null,
): PublishOutcome {
  if (existingTree === null) return 'created'
  if (existingTree === release.tree) return 'unchanged'
  throw new LockstepError(
    'version-exists',
    `${release.app} ${release.version} was published before with other content`,
    {
      hint: 'Publish under a new version: one version names the same files for ever.',
      details: { existingTree, tree: release.tree },
    },
  )
}
