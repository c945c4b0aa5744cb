// Judges PHP-FPM's caches against what a swap needs of them. Pure.

import type { PhpSettings } from './php-settings.ts'
import { fail, type Judgement, ok, warn } from '#shared/finding.ts'

export interface PhpFacts {
  readonly settings: PhpSettings
  /** Files of PHP in the release that `current` leads to. */
  readonly phpFiles: number
  /** Whether nginx gives PHP real paths; null where no location of nginx was found. */
  readonly passesRealPath: boolean | null
  /** Whether a step after each activation empties the opcode cache. */
  readonly isReset: boolean
}

/** OPcache takes the next of these (ext/opcache, zend_accel_hash.c). */
const hashSizes = [
  223, 463, 983, 1979, 3907, 7963, 16229, 32531, 65407, 130987, 262237, 524521, 1048793,
]

const reset =
  'Let each activation reset it: `opcache = "SOCKET"`, or the FPM unit in `reload`, in agent.toml.'

export function judgePhp({ settings, phpFiles, passesRealPath, isReset }: PhpFacts): Judgement {
  const { source, validateTimestamps, realpathCacheSeconds } = settings
  const { opcacheEnabled, maxAcceleratedFiles } = settings
  if (passesRealPath !== true && !isReset) {
    if (opcacheEnabled && !validateTimestamps) {
      return fail(
        `${source}: with opcache.validate_timestamps off the old release runs on after a swap`,
        `Pass $realpath_root in nginx. ${reset}`,
      )
    }
    if (realpathCacheSeconds > 0) {
      return warn(
        `${source}: after a swap paths lead to the old release for up to ` +
          `${realpathCacheSeconds} s (realpath_cache_ttl)`,
        `Pass $realpath_root in nginx. ${reset}`,
      )
    }
  }
  if (!opcacheEnabled) return ok(`${source}: opcache is off`)
  const room = hashSizes.find((size) => size >= maxAcceleratedFiles) ?? maxAcceleratedFiles
  if (room < 2 * phpFiles) {
    return warn(
      `${source}: opcache has room for ${room} files, and two releases have ${2 * phpFiles}`,
      `Set opcache.max_accelerated_files to ${2 * phpFiles} or more.`,
    )
  }
  if (!isReset) {
    const swaps = phpFiles === 0 ? 0 : Math.floor(room / phpFiles)
    const when = phpFiles === 0 ? 'some' : `about ${swaps}`
    return warn(
      `${source}: every release adds ${phpFiles} files to the opcode cache, ` +
        `which is full after ${when} swaps`,
      reset,
    )
  }
  return ok(`${source}: opcache has room for ${room} files, and the release has ${phpFiles}`)
}
