// The list of what live processes use of an app, as root's own unit writes it for an agent that may
// not look for itself. Only root writes its directory; the agent believes a list only if it was made
// after it asked.

import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { uptime } from 'node:os'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { writeDurablySync } from '../adapters/durable-file.ts'
import type { AppLayout } from './app-layout.ts'
import { findUsage, type User } from './in-use.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { parseApp } from '#shared/ids.ts'
import { parseJson } from '#shared/json-text.ts'

export interface UsageList {
  readonly format: typeof format
  readonly app: string
  /** Another one in every list: how a new one is told from an old one. */
  readonly id: string
  /** When it was made, by the host's clock; for people. */
  readonly at: string
  readonly bootId: string | null
  /** Milliseconds since the boot, which no clock that is set can change. */
  readonly uptimeMs: number
  /** Absolute real paths of all that was looked at: releases, and what waits in the trash. */
  readonly directories: readonly string[]
  readonly used: readonly (User & { readonly path: string })[]
  /** Processes that not even root could look into. */
  readonly unseenCount: number
}

const format = 'lockstep-in-use 1'
/** More names than any clean-up leaves; who writes more of them is no friend. */
const directoriesMax = 5000

export function usageListPath(directory: string, app: string): string {
  return join(directory, `${parseApp(app)}.json`)
}

/**
 * Looks at everything that clean-up may remove of an app. For root, who sees all processes.
 * @throws LockstepError `disk-error` when the app's directories cannot be listed
 */
export async function makeUsageList(app: string, layout: AppLayout): Promise<UsageList> {
  const directories = withDiskErrors(`Listing what is in ${layout.root}`, () =>
    [layout.versions, layout.trash].flatMap(pathsIn),
  )
  if (directories.length > directoriesMax) {
    throw new LockstepError('disk-error', `${layout.root} has ${directories.length} releases`, {
      hint: `Clean up by hand in ${layout.versions}; at most ${directoriesMax} are looked at.`,
    })
  }
  const { users, unseenCount } = await findUsage(directories)
  return {
    format,
    app,
    id: randomUUID(),
    at: new Date().toISOString(),
    bootId: bootId(),
    uptimeMs: uptimeMs(),
    directories,
    used: [...users].map(([path, user]) => ({ path, ...user })),
    unseenCount,
  }
}

/** @throws LockstepError `disk-error` */
export function writeUsageList(directory: string, list: UsageList): string {
  const path = usageListPath(directory, list.app)
  withDiskErrors(`Writing ${path}`, () => {
    writeDurablySync(path, `${JSON.stringify(list)}\n`, 0o644)
  })
  return path
}

/** What the text of a list says; null when it is none of this app. */
export function parseUsageList(text: string, app: string): UsageList | null {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) return null
  const list = value as Partial<Record<keyof UsageList, unknown>>
  const isList =
    list.format === format &&
    list.app === app &&
    typeof list.id === 'string' &&
    typeof list.uptimeMs === 'number' &&
    typeof list.unseenCount === 'number' &&
    isListOf(list.directories, (path) => typeof path === 'string') &&
    isListOf(list.used, isUse)
  return isList ? (value as UsageList) : null
}

/** CLOCK_BOOTTIME, in milliseconds. */
export function uptimeMs(): number {
  return Math.round(uptime() * 1000)
}

/** Null where /proc has only processes, as in the agent's own sandbox. */
function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return null
  }
}

/** None where there is no such directory yet. */
function pathsIn(directory: string): string[] {
  try {
    const real = realpathSync(directory)
    return readdirSync(real).map((name) => join(real, name))
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return []
    throw error
  }
}

function isUse(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    'path' in value &&
    typeof value.path === 'string' &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'how' in value &&
    typeof value.how === 'string'
  )
}

function isListOf(value: unknown, isOne: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isOne)
}
