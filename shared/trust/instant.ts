// Instants as trust files and statements write them: RFC 3339 in UTC, seconds or milliseconds.

const pattern = /^(2\d{3})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{3}))?Z$/

/** @returns epoch milliseconds; null for another form and for a day or time that does not exist */
export function parseInstant(text: string): number | null {
  const match = pattern.exec(text)
  if (match === null) return null
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = match
    .slice(1)
    .map((digits) => Number(digits ?? 0))
  const isTime = hour < 24 && minute < 60 && second < 60
  const isDay = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
  return isTime && isDay ? Date.UTC(year, month - 1, day, hour, minute, second, ms) : null
}

function daysIn(year: number, month: number): number {
  return (Date.UTC(year, month, 1) - Date.UTC(year, month - 1, 1)) / 86_400_000
}
