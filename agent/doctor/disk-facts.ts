// Reads what root-judgements.ts judges: mount, devices, room, owners and the release that runs. Only looks.

import {
  access,
  constants,
  lstat,
  readdir,
  readFile,
  realpath,
  stat,
  statfs,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Machine } from './machine.ts'
import type { LayoutFacts, Owned, SpaceFacts } from './root-judgements.ts'
import type { AppLayout } from '../layout/app-layout.ts'
import { isWithin, type Mount, parseMounts } from '../layout/mounts.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export interface ReleaseSize {
  readonly bytes: number
  readonly entries: number
  readonly phpFiles: number
}

/** What a path leads to may be missing, or closed to whoever looks: null either way. */
export async function seen<Value>(look: () => Promise<Value>): Promise<Value | null> {
  try {
    return await look()
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return null
  }
}

/** The mount that has the root; of what will have it, where the root is not there yet. */
export async function readMount(root: string, { procfs }: Machine): Promise<Mount | null> {
  const text = await seen(() => readFile(join(procfs, 'self/mountinfo'), 'utf8'))
  const place = await nearest(root)
  return parseMounts(text ?? '').reduce<Mount | null>(
    (best, one) =>
      isWithin(place, one.point) && one.point.length >= (best?.point.length ?? 0) ? one : best,
    null,
  )
}

export async function isReadOnly(root: string): Promise<boolean> {
  try {
    await access(await nearest(root), constants.W_OK)
    return false
  } catch (error) {
    return systemCodeOf(error) === 'EROFS'
  }
}

/** Null where there is no root yet. */
export async function readLayout(layout: AppLayout): Promise<LayoutFacts | null> {
  const deviceOf = async (path: string) => (await seen(() => stat(path)))?.dev ?? null
  const root = await deviceOf(layout.root)
  if (root === null) return null
  return {
    root,
    versions: await deviceOf(layout.versions),
    lockstep: await deviceOf(layout.lockstep),
  }
}

export async function readSpace(root: string, release: ReleaseSize | null): Promise<SpaceFacts> {
  const { bavail, bsize, ffree, files } = await statfs(await nearest(root))
  return { freeBytes: bavail * bsize, freeInodes: files === 0 ? null : ffree, release }
}

/** Null where `current` leads to no directory. */
export async function measureRelease(layout: AppLayout): Promise<ReleaseSize | null> {
  const top = await seen(() => realpath(layout.current))
  if (top === null) return null
  const size = { bytes: 0, entries: 0, phpFiles: 0 }
  const measure = async (directory: string): Promise<void> => {
    const found = (await seen(() => readdir(directory, { withFileTypes: true }))) ?? []
    for (const entry of found) {
      if (size.entries >= limits.entriesMax) return
      size.entries += 1
      const path = join(directory, entry.name)
      if (entry.isDirectory()) await measure(path)
      if (!entry.isFile()) continue
      size.bytes += (await seen(() => lstat(path)))?.size ?? 0
      if (entry.name.endsWith('.php')) size.phpFiles += 1
    }
  }
  await measure(top)
  return size
}

/** The directories from `/` down to the root's parent, as far as they are there. */
export async function ownersAbove(root: string): Promise<Owned[]> {
  const paths: string[] = []
  for (let path = dirname(root); ; path = dirname(path)) {
    paths.unshift(path)
    if (path === '/') break
  }
  return await owners(paths)
}

/** What the agent writes to, the root first; where there is no root yet, what it is made in. */
export async function ownersOf(layout: AppLayout): Promise<Owned[]> {
  return await owners([await nearest(layout.root), layout.versions, layout.lockstep])
}

async function owners(paths: readonly string[]): Promise<Owned[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const facts = await seen(() => stat(path))
      return facts === null ? [] : [{ path, uid: facts.uid, gid: facts.gid, mode: facts.mode }]
    }),
  )
  return found.flat()
}

/** The deepest directory of the path that is there, as its real path. */
async function nearest(path: string): Promise<string> {
  return (await seen(() => realpath(path))) ?? (path === '/' ? path : await nearest(dirname(path)))
}
