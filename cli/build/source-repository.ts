// What is built: a commit of a repository on this machine, with what its provenance says of it. Only asks.

import { realpath, stat } from 'node:fs/promises'
import { isAbsolute, join, relative } from 'node:path'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { misuse } from '../arguments.ts'
import { askGit, git, type GitCall } from './git.ts'

export interface Source {
  /** Real path of the working tree, or of the repository itself where it is bare. */
  readonly directory: string
  /** Real path of what git keeps. */
  readonly gitDirectory: string
  readonly isBare: boolean
  readonly commit: string
  /** When it was made, in seconds since 1970. */
  readonly commitSeconds: number
  /** Null: no tag names the commit. */
  readonly tag: string | null
  /** Changed and unknown files as `git status` says them; none in a bare repository. */
  readonly changes: readonly string[]
  /** The address of `origin`, or of the only remote, as it is configured. */
  readonly remote: string | null
}

/**
 * @param ref a tag, or whatever else names a commit; HEAD when undefined
 * @throws LockstepError `bad-usage` when there is no such repository or commit, `build-failed`
 */
export async function readSource(
  path: string,
  ref: string | undefined,
  call: GitCall,
): Promise<Source> {
  const place = await findRepository(path, call)
  const { commit, tag } = await resolveRef(place.directory, ref, call)
  return {
    ...place,
    commit,
    tag: tag ?? (await tagOf(place.directory, commit, call)),
    commitSeconds: await commitSecondsOf(place.directory, commit, call),
    changes: place.isBare ? [] : await changesOf(place.directory, call),
    remote: await remoteOf(place.directory, call),
  }
}

/** Whether git would see a new file there: in the working tree, and not ignored. git-check-ignore(1) */
export async function wouldBePickedUp(
  source: Source,
  file: string,
  call: GitCall,
): Promise<boolean> {
  if (isBelow(source.gitDirectory, file)) return true
  if (source.isBare || !isBelow(source.directory, file)) return false
  const end = await askGit(source.directory, ['check-ignore', '--quiet', '--', file], call)
  return end.exitCode !== 0
}

export function isBelow(directory: string, path: string): boolean {
  const way = relative(directory, path)
  return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}

async function findRepository(
  path: string,
  call: GitCall,
): Promise<Pick<Source, 'directory' | 'gitDirectory' | 'isBare'>> {
  const directory = await directoryAt(path)
  const words = ['rev-parse', '--is-bare-repository', '--git-common-dir']
  const end = await askGit(directory, words, call)
  const [isBare, gitDirectory] = end.output
  if (end.exitCode !== 0 || gitDirectory === undefined) {
    const said = end.lastLines.at(0) ?? ''
    throw misuse(`${path} is no git repository: ${said}`, 'Name the directory of the project.')
  }
  const common = {
    gitDirectory: await realpath(
      isAbsolute(gitDirectory) ? gitDirectory : join(directory, gitDirectory),
    ),
  }
  if (isBare === 'true') return { ...common, directory: common.gitDirectory, isBare: true }
  const [top = directory] = await git(directory, ['rev-parse', '--show-toplevel'], call)
  return { ...common, directory: await realpath(top), isBare: false }
}

async function directoryAt(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return await realpath(path)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw misuse(`${path} cannot be read (${code})`, 'Name the directory of the project.')
  }
  throw misuse(`${path} is no directory`, 'Name the directory of the project.')
}

async function resolveRef(
  directory: string,
  ref: string | undefined,
  call: GitCall,
): Promise<{ commit: string; tag: string | null }> {
  if (ref?.startsWith('-') === true) throw unknownRef(ref)
  const parse = async (name: string) => {
    const words = ['rev-parse', '--verify', '--quiet', `${name}^{commit}`]
    const end = await askGit(directory, words, call)
    return end.exitCode === 0 ? end.output[0] : undefined
  }
  // A tag is meant, also where a branch has the same name.
  const tagged = ref === undefined ? undefined : await parse(`refs/tags/${ref}`)
  if (tagged !== undefined && ref !== undefined) return { commit: tagged, tag: ref }
  const commit = await parse(ref ?? 'HEAD')
  if (commit !== undefined) return { commit, tag: null }
  throw unknownRef(ref)
}

function unknownRef(ref: string | undefined): LockstepError {
  return ref === undefined
    ? misuse('the repository has no commit yet', 'Commit, tag the commit, and build the tag.')
    : misuse(
        `${JSON.stringify(ref)} names no tag and no commit of the repository`,
        'Fetch the tags first where the clone has none, as in many CI systems: git fetch --tags.',
      )
}

/** Of several the one that names the highest version. */
async function tagOf(directory: string, commit: string, call: GitCall): Promise<string | null> {
  const words = ['tag', '--points-at', commit, '--sort=-version:refname']
  return (await git(directory, words, call))[0] ?? null
}

async function commitSecondsOf(directory: string, commit: string, call: GitCall): Promise<number> {
  const lines = await git(directory, ['cat-file', 'commit', commit], call)
  const [, seconds] =
    lines.map((line) => /^committer .*> ([0-9]+) [+-][0-9]{4}$/.exec(line)).find(Boolean) ?? []
  if (seconds !== undefined) return Number(seconds)
  throw new LockstepError('build-failed', `The commit ${commit} does not say when it was made`)
}

async function changesOf(directory: string, call: GitCall): Promise<readonly string[]> {
  const words = ['status', '--porcelain', '--untracked-files=normal', '--ignore-submodules=none']
  return await git(directory, words, call)
}

/** As it stands in the configuration: `url.insteadOf` may write credentials into what git gives. */
async function remoteOf(directory: string, call: GitCall): Promise<string | null> {
  const names = await git(directory, ['remote'], call)
  const name = names.includes('origin') ? 'origin' : names.length === 1 ? names[0] : undefined
  if (name === undefined) return null
  const end = await askGit(directory, ['config', '--get', `remote.${name}.url`], call)
  return end.output[0] ?? null
}
