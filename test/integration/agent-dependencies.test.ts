// What of others runs in the agent: few packages, none native, none with an install script. Followed
// from its program file by file, so that one that sneaks in through shared/ is found too.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { readSource } from '../tidy/source-text.ts'

const root = join(import.meta.dirname, '../..')
/** Whoever is asked to trust the agent has to read these too. */
const packagesMax = 5

interface About {
  readonly dependencies?: Record<string, string>
  readonly scripts?: Record<string, string>
  readonly gypfile?: boolean
}

/** Every package that the files below this one name, types left out: they are gone at run time. */
function packagesOf(program: string): Set<string> {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const waiting = [program]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path) || !path.endsWith('.ts')) continue
    seen.add(path)
    const text = readFileSync(join(root, path), 'utf8').replaceAll(/^import type [^;]*?$/gm, '')
    for (const { specifier } of readSource(path, text).imports) {
      if (isBuiltin(specifier)) continue
      if (specifier.startsWith('.'))
        waiting.push(relative(root, join(root, dirname(path), specifier)))
      else if (specifier.startsWith('#')) waiting.push(specifier.slice(1))
      else packages.add(nameOf(specifier))
    }
    for (const [, script = ''] of text.matchAll(/new URL\('(\.[^']+\.ts)', import\.meta\.url\)/g)) {
      waiting.push(relative(root, join(root, dirname(path), script)))
    }
  }
  t.ok(seen.size > 100, `${seen.size} files were followed`)
  return packages
}

function nameOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

function directoryOf(name: string): string {
  return join(root, 'node_modules', name)
}

function aboutOf(name: string): About {
  return JSON.parse(readFileSync(join(directoryOf(name), 'package.json'), 'utf8'))
}

/** With all that they need themselves. */
function closureOf(packages: Iterable<string>): Set<string> {
  const found = new Set<string>()
  const waiting = [...packages]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue
    found.add(name)
    waiting.push(...Object.keys(aboutOf(name).dependencies ?? {}))
  }
  return found
}

void t.test('the agent runs on few packages, and none of them is native', async (t) => {
  const packages = packagesOf('agent/main.ts')
  const all = closureOf(packages)
  t.comment(`${packages.size} packages: ${[...packages].toSorted().join(', ')}`)
  t.comment(`${all.size} with what these need: ${[...all].toSorted().join(', ')}`)
  t.ok(packages.size <= packagesMax, `${packages.size} packages, at most ${packagesMax}`)
  t.ok(packages.has('ws') && packages.has('undici'), 'what is known to be there is found')
  for (const name of all) {
    const { scripts = {}, gypfile } = aboutOf(name)
    const installs = ['preinstall', 'install', 'postinstall'].filter((step) => step in scripts)
    t.same(installs, [], `${name} runs nothing when it is installed`)
    t.not(gypfile, true, `${name} is not built`)
    t.notOk(existsSync(join(directoryOf(name), 'binding.gyp')), `${name} has nothing to build`)
    const native = readdirSync(directoryOf(name), { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.node'),
    )
    t.same(native, [], `${name} brings no machine code`)
  }
})
