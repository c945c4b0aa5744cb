// Real release trees: a real npm package as it was published, with what releases of other languages
// have besides (links, executables, an empty directory), and its tarball as GNU tar writes it.

import { execFile } from 'node:child_process'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const modules = join(import.meta.dirname, '../../../node_modules')
const run = promisify(execFile)

export interface RealRelease {
  readonly version: string
  /** The .tar.gz, with the leading folder `release/`. */
  readonly tarball: string
  /** What GNU tar makes of it, in a directory of its own. */
  readonly extracted: string
}

/** @param source the package, such as `release-old` */
export async function realRelease(
  directory: string,
  source: string,
  version: string,
): Promise<RealRelease> {
  const built = join(directory, `built-${version}`)
  const top = join(built, 'release')
  await mkdir(built)
  await run('cp', ['-R', join(modules, source), top])
  await writeFile(join(top, 'VERSION'), `${version}\n`)
  await mkdir(join(top, 'bin'))
  await writeFile(join(top, 'bin/start'), '#!/bin/sh\nexec node ../index.js\n')
  await chmod(join(top, 'bin/start'), 0o755)
  await writeFile(join(top, 'bin/private'), 'for the owner alone\n')
  await chmod(join(top, 'bin/private'), 0o600)
  await writeFile(join(top, 'bin/open'), 'for everybody\n')
  await chmod(join(top, 'bin/open'), 0o666)
  await mkdir(join(top, 'var/empty'), { recursive: true })
  await chmod(join(top, 'var/empty'), 0o700)
  await symlink('bin/start', join(top, 'start'))
  await symlink('../package.json', join(top, 'bin/package'))
  await symlink('nowhere', join(top, 'dangling'))
  const tarball = join(directory, `${version}.tar.gz`)
  await run('tar', ['-C', built, '-czf', tarball, 'release'])
  const extracted = join(directory, `extracted-${version}`)
  await mkdir(extracted)
  await run('tar', ['-C', extracted, '--strip-components=1', '-xpzf', tarball])
  return { version, tarball, extracted }
}
