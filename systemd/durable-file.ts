// Files and links that are there whole or not at all, also after a power cut: written under another
// name, synced, renamed. Never follows a link that stands where the file should be.

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'

export interface FileWish {
  readonly content: string
  /** The whole mode, whatever the umask. */
  readonly mode: number
  readonly owner?: FileOwner
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Without a user: whoever writes, which is root when it matters. */
export type FileOwner = Partial<Pick<Owner, 'uid'>> & Pick<Owner, 'gid'>

/** What a wish found: a file that was as wished is not touched. */
export type Change = 'created' | 'changed' | 'unchanged'

export async function writeFileDurably(path: string, wish: FileWish): Promise<Change> {
  const found = await readRegularFile(path)
  if (found !== undefined && isAsWished(found, wish)) return 'unchanged'
  const temporary = temporaryFor(path)
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const file = await open(temporary, flags, 0o600)
  try {
    await file.writeFile(wish.content)
    await giveTo(file, wish.owner)
    await file.chmod(wish.mode)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncDirectory(dirname(path))
  return found === undefined ? 'created' : 'changed'
}

/** Lets `path` be a link to `target`, by one rename. */
export async function swapLink(path: string, target: string): Promise<Change> {
  const found = await unlessMissing(readlink(path))
  if (found === target) return 'unchanged'
  const temporary = temporaryFor(path)
  await symlink(target, temporary)
  await rename(temporary, path)
  await syncDirectory(dirname(path))
  return found === undefined ? 'created' : 'changed'
}

/** Removes one file or link. */
export async function removeFile(path: string): Promise<'removed' | 'absent'> {
  const found = await unlessMissing(lstat(path))
  if (found === undefined) return 'absent'
  await rm(path)
  await syncDirectory(dirname(path))
  return 'removed'
}

/** Makes a directory, and missing ones above it as everybody may enter them. */
export async function ensureDirectory(
  path: string,
  mode: number,
  owner?: FileOwner,
): Promise<Change> {
  const found = await unlessMissing(lstat(path))
  if (found === undefined) await makeWithParents(path)
  const directory = await openDirectory(path)
  try {
    const facts = await directory.stat()
    if (found !== undefined && isOwnedBy(facts, owner) && (facts.mode & 0o7777) === mode) {
      return 'unchanged'
    }
    await giveTo(directory, owner)
    await directory.chmod(mode)
    await directory.sync()
  } finally {
    await directory.close()
  }
  return found === undefined ? 'created' : 'changed'
}

async function makeWithParents(path: string): Promise<void> {
  const parent = dirname(path)
  if ((await unlessMissing(lstat(parent))) === undefined) {
    await makeWithParents(parent)
    await chmod(parent, 0o755)
  }
  await mkdir(path, { mode: 0o700 })
  await syncDirectory(parent)
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await openDirectory(path)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** What a read gives, or undefined where there is nothing of this name. */
export async function unlessMissing<Value>(reading: Promise<Value>): Promise<Value | undefined> {
  try {
    return await reading
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function openDirectory(path: string) {
  return open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
}

function temporaryFor(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
}

interface FoundFile extends Owner {
  readonly mode: number
  readonly content: string
}

/** Undefined where there is nothing; a link or directory counts as a file of no content. */
async function readRegularFile(path: string): Promise<FoundFile | undefined> {
  const facts = await unlessMissing(lstat(path))
  if (facts === undefined) return undefined
  const content = facts.isFile() ? await readFile(path, 'utf8') : ''
  const mode = facts.isFile() ? facts.mode & 0o7777 : -1
  return { uid: facts.uid, gid: facts.gid, mode, content }
}

function isAsWished(found: FoundFile, wish: FileWish): boolean {
  return isOwnedBy(found, wish.owner) && found.mode === wish.mode && found.content === wish.content
}

function isOwnedBy(found: Owner, owner: FileOwner | undefined): boolean {
  if (owner === undefined) return true
  return found.gid === owner.gid && found.uid === (owner.uid ?? found.uid)
}

/** By the open file, so that no link put in its place meanwhile can be given away instead. */
async function giveTo(file: FileHandle, owner: FileOwner | undefined): Promise<void> {
  const found = await file.stat()
  if (owner === undefined || isOwnedBy(found, owner)) return
  await file.chown(owner.uid ?? found.uid, owner.gid)
}
