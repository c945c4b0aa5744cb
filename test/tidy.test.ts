// Keeps the tree tidy: runs the rules of test/tidy/ over every source file, and shows of each rule
// that it bites on a planted bad file. It has no dependencies but the test runner.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { rules } from './tidy/rules.ts'
import { readSource } from '../scripts/source-text.ts'

const root = join(import.meta.dirname, '..')
const folders = [
  'bin',
  'shared',
  'controller',
  'agent',
  'cli',
  'systemd',
  'test',
  'scripts',
  'bench',
  'examples',
]
const skipped = new Set(['node_modules', 'fixtures', 'vendor'])

/** What the rules say of one planted file, as "rule: line what". */
function findingsOf(path: string, text: string): string[] {
  const source = readSource(path, text)
  return Object.entries(rules).flatMap(([name, rule]) =>
    rule(source).map(({ line, what }) => `${name}: ${line} ${what}`),
  )
}

/** A file with a good opening, so that only what is planted below it is found. */
const planted = (path: string, ...lines: string[]): string[] =>
  findingsOf(path, ['// Owns nothing.', ...lines, ''].join('\n'))

void t.test('every source file keeps the rules of the tree', async (t) => {
  const files = folders.flatMap(sourceFilesBelow)
  for (const path of files) {
    const source = readSource(path, readFileSync(join(root, path), 'utf8'))
    const findings = Object.entries(rules).flatMap(([name, rule]) =>
      rule(source).map((f) => `${f.path}:${f.line} ${name}: ${f.what}; ${f.remedy}`),
    )
    t.equal(findings.join('\n'), '', path)
  }
  t.comment(`${files.length} files`)
  t.ok(files.includes('test/tidy.test.ts'), 'the walk finds files at all')
})

void t.test('a good file of every side passes', async (t) => {
  t.same(
    planted(
      'shared/good.ts',
      "import { createHash } from 'node:crypto'",
      "import { Type } from 'typebox'",
      "import { Compile } from 'typebox/compile'",
      "import type { Release } from '../shared/release.ts'",
      'export const label = "Date.now() as any, process.exit() and \'node:fs\'"',
      'export const text = `import x from "#agent/app.ts" ${createHash("md5")} FIXME`',
      'const half = 4 / 2 // no regular expression, nor is this: process.exit',
      'export const pattern = /"[/"]Math.random/',
      'export const letters = Array.from("abc")',
    ),
    [],
  )
  t.same(planted('shared/archive/x.ts', "import { Parser } from 'tar'", "import 'node:zlib'"), [])
  t.same(planted('controller/http/x.ts', "import Database from 'better-sqlite3'"), [])
  t.same(planted('agent/app.ts', "import { parseApp } from '#shared/ids.ts'"), [])
  t.same(planted('cli/commands/install.ts', "import { unit } from '#systemd/unit.ts'"), [])
  t.same(planted('bin/lockstep.ts', "await import('#controller/main.ts')"), [])
  t.same(planted('cli/main.ts', "import about from '../package.json' with { type: 'json' }"), [])
  t.same(planted('systemd/log.ts', "import { fstatSync } from 'node:fs'", "import 'pino'"), [])
  t.same(planted('test/x.test.ts', "import { app } from '#agent/app.ts'", 'let count = 0'), [])
})

