// The rules of the source tree that neither the compiler nor the linter can hold: who may import
// whom, what shared/ may touch, sizes, leftovers. Every rule is a pure function of one file, so
// that a planted bad file shows that it bites. A finding says the rule and the remedy.

import { posix } from 'node:path'
import type { SourceText } from '../../scripts/source-text.ts'

export interface Finding {
  readonly path: string
  readonly line: number
  readonly what: string
  readonly remedy: string
}

export type Rule = (source: SourceText) => Finding[]

/** What may be imported beside one's own side; node modules and packages are in `packages`. */
const sides: Record<string, { readonly imports: readonly string[]; readonly packages: RegExp }> = {
  shared: {
    imports: [],
    packages: /^(?:typebox(?:\/.*)?|node:(?:crypto|assert|assert\/strict|buffer))$/,
  },
  controller: { imports: ['shared'], packages: /./ },
  agent: { imports: ['shared'], packages: /^(?!(?:better-sqlite3|kysely|fastify|@fastify\/))/ },
  cli: {
    imports: ['shared', 'systemd'],
    packages: /^(?!(?:better-sqlite3|kysely|fastify|@fastify\/))/,
  },
  systemd: { imports: ['shared'], packages: /^(?:node:|pino$)/ },
  bin: { imports: [], packages: /^node:/ },
}

/** Reading an archive takes a parser and decoders: bytes in, bytes out, as pure as a hash. */
const ofArchives = /^(?:tar|node:(?:util|zlib))$/

/** The one entry of the program puts its parts together: it loads the one that is asked for. */
const loadedByEntry = ['cli', 'controller', 'agent']

/** What makes a process of a daemon. */
const daemons = ['controller/main.ts', 'agent/main.ts']

const layers: Rule = (source) => {
  const side = sideOf(source.path)
  const allowed = side === undefined ? undefined : sides[side]
  if (side === undefined || allowed === undefined) return []
  return source.imports.flatMap(({ specifier, line, isDynamic }) => {
    const target = targetOf(source.path, specifier)
    if (target === undefined) {
      if (allowed.packages.test(specifier)) return []
      if (source.path.startsWith('shared/archive/') && ofArchives.test(specifier)) return []
      const remedy =
        side === 'shared'
          ? 'shared/ is pure: let the caller pass the value in'
          : 'go through the side that owns it (the database and HTTP server are the controller’s)'
      return [finding(source, line, `${side}/ imports "${specifier}"`, remedy)]
    }
    const there = sideOf(target) ?? target
    if (there === side || allowed.imports.includes(there)) return []
    if (side !== 'shared' && target === 'package.json') return []
    if (side === 'bin' && isDynamic && loadedByEntry.includes(there)) return []
    // A daemon's main makes it a service: log, notifications, one instance.
    if (there === 'systemd' && daemons.includes(source.path)) return []
    const remedy = 'controller, agent and cli meet only in shared/: move what both need there'
    return [finding(source, line, `${side}/ imports ${target}`, remedy)]
  })
}

const importForm: Rule = (source) => {
  const side = sideOf(source.path)
  return source.imports.flatMap(({ specifier, line }) => {
    const target = targetOf(source.path, specifier)
    if (target === undefined || target === 'package.json') return []
    const isNear = sideOf(target) === side
    if (isNear === specifier.startsWith('.')) return []
    const remedy = isNear ? 'write a relative path inside a side' : 'write "#side/file.ts"'
    return [finding(source, line, `imports "${specifier}"`, remedy)]
  })
}

const impurities: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\b|\bperformance\.|\bprocess\.hrtime\b/, 'reads a clock'],
  [/\bMath\.random\b|\brandom(?:Bytes|UUID|Int|FillSync|Fill)\b/, 'is random'],
  [/\bgetRandomValues\b|\bgenerateKey\w*\b/, 'is random'],
  [/\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/, 'starts a timer'],
  [/\bprocess\./, 'reaches the process'],
  [/\bfetch\(|\bconsole\./, 'reaches the world'],
]

