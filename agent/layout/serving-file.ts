// The file `.lockstep/serving`: there only while the host attests what it was told to run, for load
// balancers that look for a file. Whether it serves is for the activation machine to say.

import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { syncDirectory, temporaryPrefix } from '../adapters/durable-file.ts'
import type { AppLayout } from './app-layout.ts'

/** Says that `version` serves: the file holds its label. It need not survive a power loss. */
export function writeServing(layout: AppLayout, version: string): void {
  withDiskErrors('Saying that the host serves', () => {
    const random = randomBytes(6).toString('hex')
    const temporary = join(layout.lockstep, `${temporaryPrefix}serving-${random}`)
    writeFileSync(temporary, `${version}\n`, { flag: 'wx', mode: 0o644 })
    chmodSync(temporary, 0o644)
    renameSync(temporary, layout.serving)
  })
}

/** A host goes on serving through a swap: the file, where it is there, names what runs since. */
export function relabelServing(layout: AppLayout, version: string): void {
  const label = labelOf(layout)
  if (label !== null && label !== `${version}\n`) writeServing(layout, version)
}

/** Says that the host does not serve; durable, so that a power loss does not bring the file back. */
export function removeServing(layout: AppLayout): void {
  withDiskErrors('Saying that the host does not serve', () => {
    rmSync(layout.serving, { force: true })
    syncDirectory(layout.lockstep)
  })
}

function labelOf(layout: AppLayout): string | null {
  return withDiskErrors('Reading what the host serves', () => {
    try {
      return readFileSync(layout.serving, 'utf8')
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error
      return null
    }
  })
}
