// The files that a build writes: the tarball and its provenance. Each is written beside its place and
// renamed, so that a name never stands for half a build; on failure neither is there.

import { randomUUID } from 'node:crypto'
import { type FileHandle, lstat, open, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'
import { misuse } from '../arguments.ts'
import type { GitCall } from './git.ts'
import { type Source, wouldBePickedUp } from './source-repository.ts'

export class BuildOutput {
  readonly tarball: string
  readonly provenance: string
  readonly #mayReplace: boolean
  readonly #partials: readonly [tarball: string, provenance: string]

  /** @param tarball its absolute path, in a directory's real path */
  constructor(tarball: string, mayReplace: boolean) {
    this.tarball = tarball
    this.provenance = `${tarball}.provenance.json`
    this.#mayReplace = mayReplace
    const partial = join(dirname(tarball), `.${basename(tarball)}.${randomUUID()}`)
    this.#partials = [`${partial}.partial`, `${partial}.provenance.partial`]
  }

  /** @throws LockstepError `bad-usage` when the names are taken, or git would see the files */
  async check(source: Source, call: GitCall): Promise<void> {
    for (const path of [this.tarball, this.provenance]) {
      await this.#checkFree(path)
      if (!(await wouldBePickedUp(source, path, call))) continue
      throw misuse(
        `${path} would lie in the repository as a new file`,
        'Name a place outside with --output, or let .gitignore name it: *.tar.zst*',
      )
    }
  }

  /**
   * Writes both and gives them their names.
   * @param fill writes the tarball and says the text of its provenance
   */
  async write<Result>(
    fill: (tarball: FileHandle) => Promise<{ provenance: string; result: Result }>,
  ): Promise<Result> {
    const [tarball, provenance] = this.#partials
    try {
      const filled = await filledFile(tarball, fill)
      await writeFile(provenance, filled.provenance, { flag: 'wx', mode: 0o644 })
      await Promise.all([this.#checkFree(this.tarball), this.#checkFree(this.provenance)])
      await rename(provenance, this.provenance)
      await rename(tarball, this.tarball)
      return filled.result
    } catch (error) {
      await Promise.all(this.#partials.map((path) => rm(path, { force: true })))
      throw error
    }
  }

  async #checkFree(path: string): Promise<void> {
    const facts = await lstat(path).catch((error: unknown) => {
      if (systemCodeOf(error) === 'ENOENT') return null
      throw error
    })
    if (facts === null || (this.#mayReplace && facts.isFile())) return
    throw misuse(
      `${path} is there already`,
      facts.isFile() ? 'Replace it with --force, or name another file.' : 'Name another file.',
    )
  }
}

async function filledFile<Result>(
  path: string,
  fill: (file: FileHandle) => Promise<Result>,
): Promise<Result> {
  const file = await open(path, 'wx', 0o644)
  try {
    return await fill(file)
  } finally {
    await file.close()
  }
}

/** @throws LockstepError `bad-usage` when there is no such directory */
export async function openOutput(path: string, mayReplace: boolean): Promise<BuildOutput> {
  const absolute = resolve(path)
  try {
    return new BuildOutput(join(await realpath(dirname(absolute)), basename(absolute)), mayReplace)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw misuse(`${dirname(absolute)} is no directory to write to (${code})`, 'Create it first.')
  }
}
