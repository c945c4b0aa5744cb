// Numbers and instants in the words that people read. Pure; times are shown in the machine's zone.

const units = ['B', 'KB', 'MB', 'GB', 'TB']

/** Decimal units, as disks and lines are sold: `812 MB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(bytes || 1) / 3)))
  const value = bytes / 1000 ** power
  const digits = power > 0 && value < 100 ? 1 : 0
  return `${value.toFixed(digits)} ${units[power] ?? ''}`
}

/** `3.2 ms`, `7.1 s`, `4 min 05 s`, `3 h 20 min`, `2 days`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${ms < 100 ? trimmed(ms) : Math.round(ms)} ms`
  if (ms < 59_950) return `${trimmed(ms / 1000)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${twoDigits(seconds % 60)} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`
  return `${Math.round(minutes / 1440)} days`
}

/** A length of time in one unit, rounded down: `40 s`, `3 min`, `5 h`, `2 days`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} days`
}

/** `2026-11-23 14:03:22` */
export function instantText(at: number): string {
  const date = new Date(at)
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(twoDigits).join('-')
  return `${day} ${clockText(at)}`
}

/** `14:03:22` */
export function clockText(at: number): string {
  const date = new Date(at)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':')
}

/** Rounded down, so that 100 % is never said too early. */
export function percentText(part: number, whole: number): string {
  return `${whole <= 0 ? 0 : Math.min(100, Math.floor((part / whole) * 100))} %`
}

/** `1 host`, `5 hosts` */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** `a, b and c`; at most `max` names, then `and 7 more`. */
export function namesText(names: readonly string[], max: number): string {
  if (names.length > max) {
    return `${names.slice(0, max).join(', ')} and ${names.length - max} more`
  }
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
}

function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
