// A clean clone of one commit in a private temporary directory: nothing of the working tree, of earlier
// builds or of hooks is in it. Removed as a whole.

import { chmod, mkdtemp, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { cloneConfiguration, git, type GitCall } from './git.ts'
import type { Source } from './source-repository.ts'

export interface Submodule {
  readonly path: string
  readonly commit: string
}

export interface CleanClone {
  /** Real path of its working tree. */
  readonly directory: string
  readonly submodules: readonly Submodule[]
}

/**
 * Gives `use` a clone and removes it afterwards, whatever happened.
 * @throws LockstepError `build-failed`, and what `use` throws
 */
export async function withCleanClone<Result>(
  source: Source,
  call: GitCall,
  use: (clone: CleanClone) => Promise<Result>,
): Promise<Result> {
  const temporary = await realpath(await mkdtemp(join(tmpdir(), 'lockstep-build-')))
  try {
    // Also takes off a setgid bit that the directory above hands down.
    await chmod(temporary, 0o700)
    const configuration = join(temporary, 'gitconfig')
    await writeFile(configuration, cloneConfiguration(call.env))
    // Templates may hold hooks; an empty name means none, for submodules too.
    const env = { ...call.env, GIT_CONFIG_GLOBAL: configuration, GIT_TEMPLATE_DIR: '' }
    return await use(await cloneInto(join(temporary, 'source'), source, { ...call, env }))
  } finally {
    await removeAll(temporary)
  }
}

async function cloneInto(directory: string, source: Source, call: GitCall): Promise<CleanClone> {
  const options = ['--no-hardlinks', '--no-checkout', '--quiet']
  await git(source.directory, ['clone', ...options, '--', source.directory, directory], call)
  // Relative addresses of submodules, and LFS, go by it.
  if (source.remote !== null) {
    await git(directory, ['remote', 'set-url', 'origin', source.remote], call)
  }
  await git(directory, ['checkout', '--quiet', '--force', '--detach', source.commit], call)
  return { directory, submodules: await checkOutSubmodules(directory, call) }
}

async function checkOutSubmodules(directory: string, call: GitCall): Promise<Submodule[]> {
  const file = await stat(join(directory, '.gitmodules')).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw error
  })
  if (file === null) return []
  const update = ['submodule', '--quiet', 'update', '--init', '--recursive']
  try {
    await git(directory, update, call)
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    const hint =
      'The submodules are fetched anew: the build needs the right to read their repositories.'
    throw new LockstepError(error.code, error.message, { hint, cause: error })
  }
  const lines = await git(directory, ['submodule', 'status', '--recursive'], call)
  return lines.flatMap((line) => {
    const [, commit, path] = /^[ +U-]([0-9a-f]+) (.*?)(?: \([^()]*\))?$/.exec(line) ?? []
    return commit === undefined || path === undefined ? [] : [{ path, commit }]
  })
}

/** Some tools leave directories that even their owner may not write to (Go's module cache). */
async function removeAll(directory: string): Promise<void> {
  const options = { recursive: true, force: true, maxRetries: 3 } as const
  try {
    await rm(directory, options)
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(systemCodeOf(error) ?? '')) throw error
    await makeWritable(directory)
    await rm(directory, options)
  }
}

async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700)
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name))
  }
}
