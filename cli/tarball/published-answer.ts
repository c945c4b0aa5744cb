// Holds what a controller says of a published release against what was sent to it. A controller that
// says something else is faulty or lies, and what it would have hosts run is not what was built.

import type { ReleaseView } from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import type { TarballFacts } from './tarball-facts.ts'
import type { Witnessed } from './tarball-witness.ts'

/**
 * @returns what was sent
 * @throws LockstepError `false-answer`.
 */
export function checkAnswer(
  { outcome, release }: { outcome: 'published' | 'present'; release: ReleaseView },
  witnessed: Witnessed,
): TarballFacts {
  if (witnessed.outcome === 'refused') {
    throw falseAnswer(release, `that it took the tarball, but ${witnessed.refusal.message}`)
  }
  const { facts } = witnessed
  const { tree, artifact, artifactBytes } = facts
  if (release.tree !== tree) {
    throw falseAnswer(release, `that its tree is ${release.tree}, but it is ${tree}`, { tree })
  }
  // What was there before may have come as another tarball of the same tree.
  if (outcome === 'present') return facts
  if (release.artifact !== artifact || release.artifactBytes !== artifactBytes) {
    const said = `${release.artifact} of ${release.artifactBytes} bytes`
    const sent = `${artifact} of ${artifactBytes} bytes`
    throw falseAnswer(release, `that the tarball is ${said}, but it is ${sent}`, { artifact })
  }
  return facts
}

function falseAnswer(
  { app, version }: ReleaseView,
  problem: string,
  details?: Record<string, string>,
): LockstepError {
  return new LockstepError('false-answer', `the controller says of ${app} ${version} ${problem}`, {
    hint: 'Do not deploy it. The controller, or what stands between, is faulty or hostile.',
    ...(details && { details }),
  })
}
