// What of others runs in the agent: few packages, none native, none with an install script. Followed
// from its program file by file, so that one that sneaks in through shared/ is found too.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { programImports } from '../../scripts/sbom/program-imports.ts'

const root = join(import.meta.dirname, '../..')
/** Whoever is asked to trust the agent has to read these too. */
const packagesMax = 5

interface About {
  readonly dependencies?: Record<string, string>
  readonly scripts?: Record<string, string>
  readonly gypfile?: boolean
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
  const { files, packages } = programImports(root, ['agent/main.ts'])
  t.ok(files.length > 100, `${files.length} files were followed`)
  const all = closureOf(packages)
  t.comment(`${packages.length} packages: ${packages.join(', ')}`)
  t.comment(`${all.size} with what these need: ${[...all].toSorted().join(', ')}`)
  t.ok(packages.length <= packagesMax, `${packages.length} packages, at most ${packagesMax}`)
  t.ok(packages.includes('ws') && packages.includes('undici'), 'what is known is found')
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