void t.test('layers: no side imports what is above or beside it', async (t) => {
  const layer = (path: string, line: string): string | undefined =>
    planted(path, line).find((finding) => finding.startsWith('layers'))
  const bad: [path: string, line: string, what: string][] = [
    ['shared/a.ts', "import { x } from '#agent/x.ts'", 'shared/ imports agent/x.ts'],
    ['shared/a/b.ts', "import x from '../../cli/x.ts'", 'shared/ imports cli/x.ts'],
    ['shared/a.ts', "import { readFile } from 'node:fs/promises'", '"node:fs/promises"'],
    ['shared/a.ts', "import net from 'node:net'", '"node:net"'],
    ['shared/a.ts', "import pino from 'pino'", '"pino"'],
    ['shared/a.ts', "import { Parser } from 'tar'", '"tar"'],
    ['shared/archive/a.ts', "import { open } from 'node:fs'", '"node:fs"'],
    ['shared/a.ts', "export * from '#systemd/x.ts'", 'shared/ imports systemd/x.ts'],
    ['controller/a.ts', "import { x } from '#agent/x.ts'", 'controller/ imports agent/x.ts'],
    ['controller/a.ts', "const x = await import('#cli/x.ts')", 'controller/ imports cli/x.ts'],
    ['controller/a.ts', "import '#systemd/x.ts'", 'controller/ imports systemd/x.ts'],
    ['agent/a.ts', "import type { X } from '#controller/x.ts'", 'agent/ imports controller/x.ts'],
    ['agent/a.ts', "import { x } from '../test/support/x.ts'", 'agent/ imports test/support'],
    ['agent/a.ts', "import Database from 'better-sqlite3'", '"better-sqlite3"'],
    ['cli/a.ts', "import { x } from '#controller/main.ts'", 'cli/ imports controller/main.ts'],
    ['cli/a.ts', "await import('#controller/main.ts')", 'cli/ imports controller/main.ts'],
    ['bin/a.ts', "import { main } from '#agent/main.ts'", 'bin/ imports agent/main.ts'],
    ['bin/a.ts', "import { x } from '#systemd/x.ts'", 'bin/ imports systemd/x.ts'],
    ['cli/a.ts', "import { Kysely } from 'kysely'", '"kysely"'],
    ['systemd/a.ts', "import { x } from '#cli/x.ts'", 'systemd/ imports cli/x.ts'],
    ['systemd/a.ts', "import { request } from 'undici'", '"undici"'],
  ]
  for (const [path, line, what] of bad) t.match(layer(path, line), what, `${path}: ${line}`)
  t.match(layer('agent/a.ts', "import {\n  x,\n} from '#cli/x.ts'"), 'layers: 4 ', 'many lines')
})

void t.test('importForm: relative inside a side, "#side/" across', async (t) => {
  t.match(planted('agent/a.ts', "import { x } from '#agent/x.ts'"), [/^importForm: 2/])
  t.match(planted('agent/a.ts', "import { x } from '../shared/x.ts'"), [/^importForm: 2/])
  t.match(planted('test/a.test.ts', "import { x } from '../shared/x.ts'"), [/^importForm: 2/])
})

