// A tarball for the tests of the command, and what a controller that took it in would show of it.

import { Readable } from 'node:stream'
import { type TarballReading, readTarball } from '#cli/tarball/tarball-facts.ts'
import type { ReleaseView } from '#shared/api/schemas.ts'
import { archive, file } from '../support/archives.ts'
import { release } from './cli-views.ts'

/** One file in one folder. */
export const tarball = archive(file('shop/index.html', '<h1>shop</h1>\n'))

/** As published under version 1.x with `number` 1, by what the tarball really is. */
export async function publishedView(
  version: string,
  bytes: Buffer = tarball,
  reading: Partial<TarballReading> = {},
): Promise<ReleaseView> {
  const stream = Readable.from([bytes])
  const facts = await readTarball(stream, { strip: 0, requires: null, ...reading })
  const { tree, artifact, artifactBytes, entries, treeBytes } = facts
  return { ...release(version, 1), tree, artifact, artifactBytes, entries, treeBytes }
}
