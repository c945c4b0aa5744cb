// Where a path really is, once every link on the way is followed (realpath(3)).

import { realpathSync } from 'node:fs'
import { systemCodeOf } from '#shared/errors.ts'

/** @returns null for what is not there or may not be looked at */
export function realPathOf(path: string): string | null {
  try {
    return realpathSync(path)
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return null
  }
}
