// Sizes in the words of people. Pure.

const units = ['B', 'KB', 'MB', 'GB', 'TB']

/** Decimal units, as disks are sold: `812 MB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(bytes || 1) / 3)))
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power] ?? ''}`
}
