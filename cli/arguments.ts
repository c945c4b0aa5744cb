// Reads single arguments of the command line, strictly. A malformed one is a wrong usage, and says what
// would be right.

import { requirePattern } from '#shared/api/requests.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseHostName } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'

const unitsMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * A whole number and one unit: `90s`, `15m`, `1h`, `7d`.
 * @returns milliseconds
 * @throws LockstepError `bad-usage`
 */
export function parseDuration(text: string): number {
  const [, digits = '', unit = ''] = /^([1-9][0-9]{0,6})([smhd])$/.exec(text) ?? []
  const unitMs = unitsMs[unit]
  if (unitMs !== undefined) return Number(digits) * unitMs
  throw misuse(`${JSON.stringify(text)} is no duration`, 'Write it like 90s, 15m, 1h or 7d.')
}

/**
 * A day, which ends it, or an instant: `2027-01-31`, `2027-01-31T12:00:00Z`.
 * @returns epoch milliseconds
 * @throws LockstepError `bad-usage`
 */
export function parseInstant(text: string): number {
  const isInstant = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z)?$/.test(text)
  const at = isInstant ? Date.parse(text.includes('T') ? text : `${text}T23:59:59Z`) : Number.NaN
  if (!Number.isNaN(at)) return at
  throw misuse(
    `${JSON.stringify(text)} is no day and no instant`,
    'Write it like 2027-01-31 or 2027-01-31T12:00:00Z, in UTC.',
  )
}

/** @throws LockstepError `bad-usage` */
export function parseRequire(text: string): string {
  if (new RegExp(requirePattern).test(text)) return text
  throw misuse(
    `${JSON.stringify(text)} says not how many hosts are required`,
    'Write all, a number of hosts such as 3, or a percentage such as 60%.',
  )
}

/** @throws LockstepError `bad-usage` */
export function parseCount(text: string): number {
  if (/^[1-9][0-9]{0,5}$/.test(text)) return Number(text)
  throw misuse(`${JSON.stringify(text)} is no count`, 'Write a whole number from 1 on.')
}

/** @throws LockstepError `bad-usage` */
export function parseSequence(text: string): number {
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text)
  throw misuse(`${JSON.stringify(text)} is no sequence`, 'Write a whole number from 1 on.')
}

/** @throws LockstepError `bad-usage`, which does not repeat what may be a token's whole text */
export function parseTokenId(text: string): string {
  if (/^[0-9A-Za-z_-]{11}$/.test(text)) return text
  throw misuse(
    'what is to be revoked is no id of a token',
    'An id has 11 characters, as `lockstep token list` shows it.',
  )
}

/** @throws LockstepError `bad-usage` */
export function parseStrip(text: string): number {
  if (/^[0-9]$/.test(text)) return Number(text)
  throw misuse(
    `${JSON.stringify(text)} is no number of folders to strip`,
    'Write a digit: --strip 1 leaves out the one leading folder of every path.',
  )
}

/**
 * Adds `HOST=REASON` to those given before.
 * @throws LockstepError `bad-usage`, `bad-name`
 */
export function parseExclude(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=')
  const reason = at < 0 ? '' : text.slice(at + 1).trim()
  if (reason === '' || reason.length > limits.reasonCharsMax) {
    throw misuse(
      `--exclude ${JSON.stringify(text)} gives no reason`,
      'Write --exclude HOST=REASON, the reason in 1 to 200 characters: it is shown to everybody.',
    )
  }
  const host = parseHostName(text.slice(0, at))
  if (Object.hasOwn(before, host)) throw misuse(`--exclude names ${host} twice`, 'Name it once.')
  return { ...before, [host]: reason }
}

/** @throws LockstepError `bad-usage` */
export function parseReason(text: string): string {
  const reason = text.trim()
  if (reason !== '' && reason.length <= limits.reasonCharsMax) return reason
  throw misuse(
    `${JSON.stringify(text.slice(0, 80))} is empty or too long`,
    `Write 1 to ${limits.reasonCharsMax} characters: they are shown to everybody.`,
  )
}

export function misuse(message: string, hint: string): LockstepError {
  return new LockstepError('bad-usage', message, { hint })
}