const purity: Rule = (source) =>
  sideOf(source.path) === 'shared'
    ? impurities.flatMap(([pattern, what]) =>
        search(source, source.code, pattern, `shared/ ${what}`, 'take it as an argument'),
      )
    : []

const moduleState: Rule = (source) =>
  sideOf(source.path) === undefined
    ? []
    : search(
        source,
        source.code,
        /^(?:export )?(?:let|var) /,
        'a module keeps state',
        'keep it in an object that a composition root builds',
      )

const namedExports: Rule = (source) =>
  sideOf(source.path) === undefined
    ? []
    : search(
        source,
        source.code,
        /^export default\b|\bas default\b/,
        'a default export',
        'export it by its name',
      )

const leftovers: Rule = (source) => [
  ...search(source, source.code, /\.only\(|\bonly: true\b/, 'one test runs alone', 'remove `only`'),
  ...search(source, source.comments, /\b(?:FIXME|XXX)\b/, 'work left over', 'do it, or file it'),
  ...search(source, source.code, /\bas any\b/, '`as any`', 'give it its type or parse it'),
  ...search(
    source,
    source.comments,
    /@ts-(?:ignore|nocheck|expect-error)/,
    'the compiler is silenced',
    'mend the type',
  ),
]

/** A text that a test quotes to the letter cannot be broken. */
const isQuotedWhole = (line: string): boolean => /^\s*(?:\w+: )?(['"`]).*\1,?$/.test(line)

const lengths: Rule = (source) => {
  const isSource = sideOf(source.path) !== undefined
  const linesMax = isSource ? 350 : 600
  const widthMax = 110
  const lines = source.lines.length - (source.lines.at(-1) === '' ? 1 : 0)
  const tooLong = lines <= linesMax ? [] : [linesMax + 1]
  return [
    ...tooLong.map((line) =>
      finding(source, line, `${lines} lines, over ${linesMax}`, 'split it by the nouns it owns'),
    ),
    ...source.lines.flatMap((text, at) =>
      text.length <= widthMax || (!isSource && isQuotedWhole(text))
        ? []
        : [finding(source, at + 1, `${text.length} columns, over ${widthMax}`, 'break the line')],
    ),
  ]
}

const opening: Rule = (source) => {
  const first = source.lines.find((line) => !line.startsWith('#!'))
  if (first !== undefined && /^\/[/*]/.test(first)) return []
  const remedy = 'open with 1 to 4 lines: what the file owns, what it must not do'
  return [finding(source, 1, 'no opening comment', remedy)]
}

const vagueNames = ['utils', 'util', 'helpers', 'helper', 'common', 'misc', 'lib', 'index']

const names: Rule = (source) =>
  source.path.split('/').flatMap((part) => {
    const name = part.replace(/\..*$/, '')
    if (vagueNames.includes(name)) {
      return [finding(source, 1, `"${part}" says nothing`, 'name it for the noun it owns')]
    }
    if (/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) return []
    return [finding(source, 1, `"${part}" is not kebab-case`, 'use lower case and "-"')]
  })

export const rules: Readonly<Record<string, Rule>> = {
  layers,
  importForm,
  purity,
  moduleState,
  namedExports,
  leftovers,
  lengths,
  opening,
  names,
}

/** `shared` for `shared/ids.ts`; undefined for tests, scripts and benchmarks. */
export function sideOf(path: string): string | undefined {
  const [first = ''] = path.split('/')
  return first in sides ? first : undefined
}

/** The project's file that a specifier means; undefined for a package or node module. */
function targetOf(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1)
  if (!specifier.startsWith('.')) return undefined
  return posix.join(posix.dirname(path), specifier)
}

function search(
  source: SourceText,
  lines: readonly string[],
  pattern: RegExp,
  what: string,
  remedy: string,
): Finding[] {
  return lines.flatMap((text, at) =>
    pattern.test(text) ? [finding(source, at + 1, what, remedy)] : [],
  )
}

function finding(source: SourceText, line: number, what: string, remedy: string): Finding {
  return { path: source.path, line, what, remedy }
}
