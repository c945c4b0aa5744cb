// Whether what is installed is as `lockstep agent install` left it: programs, units, rules and
// configuration are root's and nobody else may write them, least of all the agent; its state is the
// agent's and nobody else may read it. Only looks.

import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentUser } from './root-judgements.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { fail, type Judgement, ok, unknown } from '#shared/finding.ts'

export interface InstalledFile {
  readonly path: string
  /** Whose it ought to be. */
  readonly belongsTo: 'root' | 'agent'
  readonly uid: number
  readonly mode: number
  readonly isLink: boolean
}

export interface InstalledFiles {
  readonly files: readonly InstalledFile[]
  /** Directories that are closed to whoever looks. */
  readonly unseen: readonly string[]
}

const namedMax = 5
const rootsTrees = ['opt/lockstep', 'etc/lockstep']
/** Directories of which what is Lockstep's is looked at. */
const rootsPlaces = ['etc/systemd/system', 'etc/polkit-1/rules.d']

/** @param top where the machine's file system begins; @param state the agent's own directory */
export async function readInstalledFiles(
  top: string,
  paths: { readonly state: string; readonly trust: string },
): Promise<InstalledFiles> {
  const look = new Look()
  for (const path of rootsTrees) await look.tree(join(top, path), 'root')
  for (const place of rootsPlaces) {
    for (const name of await look.namesIn(join(top, place))) {
      if (/^(?:\d+-)?lockstep[-.]/.test(name)) await look.tree(join(top, place, name), 'root')
    }
  }
  await look.one(join(top, paths.trust), 'root')
  await look.tree(join(top, paths.state), 'agent')
  return look
}

class Look implements InstalledFiles {
  readonly files: InstalledFile[] = []
  readonly unseen: string[] = []

  async tree(path: string, belongsTo: InstalledFile['belongsTo']): Promise<void> {
    if ((await this.one(path, belongsTo)) !== 'directory') return
    for (const name of await this.namesIn(path)) await this.tree(join(path, name), belongsTo)
  }

  async one(path: string, belongsTo: InstalledFile['belongsTo']): Promise<'directory' | 'other'> {
    try {
      const stats = await lstat(path)
      const { uid, mode } = stats
      this.files.push({ path, belongsTo, uid, mode, isLink: stats.isSymbolicLink() })
      return stats.isDirectory() ? 'directory' : 'other'
    } catch (error) {
      this.#note(path, error)
      return 'other'
    }
  }

  async namesIn(path: string): Promise<string[]> {
    try {
      return (await readdir(path)).toSorted()
    } catch (error) {
      this.#note(path, error)
      return []
    }
  }

  /** What is not there was not installed. */
  #note(path: string, error: unknown): void {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    if (code !== 'ENOENT' && code !== 'ENOTDIR') this.unseen.push(path)
  }
}

/** @param rootUid 0, except in tests */
export function judgeInstalledFiles(
  { files, unseen }: InstalledFiles,
  agent: AgentUser | null,
  rootUid = 0,
): Judgement {
  const wrong = files.flatMap((file) => {
    const problem = problemOf(file, agent, rootUid)
    return problem === null ? [] : [`${file.path} ${problem}`]
  })
  if (wrong.length > 0) {
    const more = wrong.length > namedMax ? ` and ${wrong.length - namedMax} more` : ''
    return fail(
      `${wrong.slice(0, namedMax).join(', ')}${more}`,
      'See who changed it; `chown` and `chmod` it back, or uninstall and install again.',
    )
  }
  if (unseen.length > 0) {
    return unknown(`${unseen.join(', ')} could not be looked at`, 'Run `lockstep doctor` as root.')
  }
  if (files.length === 0) return ok('nothing is installed')
  return ok(
    `${files.length} installed files belong to whom they should, and no one else writes them`,
  )
}

function problemOf(file: InstalledFile, agent: AgentUser | null, rootUid: number): string | null {
  const { uid, mode, belongsTo, isLink } = file
  // The agent runs as root where somebody chose so, and what is root's is its own then.
  const owner = belongsTo === 'root' ? rootUid : (agent?.uid ?? uid)
  if (uid !== owner) return `belongs to user ${uid}, not ${owner}`
  if (!isLink && (mode & 0o022) !== 0) return `may be written by others (${modeText(mode)})`
  const isSecret = belongsTo === 'agent' && /\/(?:identity\.json|join-token)$/.test(file.path)
  return isSecret && (mode & 0o077) !== 0 ? `may be read by others (${modeText(mode)})` : null
}

function modeText(mode: number): string {
  return `0${(mode & 0o7777).toString(8)}`
}
