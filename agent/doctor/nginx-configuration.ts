// Reads nginx's configuration as a tree of directives, includes resolved. Pure: the texts of the files are
// given. https://nginx.org/en/docs/beginners_guide.html#conf_structure

import { matchesGlob, posix } from 'node:path'

export interface Directive {
  readonly name: string
  readonly args: readonly string[]
  /** Of `server { … }` and the like; empty for a simple directive. */
  readonly block: readonly Directive[]
}

/** Texts of configuration files by their absolute paths. */
export type ConfigurationFiles = ReadonlyMap<string, string>

/** Includes of includes: nginx itself knows no bound, and a file that includes itself has no end. */
const includeDepthMax = 16

/** The files in the output of `nginx -T`, the main one first. */
export function splitDump(dump: string): ConfigurationFiles {
  const files = new Map<string, string>()
  const parts = dump.split(/^# configuration file (\/.*):$/m).slice(1)
  for (let at = 0; at + 1 < parts.length; at += 2) files.set(parts[at] ?? '', parts[at + 1] ?? '')
  return files
}

/** @param main the path of nginx.conf; what it includes and is not given counts as empty */
export function parseNginx(files: ConfigurationFiles, main: string): Directive[] {
  const reader = new ConfigurationReader(files, posix.dirname(main))
  return reader.read(main, 0)
}

class ConfigurationReader {
  readonly #files: ConfigurationFiles
  /** Relative includes are relative to the directory of nginx.conf. */
  readonly #directory: string

  constructor(files: ConfigurationFiles, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  read(path: string, depth: number): Directive[] {
    const words = wordsOf(this.#files.get(path) ?? '')
    return this.#directives(words, depth)
  }

  #directives(words: Word[], depth: number): Directive[] {
    const found: Directive[] = []
    let line: string[] = []
    for (let word = words.shift(); word !== undefined; word = words.shift()) {
      if (word.mark === '}') break
      if (word.mark === null) {
        line.push(word.text)
        continue
      }
      const [name = '', ...args] = line
      line = []
      if (word.mark === '{') found.push({ name, args, block: this.#directives(words, depth) })
      else if (name === 'include') found.push(...this.#included(args[0] ?? '', depth))
      else if (name !== '') found.push({ name, args, block: [] })
    }
    return found
  }

  #included(pattern: string, depth: number): Directive[] {
    if (depth >= includeDepthMax) return []
    const path = posix.resolve(this.#directory, pattern)
    const names = /[*?[]/.test(path)
      ? [...this.#files.keys()].filter((name) => matchesGlob(name, path)).toSorted()
      : [path]
    return names.flatMap((name) => this.read(name, depth + 1))
  }
}

interface Word {
  readonly text: string
  /** What stands for itself, unquoted. */
  readonly mark: '{' | '}' | ';' | null
}

/** Comments go to the end of the line; `${name}` is a variable and no block; Lua is passed over. */
const wordPattern =
  /\s+|#[^\n]*|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([{};])|((?:\\.|\$\{[^}]*\}|[^\s{};\\])+)/gs

function wordsOf(text: string): Word[] {
  const words: Word[] = []
  for (const match of withoutLua(text).matchAll(wordPattern)) {
    const [, double, single, mark, bare] = match
    const quoted = double ?? single
    if (quoted !== undefined) words.push({ text: quoted.replaceAll(/\\(.)/g, '$1'), mark: null })
    else if (bare !== undefined) words.push({ text: bare, mark: null })
    else if (mark === '{' || mark === '}' || mark === ';') words.push({ text: mark, mark })
  }
  return words
}

/** The body of `content_by_lua_block { … }` is another language. */
function withoutLua(text: string): string {
  let rest = text
  for (;;) {
    const found = /\b\w+_by_lua_block\b[^{};]*\{/.exec(rest)
    if (found === null) return rest
    const start = found.index + found[0].length
    rest = rest.slice(0, found.index) + rest.slice(endOfBlock(rest, start))
  }
}

/** Strings and comments of Lua may have braces of their own. */
const luaPart = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|--[^\n]*|[{}]/gs

function endOfBlock(text: string, start: number): number {
  let depth = 1
  for (const { 0: part, index } of text.slice(start).matchAll(luaPart)) {
    if (part === '{') depth += 1
    else if (part === '}') depth -= 1
    if (depth === 0) return start + index + 1
  }
  return text.length
}
