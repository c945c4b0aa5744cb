// The file `.lockstep/serving`: there only while the host attests what it was told to run, for load
// balancers that look for a file. Whether it serves is for the activation machine to say.

import { randomBytes } from 'node:crypto'
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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

/** Says that the host does not serve; durable, so that a power loss does not bring the file back. */
export function removeServing(layout: AppLayout): void {
  withDiskErrors('Saying that the host does not serve', () => {
    rmSync(layout.serving, { force: true })
    syncDirectory(layout.lockstep)
  })
}
