// Which packages a part of the program runs on: followed from its entry file by file, so that one that
// sneaks in through shared/ is found too. Reads sources and nothing else.

import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { posix, resolve } from 'node:path'
import { readSource } from '../source-text.ts'

export interface ProgramImports {
  /** The project's own files, sorted. */
  readonly files: readonly string[]
  /** Names of packages that one of these files names itself, sorted. */
  readonly packages: readonly string[]
}

/**
 * @param root the project
 * @param entries where the part begins, such as `agent/main.ts`
 */
export function programImports(root: string, entries: readonly string[]): ProgramImports {
  const packages = new Set<string>()
  const files = new Set<string>()
  const waiting = [...entries]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (files.has(path) || !path.endsWith('.ts')) continue
    files.add(path)
    for (const specifier of specifiersOf(path, readFileSync(resolve(root, path), 'utf8'))) {
      if (isBuiltin(specifier)) continue
      if (specifier.startsWith('#')) waiting.push(specifier.slice(1))
      else if (!specifier.startsWith('.')) packages.add(nameOf(specifier))
      else waiting.push(posix.join(posix.dirname(path), specifier))
    }
  }
  return { files: [...files].toSorted(), packages: [...packages].toSorted() }
}

/** Types are left out, since they are gone at run time; scripts of workers are not. */
function specifiersOf(path: string, text: string): string[] {
  const running = text.replaceAll(/^(?:import|export) type [^;]*?from '[^']*'$/gm, '')
  const imported = readSource(path, running).imports.map(({ specifier }) => specifier)
  const workers = running.matchAll(/new URL\('(\.[^']+\.ts)', import\.meta\.url\)/g)
  return [...imported, ...Array.from(workers, ([, script = '']) => script)]
}

function nameOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
