// Durations in the configuration: how one is written, read and shown.

import { type MistakeList, pathOf, shownValue, type Table } from './config-mistakes.ts'

export interface DurationBounds {
  readonly minMs: number
  readonly maxMs: number
  /** What is meant when the key is left out. */
  readonly defaultMs: number
}

const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const
const durationPattern = /^([0-9]{1,9})(ms|s|m|h|d)$/

/** @returns milliseconds; the default after noting a mistake */
export function durationOf(
  table: Table,
  key: string,
  at: string,
  bounds: DurationBounds,
  mistakes: MistakeList,
): number {
  if (!Object.hasOwn(table, key)) return bounds.defaultMs
  const write = `a time from "${durationText(bounds.minMs)}" to "${durationText(bounds.maxMs)}"`
  const text = mistakes.text(table, key, at, write)
  if (text === undefined) return bounds.defaultMs
  const durationMs = parseDuration(text)
  if (durationMs === null) {
    mistakes.add(pathOf(at, key), `${shownValue(text)} is no time with its unit`, write)
  } else if (durationMs < bounds.minMs || durationMs > bounds.maxMs) {
    mistakes.add(pathOf(at, key), `${shownValue(text)} is out of range`, write)
  } else return durationMs
  return bounds.defaultMs
}

/** The largest unit that gives a whole number: 90000 is `90s`, 3600000 `1h`. */
export function durationText(durationMs: number): string {
  const [unit, unitMs] = Object.entries(units).find(
    ([, sizeMs]) => durationMs >= sizeMs && durationMs % sizeMs === 0,
  ) ?? ['s', units.s]
  return `${durationMs / unitMs}${unit}`
}

function parseDuration(text: string): number | null {
  const [, digits, unit] = durationPattern.exec(text) ?? []
  if (digits === undefined || !isUnit(unit)) return null
  return Number(digits) * units[unit]
}

function isUnit(text: string | undefined): text is keyof typeof units {
  return text !== undefined && Object.hasOwn(units, text)
}
