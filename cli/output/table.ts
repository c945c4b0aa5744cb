// Columns of text, two spaces apart, as wide as what is in them. Words only.

import { bold, plain, type Text } from './text.ts'

/** One line for the headings and one for each row; none where there are no rows. */
export function table(headings: readonly string[], rows: readonly (readonly Text[])[]): Text[] {
  if (rows.length === 0) return []
  const all: (readonly Text[])[] = [headings.map((heading) => bold(heading)), ...rows]
  const widths = headings.map((_, column) =>
    Math.max(...all.map((row) => widthOf(row[column] ?? ''))),
  )
  return all.map((row) => lineOf(row, widths))
}

/** Name and value under each other, indented; rows without a value are left out. */
export function facts(rows: readonly (readonly [string, Text | undefined])[]): Text[] {
  const shown = rows.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]))
  const width = Math.max(0, ...shown.map(({ name }) => name.length))
  return shown.map(({ name, value }) => ['  ', name.padEnd(width), '  ', value])
}

function lineOf(row: readonly Text[], widths: readonly number[]): Text {
  const last = row.findLastIndex((cell) => widthOf(cell) > 0)
  return row
    .slice(0, last + 1)
    .flatMap((cell, column) =>
      column === last ? [cell] : [cell, ' '.repeat((widths[column] ?? 0) - widthOf(cell) + 2)],
    )
}

function widthOf(text: Text): number {
  return Array.from(plain(text)).length
}
