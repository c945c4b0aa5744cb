// Asks root who uses an app's releases: starts the unit lockstep-inuse@APP, which is root's and takes
// nothing but the name, and reads the list that it leaves. No answer, an old one or one that says
// less than was asked is none: then it is not known. systemctl(1).

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { parseUsageList, uptimeMs, type UsageList, usageListPath } from '../layout/usage-list.ts'
import { type AskWhoUses, type UsageVerdict, whoUses } from '../layout/who-uses.ts'
import type { Systemctl } from './systemctl.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export interface UsageUnitOptions {
  readonly app: string
  /** Where the unit's lists are; root's. */
  readonly directory?: string
  /** Who must have written the list, and nobody else may write it. */
  readonly writer?: number
  /** Runs the unit to its end. */
  readonly systemctl: Systemctl
  /** What this process sees by itself. */
  readonly ownLook?: AskWhoUses
}

/** The RuntimeDirectory of systemd/lockstep-inuse@.service. */
const runtimeDirectory = '/run/lockstep-inuse'

/** Looks for itself, and asks root only where that does not show everything. */
export function askRootWhoUses(options: UsageUnitOptions): AskWhoUses {
  const { app, directory = runtimeDirectory, writer = 0 } = options
  const { systemctl, ownLook = whoUses } = options
  const path = usageListPath(directory, app)
  return async (directories) => {
    const own = await ownLook(directories)
    if (own.kind === 'known') return own
    const before = readList(path, app, writer)
    const unit = `lockstep-inuse@${app}.service`
    const timeoutMs = limits.usageUnitTimeoutMs
    const { exitCode, said } = await systemctl(['start', '--', unit], { timeoutMs })
    if (exitCode !== 0) {
      return { kind: 'unknown', reason: `${own.reason}, and ${unit} did not help: ${said}` }
    }
    return judge(readList(path, app, writer), before, directories)
  }
}

function judge(
  list: UsageList | string,
  before: UsageList | string,
  directories: readonly string[],
): UsageVerdict {
  const unknown = (reason: string): UsageVerdict => ({ kind: 'unknown', reason })
  if (typeof list === 'string') return unknown(list)
  const isOld = typeof before !== 'string' && before.id === list.id
  const ageMs = uptimeMs() - list.uptimeMs
  if (isOld || ageMs < -1000 || ageMs > limits.usageListAgeMaxMs) {
    return unknown(`root’s list of ${list.at} is an old one`)
  }
  if (list.unseenCount > 0) {
    return unknown(`${list.unseenCount} processes do not let even root look at what they use`)
  }
  const missing = directories.find((directory) => !list.directories.includes(directory))
  if (missing !== undefined) return unknown(`root’s list does not know ${missing}`)
  return { kind: 'known', users: new Map(list.used.map((use) => [use.path, use])) }
}

/** The list, or why there is none to be believed. */
function readList(path: string, app: string, writer: number): UsageList | string {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      const { uid, mode } = fstatSync(descriptor)
      if (uid !== writer || (mode & 0o022) !== 0) return `${path} is not root’s alone`
      return parseUsageList(readFileSync(descriptor, 'utf8'), app) ?? `${path} is no list of ${app}`
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return `${path} cannot be read (${code})`
  }
}
