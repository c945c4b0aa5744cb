// Puts a link where a real directory stands, and the directory into `versions/`: nothing is copied and
// nothing deleted. With an exchange there is no moment without `current`; without one there is, which
// is measured.
//
// The link is made under the directory's new name with the text that it needs as `current`. One
// exchange then puts each in its place: `current` leads to the directory from that instant on.

import { renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { syncDirectory } from '../adapters/durable-file.ts'
import type { AppLayout } from '../layout/app-layout.ts'
import { currentTemporaryPath } from '../layout/current-link.ts'
import type { Exchange } from './exchange.ts'
import { linkTextOf, refusal } from './survey.ts'

/** @param name of the directory in `versions/`, where nothing of that name is */
export async function exchangeForLink(
  layout: AppLayout,
  name: string,
  exchange: Exchange,
): Promise<void> {
  const place = join(layout.versions, name)
  symlinkSync(`versions/${name}`, place)
  syncDirectory(layout.versions)
  const failure = await exchange(place, layout.current)
  if (linkTextOf(layout.current) === `versions/${name}`) {
    syncBoth(layout)
    return
  }
  unlinkSync(place)
  throw refusal(
    `${layout.current} could not be exchanged for a link: ${failure ?? 'nothing happened'}`,
    'It may be a mount, or in use by a mount; otherwise `--accept-gap` moves it without.',
  )
}

/** @returns how long `current` was not there, in milliseconds */
export function moveThenLink(layout: AppLayout, name: string): number {
  const place = join(layout.versions, name)
  const link = currentTemporaryPath(layout)
  symlinkSync(`versions/${name}`, link)
  let startedMs: number
  try {
    startedMs = performance.now()
    renameSync(layout.current, place)
  } catch (error) {
    unlinkSync(link)
    throw error
  }
  try {
    renameSync(link, layout.current)
  } catch (error) {
    renameSync(place, layout.current)
    unlinkSync(link)
    throw error
  }
  const gapMs = performance.now() - startedMs
  syncBoth(layout)
  return gapMs
}

/** Makes the link that an adoption with a gap was cut off before. */
export function linkAgain(layout: AppLayout, name: string): void {
  const link = currentTemporaryPath(layout)
  symlinkSync(`versions/${name}`, link)
  renameSync(link, layout.current)
  syncBoth(layout)
}

/** Removes the link that an exchange was cut off before; it leads nowhere. */
export function removeHalf(layout: AppLayout, name: string): void {
  const place = join(layout.versions, name)
  if (linkTextOf(place) === `versions/${name}`) unlinkSync(place)
}

function syncBoth(layout: AppLayout): void {
  syncDirectory(layout.versions)
  syncDirectory(layout.root)
}