void t.test('purity: shared/ has no clock, chance, timer, process or network', async (t) => {
  const impure = [
    'const now = Date.now()',
    'const now = new Date()',
    'const now = performance.now()',
    'const chance = Math.random()',
    'const id = randomUUID()',
    'const id = randomBytes(16)',
    'setTimeout(() => {}, 5)',
    'setInterval(() => {}, 5)',
    'const home = process.env.HOME',
    'console.log(1)',
    'await fetch(address)',
    'const x = `${process.pid}`',
  ]
  for (const line of impure) {
    t.match(planted('shared/a.ts', line), [/^purity: 2 shared\//], line)
    t.same(planted('agent/a.ts', line), [], `an agent may: ${line}`)
  }
  t.same(planted('shared/a.ts', '// Date.now() is never called here.'), [])
})

void t.test('moduleState: no top-level let', async (t) => {
  t.match(planted('shared/a.ts', 'let count = 0'), [/^moduleState: 2/])
  t.match(planted('agent/a.ts', '/** Why. */', 'export let count = 0'), [/^moduleState: 3/])
  t.same(planted('agent/a.ts', 'function f() {', '  let count = 0', '}'), [])
})

void t.test('namedExports: no default export in what ships', async (t) => {
  t.match(planted('cli/a.ts', 'export default 5'), [/^namedExports: 2/])
  t.match(planted('cli/a.ts', 'export { five as default }'), [/^namedExports: 2/])
  t.same(planted('scripts/a.ts', 'export default 5'), [])
})

void t.test('leftovers: nothing half-done lands', async (t) => {
  t.match(planted('test/a.test.ts', "t.only('x', () => {})"), [/^leftovers: 2 one test/])
  t.match(planted('test/a.test.ts', "t.test('x', { only: true }, f)"), [/^leftovers: 2 one test/])
  t.match(planted('agent/a.ts', '// FIXME later'), [/^leftovers: 2 work left/])
  t.match(planted('agent/a.ts', '/* a', ' XXX */'), [/^leftovers: 3 work left/])
  t.match(planted('agent/a.ts', 'const x = y as any'), [/^leftovers: 2 `as any`/])
  t.match(planted('agent/a.ts', '// @ts-ignore'), [/^leftovers: 2 the compiler/])
  t.match(planted('test/a.test.ts', '// @ts-expect-error'), [/^leftovers: 2 the compiler/])
})

void t.test('lengths: files and lines stay readable', async (t) => {
  const lines = (count: number): string[] => Array.from({ length: count - 1 }, () => 'f()')
  t.same(planted('agent/a.ts', ...lines(350)), [])
  t.match(planted('agent/a.ts', ...lines(351)), [/^lengths: 351 351 lines, over 350/])
  t.same(planted('test/a.ts', ...lines(600)), [])
  t.match(planted('test/a.ts', ...lines(601)), [/^lengths: 601 601 lines, over 600/])
  t.same(planted('agent/a.ts', 'x'.repeat(110)), [])
  t.match(planted('agent/a.ts', 'x'.repeat(111)), [/^lengths: 2 111 columns/])
})

void t.test('opening: every file says what it owns', async (t) => {
  t.match(findingsOf('agent/a.ts', "import t from 'tap'\n"), [/^opening: 1/])
  t.match(findingsOf('agent/a.ts', '\n// Owns x.\n'), [/^opening: 1/])
  t.same(findingsOf('scripts/a.ts', '#!/usr/bin/env node\n// Owns x.\n'), [])
  t.same(findingsOf('agent/a.ts', '/** Owns x. */\n'), [])
})

void t.test('names: kebab-case, and named for a noun', async (t) => {
  t.match(planted('agent/stagingArea.ts'), [/^names: 1 .* is not kebab-case/])
  t.match(planted('agent/utils.ts'), [/^names: 1 "utils\.ts" says nothing/])
  t.match(planted('controller/common/x.ts'), [/^names: 1 "common" says nothing/])
  t.match(planted('test/support/index.ts'), [/^names: 1/])
})

void t.test('dependencies are exact, locked by hash and without an address', async (t) => {
  const read = (name: string): Record<string, never> =>
    JSON.parse(readFileSync(join(root, name), 'utf8'))
  const about: Record<string, Record<string, string> | undefined> = read('package.json')
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    for (const [name, version] of Object.entries(about[kind] ?? {})) {
      t.match(version, /^(?:npm:[a-z0-9-]+@)?\d+\.\d+\.\d+$/, `${name} is pinned; give one version`)
    }
  }
  const locked: Record<string, LockedPackage> = read('package-lock.json')['packages'] ?? {}
  const lockedNames = new Set(Object.keys(locked).map((at) => at.replace(/^.*node_modules\//, '')))
  for (const [path, { resolved, optionalDependencies }] of Object.entries(locked)) {
    if (resolved !== undefined) t.fail(`${path} has an address; keep .npmrc as it is`)
    for (const name of Object.keys(optionalDependencies ?? {})) {
      if (!lockedNames.has(name)) t.fail(`${name} is missing; run "npm run lock"`)
    }
  }
})

interface LockedPackage {
  readonly resolved?: string
  readonly optionalDependencies?: Record<string, string>
}

function sourceFilesBelow(folder: string): string[] {
  const entries = readFolder(folder)
  return entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : sourceFilesBelow(path)
    return entry.isFile() && /\.[cm]?[jt]s$/.test(entry.name) ? [path] : []
  })
}

function readFolder(folder: string) {
  try {
    return readdirSync(join(root, folder), { withFileTypes: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
