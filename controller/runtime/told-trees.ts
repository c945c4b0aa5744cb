// Which trees a host has any business with: those that what it is told now names. Derived from the
// records, never stored, so that a new decision and a removal count at once.

import { desiredOf } from '#shared/environment/tell.ts'
import type { Release } from '#shared/release.ts'
import type { Environments } from './environments.ts'

export interface ToldTrees {
  /** What it may be about to stage, to run, to go back to or to repair. */
  readonly wanted: ReadonlySet<string>
  /** What it may hold already, so that a delta may be against it. */
  readonly held: ReadonlySet<string>
}

export function toldTrees(environments: Environments, host: string): ToldTrees {
  const wanted = new Set<string>()
  const held = new Set<string>()
  for (const runner of environments.all()) {
    const told = desiredOf(runner.state.record, host)
    if (told === null) continue
    const { stage, run, history } = told
    for (const release of [stage, run.release, run.fallback]) addTree(wanted, release)
    for (const release of history) addTree(held, release)
  }
  return { wanted, held: held.union(wanted) }
}

function addTree(trees: Set<string>, release: Release | null): void {
  if (release !== null) trees.add(release.tree)
}
