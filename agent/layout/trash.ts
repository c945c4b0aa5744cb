// The trash: what is removed leaves its place by one rename and is deleted afterwards, in the
// background. A deletion that fails is told and tried again at the next start; it fails nothing.

import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  lstatSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { TimeSlice } from '../adapters/time-slice.ts'
import { holdDirectory } from '../adapters/foreign-file.ts'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { type AppLayout, inTheWay, seedPrefix, stagePrefix } from './app-layout.ts'
import type { AskWhoUses } from './who-uses.ts'
import { systemCodeOf } from '#shared/errors.ts'

export interface Leftover {
  readonly path: string
  /** Why it stays: a system code such as `EACCES`, `in-use`, or `usage-unknown`. */
  readonly reason: string
}

/** Enough to know a version or a tree by. */
const placeNameMax = 80

/** Moves a file or directory of the app into its trash. @throws LockstepError `disk-error`. */
export function moveToTrash(layout: AppLayout, path: string): string {
  // A name that is as long as it may be takes no more.
  const name = basename(path).slice(0, placeNameMax)
  const place = join(layout.trash, `${name}-${randomBytes(6).toString('hex')}`)
  withDiskErrors(`Removing ${path}`, () => renameSync(path, place))
  return place
}

/**
 * Deletes what is in the trash, except what a live process uses or may use.
 * @returns what is left there, and why
 * @throws LockstepError `disk-error` when the trash is a link: what is there is not ours to delete
 */
export async function emptyTrash(
  layout: AppLayout,
  whoUses: AskWhoUses,
): Promise<readonly Leftover[]> {
  for (const path of [layout.lockstep, layout.trash]) {
    if (!lstatSync(path).isDirectory()) throw inTheWay(path)
  }
  const trash = realpathSync(layout.trash)
  const places = readdirSync(trash).map((name) => join(trash, name))
  const ran = places.filter((place) => !unfinishedPattern.test(basename(place)))
  const usage = ran.length === 0 ? null : await whoUses(places)
  const leftovers: Leftover[] = []
  const slice = new TimeSlice()
  for (const place of places) {
    if (usage?.kind === 'known' && usage.users.has(place)) {
      leftovers.push({ path: place, reason: 'in-use' })
    } else if (usage?.kind === 'unknown' && ran.includes(place)) {
      leftovers.push({ path: place, reason: 'usage-unknown' })
    } else await remove(Buffer.from(place), Buffer.from(place), slice, leftovers)
  }
  return leftovers
}

/** What was never finished never ran: nobody but the agent itself was ever in it. */
const unfinishedPattern = new RegExp(`^(?:${stagePrefix}|${seedPrefix})[0-9a-f]{64}-[0-9a-f]{12}$`)

/**
 * An app may still have a directory open in which it may write: so every directory is held while it
 * is emptied, and a link that is put in its place leads nowhere. Paths are bytes: an app may have
 * written names that are no UTF-8.
 * @param at where it is to be found now
 * @param path what it is called when it is told
 */
async function remove(
  at: Buffer,
  path: Buffer,
  slice: TimeSlice,
  leftovers: Leftover[],
): Promise<void> {
  if (slice.isOver) await slice.rest()
  const isDirectory = lstatSync(at, { throwIfNoEntry: false })?.isDirectory() === true
  if (isDirectory) {
    const before = leftovers.length
    const held = hold(at, path, leftovers)
    try {
      for (const name of namesIn(held, path, leftovers)) {
        await remove(below(held?.path ?? at, name), below(path, name), slice, leftovers)
      }
    } finally {
      held?.close()
    }
    // The directory cannot go while something in it stays, and that was told already.
    if (leftovers.length > before) return
  }
  noteFailure(path, leftovers, () => (isDirectory ? rmdirSync(at) : unlinkSync(at)))
}

type Held = ReturnType<typeof holdDirectory>

function hold(at: Buffer, path: Buffer, leftovers: Leftover[]): Held | null {
  let held: Held | null = null
  noteFailure(path, leftovers, () => {
    held = holdDirectory(at)
  })
  return held
}

function below(directory: string | Buffer, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(directory), separator, name])
}

const separator = Buffer.from('/')

/** A release may hold directories without write permission: the owner takes it back first. */
function namesIn(held: Held | null, path: Buffer, leftovers: Leftover[]): Buffer[] {
  let names: Buffer[] = []
  if (held === null) return names
  noteFailure(path, leftovers, () => {
    chmodSync(held.path, 0o700)
    names = readdirSync(held.path, { encoding: 'buffer' })
  })
  return names
}

function noteFailure(path: Buffer, leftovers: Leftover[], action: () => void): void {
  try {
    action()
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    if (code !== 'ENOENT') leftovers.push({ path: path.toString(), reason: code })
  }
}
