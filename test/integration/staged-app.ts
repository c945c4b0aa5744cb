// An app's root on the disk for tests of the agent, and stages in it.

import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { heldReleases } from '#agent/attest/held-releases.ts'
import type { SharedPath } from '#agent/config.ts'
import { type AppLayout, layoutOf, prepareLayout } from '#agent/layout/app-layout.ts'
import { stageRelease } from '#agent/staging/stage-release.ts'
import {
  type StagedRelease,
  type StageRequest,
  type StageTuning,
  stageTuning,
} from '#agent/staging/stage-request.ts'
import type { LockstepError } from '#shared/errors.ts'
import type { Release } from '#shared/release.ts'
import { type ContentServer, token } from './content-server.ts'
import { sha256Of, type TestRelease } from './test-release.ts'

/** Patient with the server, as a busy machine is slow to answer; quick to try again. */
export const quickTuning: StageTuning = {
  ...stageTuning,
  retryMinMs: 1,
  retryMaxMs: 5,
  resumeProgressBytes: 1,
  spaceMarginBytes: 0,
  inodeMargin: 0,
}

export class StagedApp {
  readonly layout: AppLayout
  readonly #server: ContentServer
  sharedPaths: SharedPath[] = []

  constructor(root: string, server: ContentServer) {
    this.layout = layoutOf(root)
    this.#server = server
    prepareLayout(this.layout)
  }

  request(release: Release, held: readonly Release[] = []): StageRequest {
    const { version, tree } = release
    return {
      root: this.layout.root,
      release: { version, tree },
      held: held.map((one) => ({ version: one.version, tree: one.tree })),
      sharedPaths: this.sharedPaths,
      controllerUrl: this.#server.url,
      token,
      redirects: [],
      tls: {},
      reuse: 'auto',
      groupId: null,
      tuning: quickTuning,
    }
  }

  async stage(
    release: Release,
    held: readonly Release[] = [],
    changes: Partial<StageRequest> = {},
  ): Promise<StagedRelease> {
    return stageRelease({ ...this.request(release, held), ...changes })
  }

  /** The versions that count as whole. */
  async held(): Promise<string[]> {
    const { whole } = await heldReleases(this.layout)
    return whole.map(({ version }) => version).toSorted()
  }

  path(version: string, path = ''): string {
    return join(this.layout.versions, version, path)
  }

  /** Names below `.lockstep` that no finished stage leaves. */
  leftovers(): string[] {
    return readdirSync(this.layout.lockstep).filter((name) => /^(stage|seed|\.new)-/.test(name))
  }
}

/** What a release should be on the disk, and what is there: comparable line by line. */
export function expectedTree(release: TestRelease): string[] {
  return release.entries
    .map((entry) => {
      if (entry.type === 'link') return `l ${entry.path} -> ${entry.target}`
      if (entry.type === 'directory') return `d ${entry.mode.toString(8)} ${entry.path}`
      return `f ${entry.mode.toString(8)} ${entry.sizeBytes} ${entry.sha256} ${entry.path}`
    })
    .toSorted()
}

export function treeOnDisk(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' })
    .map((path) => {
      const stats = lstatSync(join(top, path))
      const mode = (stats.mode & 0o7777).toString(8)
      if (stats.isSymbolicLink()) return `l ${path} -> ${readlinkSync(join(top, path))}`
      if (stats.isDirectory()) return `d ${mode} ${path}`
      return `f ${mode} ${stats.size} ${sha256Of(readFileSync(join(top, path)))} ${path}`
    })
    .toSorted()
}

/** The code of the error that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return (error as LockstepError).code
  }
  return 'none'
}
