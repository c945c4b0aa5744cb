// Directories that belong to a service: makes a missing one, and refuses one that the service could not
// work in. Never changes what is there: whose an existing directory is, its owner says.

import { lstat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LockstepError } from '#shared/errors.ts'
import type { NamedOwner } from './account.ts'
import { ensureDirectory, type Owner, unlessMissing } from './durable-file.ts'
import { at, type Host } from './host.ts'

export interface DirectoryWish {
  readonly path: string
  /** Only of a directory that is made here. */
  readonly mode: number
}

/** Places that the sandbox of both units hides, or that belong to somebody else altogether. */
const forbidden = [
  '/boot',
  '/dev',
  '/etc',
  '/opt/lockstep',
  '/proc',
  '/run',
  '/sys',
  '/tmp',
  '/usr',
  '/var/lib/lockstep',
  '/var/lib/lockstep-controller',
  '/var/tmp',
]

/**
 * Looks at all of them first and makes the missing ones only when every one is good.
 * @param wishes absolute paths in their shortest form
 * @returns the paths that were made
 * @throws LockstepError `bad-configuration` with every mistake
 */
export async function ensureOwnedDirectories(
  host: Host,
  wishes: readonly DirectoryWish[],
  owner: NamedOwner,
): Promise<string[]> {
  const mistakes: string[] = []
  const missing: DirectoryWish[] = []
  for (const wish of wishes) {
    const mistake = placeMistake(wish.path) ?? (await accessMistake(host, wish.path, owner))
    if (mistake !== undefined) mistakes.push(mistake)
    else if ((await unlessMissing(lstat(at(host, wish.path)))) === undefined) missing.push(wish)
  }
  if (mistakes.length > 0) {
    throw new LockstepError('bad-configuration', mistakes.join('\n'), {
      hint: 'Correct this and install again. No directory was changed.',
      details: { mistakes },
    })
  }
  for (const { path, mode } of missing) await ensureDirectory(at(host, path), mode, owner)
  return missing.map(({ path }) => path)
}

/** Those of the directories that belong to the account now. */
export async function ownedAmong(
  host: Host,
  paths: readonly string[],
  owner: Owner,
): Promise<string[]> {
  const facts = await Promise.all(paths.map((path) => unlessMissing(lstat(at(host, path)))))
  return paths.filter((_path, index) => facts[index]?.uid === owner.uid)
}

function placeMistake(path: string): string | undefined {
  const near = forbidden.find(
    (place) => path === place || path.startsWith(`${place}/`) || place.startsWith(`${path}/`),
  )
  if (near === undefined && path !== '/') return undefined
  return `${path} cannot be used: it is in, or holds, ${near ?? 'the whole machine'}`
}

async function accessMistake(
  host: Host,
  path: string,
  owner: NamedOwner,
): Promise<string | undefined> {
  for (let above = dirname(path); ; above = dirname(above)) {
    const facts = await unlessMissing(lstat(at(host, above)))
    if (facts?.isDirectory() === true && !mayEnter(facts, owner)) {
      return `${owner.name} may not enter ${above}, above ${path}: \`chmod o+x ${above}\` opens it`
    }
    if (facts !== undefined && !facts.isDirectory() && !facts.isSymbolicLink()) {
      return `${above} is no directory`
    }
    if (above === '/') break
  }
  const facts = await unlessMissing(lstat(at(host, path)))
  if (facts === undefined) return undefined
  if (facts.isSymbolicLink()) return `${path} is a link; write the directory that it leads to`
  if (!facts.isDirectory()) return `${path} is no directory`
  if (facts.uid === owner.uid) return undefined
  return (
    `${path} belongs to user ${facts.uid}, so ${owner.name} could not write in it: ` +
    `\`chown -R ${owner.name}: ${path}\` hands it over`
  )
}

function mayEnter(facts: { mode: number; uid: number; gid: number }, owner: Owner): boolean {
  if (facts.uid === owner.uid) return (facts.mode & 0o100) !== 0
  if (facts.gid === owner.gid) return (facts.mode & 0o010) !== 0
  return (facts.mode & 0o001) !== 0
}
