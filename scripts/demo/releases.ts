// The two releases of the demo: adjacent versions of a real npm package, each with a small program of
// its own that answers requests with it.

import { cpSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { create } from 'tar'

const modules = join(import.meta.dirname, '../../node_modules')

/** Every answer is made by the release's own code and names its release. */
const server = (version: string): string => `import { readFileSync } from 'node:fs'
import { formatISO } from './formatISO.js'

const about = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

export function answer(host) {
  return { release: '${version}', library: 'date-fns ' + about.version, host, at: formatISO(new Date()) }
}
`

export interface DemoRelease {
  readonly version: string
  readonly tarball: string
  readonly files: number
  readonly sizeBytes: number
}

/**
 * Builds a release as CI would, and packs it.
 * @param source the package, such as `release-old`
 */
export async function buildRelease(
  directory: string,
  source: string,
  version: string,
): Promise<DemoRelease> {
  const top = join(directory, `shop-${version}`)
  mkdirSync(directory, { recursive: true })
  cpSync(join(modules, source), top, { recursive: true })
  writeFileSync(join(top, 'server.js'), server(version))
  const tarball = `${top}.tar.gz`
  await create({ gzip: { level: 5 }, cwd: top, file: tarball, portable: true }, ['.'])
  const entries = readdirSync(top, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).length
  return { version, tarball, files, sizeBytes: statSync(tarball).size }
}
