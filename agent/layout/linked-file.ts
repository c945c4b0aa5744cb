// The file `.lockstep/linked.json`: there while `lockstep link` has `current` lead to a working
// directory. Remembers what it was before, which clean-up keeps.

import { readFileSync, rmSync } from 'node:fs'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { syncDirectory, writeDurablySync } from '../adapters/durable-file.ts'
import type { AppLayout } from './app-layout.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'

export interface Linked {
  /** The absolute directory that `current` leads to. */
  readonly directory: string
  /** The text of the link before; null where there was none. */
  readonly before: string | null
  /** The hold that came with it, to the letter: another one is somebody else's. */
  readonly hold: string
}

/** @throws LockstepError `disk-error` when the file is there and says nothing */
export function readLinked(layout: AppLayout): Linked | null {
  const text = withDiskErrors('Looking for a link', () => textOf(layout.linked))
  const linked = text === null ? null : parseLinked(text)
  if (linked !== undefined) return linked
  throw new LockstepError('disk-error', `${layout.linked} is damaged`, {
    hint: `Point ${layout.current} to where it should lead, then remove the file.`,
  })
}

/** The version that `current` led to before; null where that was none, or cannot be told. */
export function linkedBefore(layout: AppLayout): string | null {
  const text = withDiskErrors('Looking for a link', () => textOf(layout.linked))
  const [, version = null] = /^versions\/([^/]+)$/.exec(parseLinked(text ?? '')?.before ?? '') ?? []
  return version
}

/** @throws LockstepError `no-space`, `disk-error` */
export function writeLinked(layout: AppLayout, linked: Linked): void {
  withDiskErrors('Noting the link', () => {
    writeDurablySync(layout.linked, `${JSON.stringify(linked)}\n`, 0o644)
  })
}

/** @throws LockstepError `disk-error` */
export function removeLinked(layout: AppLayout): void {
  withDiskErrors('Forgetting the link', () => {
    rmSync(layout.linked, { force: true })
    syncDirectory(layout.lockstep)
  })
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw error
  }
}

/** Undefined for what is none. */
function parseLinked(text: string): Linked | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { directory, before, hold } = value as Partial<Record<keyof Linked, unknown>>
    if (typeof directory !== 'string' || typeof hold !== 'string') return undefined
    return before === null || typeof before === 'string' ? { directory, before, hold } : undefined
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return undefined
  }
}
