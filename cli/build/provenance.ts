// The provenance of a build: an in-toto statement with SLSA's predicate, which says of what, by what and
// how the tarball was made. Pure. https://slsa.dev/spec/v1.0/provenance

import type { BuildCommand, BuildPlan } from './build-plan.ts'
import { fixedVariables } from './build-environment.ts'
import type { Submodule } from './clean-clone.ts'
import { withoutCredentials } from './git.ts'
import type { Source } from './source-repository.ts'

export interface BuildFacts {
  readonly source: Source
  readonly submodules: readonly Submodule[]
  readonly plan: BuildPlan
  readonly tarballName: string
  /** SHA-256 of the tarball. */
  readonly artifact: string
  /** The tree digest. */
  readonly tree: string
  /** Tools with what they said of their versions; Node and git among them. */
  readonly versions: Readonly<Record<string, string>>
  readonly lockstepVersion: string
  readonly invocation: string
  readonly startedAt: number
  readonly finishedAt: number
}

export interface Provenance {
  readonly _type: 'https://in-toto.io/Statement/v1'
  readonly subject: readonly { name: string; digest: Readonly<Record<string, string>> }[]
  readonly predicateType: 'https://slsa.dev/provenance/v1'
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: string
      readonly externalParameters: {
        readonly repository: string | null
        readonly tag: string | null
        readonly directory: string
        readonly commands: readonly BuildCommand[]
        readonly pack: string
        readonly exclude: readonly string[]
      }
      readonly internalParameters: {
        readonly environment: Readonly<Record<string, string>>
        readonly umask: string
        /** Whether there were changes that are not in the commit, and hence not in the build. */
        readonly dirty: boolean
        readonly untagged: boolean
      }
      readonly resolvedDependencies: readonly {
        uri?: string
        name: string
        digest: { gitCommit: string }
      }[]
    }
    readonly runDetails: {
      readonly builder: { id: string; version: Readonly<Record<string, string>> }
      readonly metadata: { invocationId: string; startedOn: string; finishedOn: string }
    }
  }
}

/** Names of our own, as RFC 4151 lets anybody make them. */
const buildType = 'urn:lockstep:build:1'
const builderId = 'urn:lockstep:builder:local'

export function provenanceOf(facts: BuildFacts): Provenance {
  const { source, plan, versions } = facts
  const repository = source.remote === null ? null : publicAddress(source.remote)
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [
      { name: facts.tarballName, digest: { sha256: facts.artifact, lockstepTree: facts.tree } },
    ],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: { repository, tag: source.tag, ...plan },
        internalParameters: {
          environment: { ...fixedVariables, SOURCE_DATE_EPOCH: String(source.commitSeconds) },
          umask: '0022',
          dirty: source.changes.length > 0,
          untagged: source.tag === null,
        },
        resolvedDependencies: dependenciesOf(facts, repository),
      },
      runDetails: {
        builder: { id: builderId, version: { lockstep: facts.lockstepVersion, ...versions } },
        metadata: {
          invocationId: facts.invocation,
          startedOn: new Date(facts.startedAt).toISOString(),
          finishedOn: new Date(facts.finishedAt).toISOString(),
        },
      },
    },
  }
}

/** An address without name, password, query and fragment, all of which may hold a secret. */
export function publicAddress(remote: string): string {
  return withoutCredentials(remote).replace(/(:\/\/[^?#]*)[?#].*$/, '$1')
}

function dependenciesOf(
  { source, submodules }: BuildFacts,
  repository: string | null,
): Provenance['predicate']['buildDefinition']['resolvedDependencies'] {
  const ref = source.tag === null ? '' : `@refs/tags/${source.tag}`
  return [
    {
      ...(repository === null ? {} : { uri: `git+${repository}${ref}` }),
      name: 'source',
      digest: { gitCommit: source.commit },
    },
    ...submodules.map(({ path, commit }) => ({
      name: `submodule ${path}`,
      digest: { gitCommit: commit },
    })),
  ]
}
