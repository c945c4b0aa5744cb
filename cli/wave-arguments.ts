// Reads what the command line says of waves and of hosts by their labels, strictly.

import type { WaveBody } from '#shared/api/requests.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseLabelValue } from '#shared/ids.ts'
import { parseSelector } from '#shared/labels.ts'
import { limits } from '#shared/limits.ts'
import { misuse, parseDuration } from './arguments.ts'
import { durationText } from './output/quantities.ts'

const waveHint =
  'Write --wave NAME=HOSTS or NAME=HOSTS:SOAK, with labels (role=web), a number or a percentage.'

/**
 * Adds labels, `role=web,zone=a`, to those given before: any one of them is enough.
 * @throws LockstepError `bad-name`
 */
export function parseOn(text: string, before: readonly string[] = []): string[] {
  return [...before, parseLabels(text)]
}

/** @throws LockstepError `bad-name` */
export function parseLabels(text: string): string {
  parseSelector(text)
  return text
}

/** @throws LockstepError `bad-usage` */
export function parseCanary(text: string): WaveBody {
  const number = numberOf(text)
  if (number !== undefined) return { name: 'canary', ...number }
  throw misuse(
    `--canary ${JSON.stringify(text)} says not how many hosts go first`,
    'Write a number of hosts such as 1, or a percentage such as 10%.',
  )
}

/**
 * The rest after a wave; `0` goes on at once.
 * @returns milliseconds
 * @throws LockstepError `bad-usage`
 */
export function parseSoak(text: string): number {
  const soakMs = text === '0' ? 0 : parseDuration(text)
  if (soakMs <= limits.pauseDeadlineMs) return soakMs
  throw misuse(
    `a rest of ${text} is longer than a rollout may stay between two releases`,
    `It is at most ${durationText(limits.pauseDeadlineMs)}.`,
  )
}

/**
 * Adds `NAME=HOSTS[:SOAK]` to the waves given before: `first=1`, `web=role=web:10m`, `half=50%:5m`.
 * @throws LockstepError `bad-usage`, `bad-name`
 */
export function parseWave(text: string, before: readonly WaveBody[] = []): WaveBody[] {
  const [, name = '', hosts = '', soak] = /^([^=]+)=([^:]+)(?::(.+))?$/.exec(text) ?? []
  if (name === '') throw misuse(`--wave ${JSON.stringify(text)} is no wave`, waveHint)
  const wave = {
    name: parseLabelValue(name),
    ...(numberOf(hosts) ?? { label: labelsOf(hosts) }),
    ...(soak === undefined ? {} : { soakMs: parseSoak(soak) }),
  }
  if (before.some((known) => known.name === name)) {
    throw misuse(`--wave names ${name} twice`, 'Give each wave a name of its own.')
  }
  return [...before, wave]
}

function labelsOf(text: string): string {
  try {
    return parseLabels(text)
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    throw misuse(`${JSON.stringify(text)} says not which hosts: ${error.message}`, waveHint)
  }
}

function numberOf(text: string): { count: number } | { percent: number } | undefined {
  if (/^[1-9][0-9]{0,3}$/.test(text)) return { count: Number(text) }
  if (/^(100|[1-9][0-9]?)%$/.test(text)) return { percent: Number(text.slice(0, -1)) }
  return undefined
}
