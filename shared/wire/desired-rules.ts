// What a desired state must be beyond its shape: what an honest controller never says. An agent acts
// on nothing else, so that no controller can bring its machine where it was never meant to be.

import type { Desired } from '../desired.ts'
import { type Release, sameRelease } from '../release.ts'

/** The first rule that the desired state breaks, as the end of a sentence; null when it is sound. */
export function mistakeOf(desired: Desired): string | null {
  return rules.find(({ holds }) => !holds(desired))?.otherwise ?? null
}

interface Rule {
  readonly holds: (desired: Desired) => boolean
  readonly otherwise: string
}

const rules: readonly Rule[] = [
  {
    holds: ({ hold, run, stage }) =>
      !hold || [run.release, run.fallback, run.activateAt, stage].every((part) => part === null),
    otherwise: 'it names a release to a host that is to hold',
  },
  {
    holds: ({ drain, hold }) => hold || !drain,
    otherwise: 'it takes a host out that goes on',
  },
  {
    holds: (desired) => desired.hold || !isCounted(desired) || desired.run.release !== null,
    otherwise: 'it activates nothing',
  },
  {
    holds: (desired) =>
      isCounted(desired) || sameRelease(desired.run.release, desired.run.fallback),
    otherwise: 'it runs what is not the fallback without activating it',
  },
  {
    holds: (desired) => isCounted(desired) || desired.run.activateAt === null,
    otherwise: 'it names an instant and no activation',
  },
  {
    holds: ({ kind, stage }) => stage === null || ['stage', 'prepare', 'activate'].includes(kind),
    otherwise: 'it stages with a decision that ends a rollout',
  },
  {
    holds: ({ once, kind, hold, stage }) =>
      !once || (kind === 'prepare' && !hold && stage !== null),
    otherwise: 'it asks for a run that comes with staging only',
  },
  {
    holds: ({ run, stage }) => haveOneTreeEach([run.release, run.fallback, stage]),
    otherwise: 'it names one version with two trees',
  },
]

/** An activate decision was taken for this host; the others are told to stage meanwhile. */
function isCounted({ kind, stage, hold }: Desired): boolean {
  return kind === 'activate' && stage === null && !hold
}

function haveOneTreeEach(releases: readonly (Release | null)[]): boolean {
  const named = releases.filter((release) => release !== null)
  return named.every(({ version, tree }) =>
    named.every((other) => other.version !== version || other.tree === tree),
  )
}
