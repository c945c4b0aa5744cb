// Judges whether nginx hands PHP the real path of a release: with the path through `current`, PHP-FPM keeps
// serving the old release after a swap, or a mixture of both. Pure.

import type { Directive } from './nginx-configuration.ts'
import { fail, type Judgement, ok, warn } from '#shared/finding.ts'

/** How PHP is told which file to run, in one location that leads through `current`. */
export interface PhpLocation {
  /** `shop.example.com, location ~ \.php$`. */
  readonly where: string
  /** The value of each; null where it is not passed. */
  readonly scriptFilename: string | null
  readonly documentRoot: string | null
}

export interface ServedApp {
  /** How many servers and locations have their files below `current`. */
  readonly roots: number
  readonly php: readonly PhpLocation[]
  /** Where opened files are remembered: they may stay the old release's. */
  readonly rememberedFiles: readonly string[]
}

interface Scope {
  readonly where: readonly string[]
  readonly root: string | null
  readonly openFileCache: string
  /** Inherited only where a level has none of its own (ngx_http_fastcgi_module, fastcgi_param). */
  readonly params: ReadonlyMap<string, string>
}

const top: Scope = { where: [], root: null, openFileCache: 'off', params: new Map() }
const blocks = new Set(['http', 'server', 'location', 'if', 'limit_except'])

/** @param root the app's root directory */
export function servedApp(directives: readonly Directive[], root: string): ServedApp {
  const found = { roots: 0, php: [] as PhpLocation[], rememberedFiles: [] as string[] }
  const visit = (level: readonly Directive[], outer: Scope): void => {
    const scope = scopeOf(level, outer)
    const isOurs = isBelowCurrent(scope.root, root)
    const saysRoot = level.some(({ name }) => name === 'root' || name === 'alias')
    const where = scope.where.join(', ') || 'http'
    if (isOurs && saysRoot) found.roots += 1
    if (isOurs && level.some(({ name }) => name === 'fastcgi_pass')) {
      const { params } = scope
      found.php.push({
        where,
        scriptFilename: params.get('SCRIPT_FILENAME') ?? null,
        documentRoot: params.get('DOCUMENT_ROOT') ?? null,
      })
    }
    if (isOurs && saysRoot && scope.openFileCache !== 'off') found.rememberedFiles.push(where)
    for (const { name, args, block } of level) {
      if (!blocks.has(name)) continue
      const words = name === 'server' ? [serverName(block)] : [`${name} ${args.join(' ')}`]
      visit(block, { ...scope, where: name === 'http' ? [] : [...scope.where, ...words] })
    }
  }
  visit(directives, top)
  return found
}

export function judgeNginx({ roots, php, rememberedFiles }: ServedApp): Judgement {
  if (roots === 0 && php.length === 0) return ok('no server of nginx leads through `current`')
  const wrong = php.filter((location) => !namesRealPath(location.scriptFilename))
  if (wrong.length > 0) {
    return fail(
      `PHP is given the path through \`current\` by ${wrong.map(told('SCRIPT_FILENAME')).join('; ')}`,
      'Write `fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;` after every include.',
    )
  }
  const rootless = php.filter((location) => !namesRealPath(location.documentRoot))
  if (rootless.length > 0) {
    return warn(
      'PHP is given a document root through `current` by ' +
        rootless.map(told('DOCUMENT_ROOT')).join('; '),
      'Write `fastcgi_param DOCUMENT_ROOT $realpath_root;` too: programs build paths from it.',
    )
  }
  if (rememberedFiles.length > 0) {
    return warn(
      `open_file_cache may keep files of the old release open in ${rememberedFiles.join('; ')}`,
      'Write `open_file_cache off;` there, or lower open_file_cache_valid.',
    )
  }
  const served = roots === 1 ? 'a server or location' : `${roots} servers or locations`
  return ok(
    php.length === 0
      ? `${served} of nginx, without PHP`
      : `${served} of nginx; PHP is given $realpath_root`,
  )
}

/** Whether every PHP location resolves the link itself, for the judgement of PHP's own caches. */
export function passesRealPath({ php }: ServedApp): boolean {
  return php.length > 0 && php.every((location) => namesRealPath(location.scriptFilename))
}

function namesRealPath(value: string | null): boolean {
  return value !== null && /\$\{?realpath_root\b/.test(value)
}

function told(name: 'SCRIPT_FILENAME' | 'DOCUMENT_ROOT'): (location: PhpLocation) => string {
  return ({ where, scriptFilename, documentRoot }) => {
    const value = name === 'SCRIPT_FILENAME' ? scriptFilename : documentRoot
    return `${where} (${value === null ? `no ${name}` : value})`
  }
}

function scopeOf(level: readonly Directive[], outer: Scope): Scope {
  const last = (name: string) => level.findLast((directive) => directive.name === name)
  const own = level.filter(({ name }) => name === 'fastcgi_param')
  const root = (last('alias') ?? last('root'))?.args[0]
  return {
    where: outer.where,
    root: root ?? outer.root,
    openFileCache: last('open_file_cache')?.args[0] ?? outer.openFileCache,
    // PHP-FPM takes the last of several values of one name.
    params:
      own.length === 0
        ? outer.params
        : new Map(own.map(({ args: [name = '', value = ''] }) => [name, value])),
  }
}

function serverName(block: readonly Directive[]): string {
  const names = block.find(({ name }) => name === 'server_name')?.args ?? []
  return names[0] ?? 'a server without a name'
}

function isBelowCurrent(path: string | null, root: string): boolean {
  const current = `${root}/current`
  return path !== null && (path === current || path.startsWith(`${current}/`))
}
