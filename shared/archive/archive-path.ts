// From an archive's name of an entry to the release's: the leading `./` that `tar -C DIR .` writes,
// the slash at a directory's end, and `--strip`.

import { checkPath, refusedEntry } from '../entry-rules.ts'

/**
 * `strip` counts segments as `tar --strip-components` does: a leading `.` is one.
 * @returns the path in the release, or null for a directory of which nothing is left: the root, or
 *   one above what is kept.
 * @throws LockstepError `refused-entry` when the name breaks a rule, before or after stripping, or
 *   when nothing is left of something that is no directory.
 */
export function releasePathOf(name: string, isDirectory: boolean, strip: number): string | null {
  const whole = isDirectory && name.endsWith('/') ? name.slice(0, -1) : name
  const isRoot = isDirectory && (whole === '.' || name === '')
  if (isRoot) return null
  checkPath(withoutDot(whole))
  const kept = withoutDot(whole.split('/').slice(strip).join('/'))
  if (kept === '') {
    if (isDirectory) return null
    throw refusedEntry('nothing-left', name, `--strip ${strip}`)
  }
  checkPath(kept)
  return kept
}

function withoutDot(path: string): string {
  return path.startsWith('./') ? path.slice(2) : path
}
