// Small releases for tests that need many of them: a few dozen files, some of which differ from
// version to version, as a tarball in memory.

import { archive, directory, file, gzip, link } from './archives.ts'

const filesShared = 20
const filesChanged = 5

/** A tarball with the leading folder `package/`; the file `version` holds its version. */
export function smallRelease(version: string, compress: (bytes: Buffer) => Buffer = gzip): Buffer {
  const shared = Array.from({ length: filesShared }, (_, at) =>
    file(`package/lib/shared-${at}.js`, `export const value = ${at}\n`.repeat(40)),
  )
  const changed = Array.from({ length: filesChanged }, (_, at) =>
    file(`package/lib/changed-${at}.js`, `export const version = '${version}.${at}'\n`.repeat(40)),
  )
  return compress(
    archive(
      directory('package/'),
      file('package/version', `${version}\n`),
      file('package/run', '#!/bin/sh\ncat version\n', { mode: 0o755 }),
      directory('package/lib/'),
      link('package/latest', 'lib/changed-0.js'),
      ...shared,
      ...changed,
    ),
  )
}
