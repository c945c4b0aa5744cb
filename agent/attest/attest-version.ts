// The deep attest of one version of an app, as a job for a worker and for the agent's side of it.

import { lstatSync } from 'node:fs'
import { runInWorker } from '../adapters/run-in-worker.ts'
import { asDiskError } from '../adapters/disk-error.ts'
import { type AppLayout, layoutOf, versionPath } from '../layout/app-layout.ts'
import { planBuild } from '../staging/build-plan.ts'
import { storedManifest } from '../staging/load-manifest.ts'
import { compareWithPlan } from './deep-attest.ts'
import { FileHasher } from './hash-file.ts'
import { type Attest, attestOf, Findings, unrecorded } from './quick-attest.ts'
import { readRecordHead } from './record.ts'
import { parseManifest } from '#shared/manifest.ts'

export interface AttestRequest {
  readonly root: string
  readonly version: string
  /** How many differences and extras are named; without it the first few. */
  readonly named?: number | undefined
}

/**
 * Hashes every file of a version anew, in a worker, against the manifest that its tree digest names.
 * @throws LockstepError `disk-error`; the signal's reason
 */
export async function deepAttest(
  layout: AppLayout,
  version: string,
  { signal, named }: { signal?: AbortSignal; named?: number } = {},
): Promise<Attest> {
  const script = new URL('./attest-worker.ts', import.meta.url)
  const request: AttestRequest = { root: layout.root, version, named }
  return runInWorker<Attest>(script, request, { signal })
}

/** The job itself: reads every byte of the version and blocks its thread. */
export function attestNow({ root, version, named }: AttestRequest): Attest {
  const layout = layoutOf(root)
  const head = readRecordHead(layout, version)
  const manifest = head === null ? null : storedManifest(layout, head.tree)
  if (head === null || manifest === null) return unrecorded(version)
  const found = new Findings(named)
  const top = versionPath(layout, version)
  if (lstatSync(top, { throwIfNoEntry: false })?.isDirectory() !== true) {
    found.note('', 'missing')
    return attestOf(head, found, [])
  }
  const plan = planBuild(parseManifest(manifest), head.sharedPaths, new Set())
  try {
    const { extras } = compareWithPlan(top, plan, new FileHasher(), found)
    return attestOf(head, found, extras)
  } catch (error) {
    throw asDiskError(error, `Hashing ${version}`)
  }
}
