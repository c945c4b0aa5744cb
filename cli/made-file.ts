// Small files that a command makes: written beside their place and given their name in whole.

import { randomUUID } from 'node:crypto'
import { link, lstat, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { misuse } from './arguments.ts'
import { printable } from './output/printable.ts'

export interface MadeFile {
  readonly path: string
  readonly text: string
  /** Permissions, such as 0o600. */
  readonly mode: number
  /** Whether a file of that name may be replaced. */
  readonly mayReplace: boolean
}

/** @throws LockstepError `bad-usage` when the name is taken or cannot be written */
export async function makeFile({ path, text, mode, mayReplace }: MadeFile): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`)
  try {
    await writeFile(partial, text, { flag: 'wx', mode, flush: true })
    if (mayReplace) {
      await checkReplaceable(path)
      await rename(partial, path)
    } else {
      // Unlike a rename this fails when the name is taken, whoever came first.
      await link(partial, path)
    }
  } catch (error) {
    const code = systemCodeOf(error)
    if (error instanceof LockstepError || code === undefined) throw error
    throw code === 'EEXIST'
      ? misuse(`${printable(path)} is there already`, 'It is left as it is; name another file.')
      : misuse(`${printable(path)} cannot be written (${code})`, 'Name another place.')
  } finally {
    await rm(partial, { force: true })
  }
}

async function checkReplaceable(path: string): Promise<void> {
  const facts = await lstat(path).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw error
  })
  if (facts === null || facts.isFile()) return
  throw misuse(`${printable(path)} is no file`, 'Name another file.')
}
