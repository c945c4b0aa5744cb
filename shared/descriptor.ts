// The descriptor, `lockstep.json` at the top of a release: what the release requires of a host. Owns
// its form and nothing of where it is read. docs/configuration.md, "lockstep.json".
//
//   { "requires": { "os": ["linux"], "arch": ["x64"], "libc": ["glibc >= 2.31"],
//                   "commands": { "php": ">= 8.2" } } }

import { canonicalJson } from './canonical-json.ts'
import { LockstepError } from './errors.ts'
import { limits } from './limits.ts'
import { parseConstraint } from './version-constraint.ts'

/** Where the descriptor stands in a release. */
export const descriptorPath = 'lockstep.json'

export interface Requires {
  /** One of these has to be the host's; empty for any. As Node names them: `linux`. */
  readonly os: readonly string[]
  /** The same: `x64`, `arm64`. */
  readonly arch: readonly string[]
  /** The same: `glibc`, `musl`, with a constraint where one is needed: `glibc >= 2.31`. */
  readonly libc: readonly string[]
  /** Name → constraint: `php` → `>= 8.2`. All of them. */
  readonly commands: Readonly<Record<string, string>>
}

/** What is wrong with a descriptor at one place, and what to write there. */
interface Mistake {
  readonly place: string
  readonly problem: string
  readonly write: string
}

const knownOs = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'sunos']
const knownArch = ['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64']
const otherWords: Readonly<Record<string, string>> = {
  aarch64: 'arm64',
  amd64: 'x64',
  i386: 'ia32',
  macos: 'darwin',
  x86_64: 'x64',
}
const commandPattern = /^[0-9A-Za-z][0-9A-Za-z._+-]{0,63}$/
const libcPattern = /^(glibc|musl)(?: +([^ ].*))?$/
const constraintHint = 'numbers after >=, >, <=, < or =, such as ">= 8.2" or ">= 8.2, < 9", or "*"'

/**
 * @param text JSON
 * @throws LockstepError `bad-descriptor`: every mistake with its place and what to write
 *   (`details.mistakes`).
 */
export function parseDescriptor(text: string): Requires {
  if (text.length > limits.descriptorBytesMax) {
    throw badDescriptor([
      mistake('the file', `is over ${limits.descriptorBytesMax} bytes`, 'only what is required'),
    ])
  }
  return requiresOf(jsonOf(text))
}

/**
 * What a whole descriptor holds, as a value.
 * @throws LockstepError `bad-descriptor`.
 */
export function requiresOf(descriptor: unknown): Requires {
  const mistakes: Mistake[] = []
  const top = membersOf(descriptor, 'the file', ['requires'], mistakes)
  const given = top['requires'] ?? {}
  const members = membersOf(given, 'requires', ['os', 'arch', 'libc', 'commands'], mistakes)
  const requires: Requires = {
    os: listOf(members['os'], 'requires.os', wordOf(knownOs), mistakes),
    arch: listOf(members['arch'], 'requires.arch', wordOf(knownArch), mistakes),
    libc: listOf(members['libc'], 'requires.libc', libcOf, mistakes),
    commands: commandsOf(members['commands'], mistakes),
  }
  if (mistakes.length > 0) throw badDescriptor(mistakes)
  return requires
}

/** The one text of these requirements: what is left open is left out. */
export function descriptorText(requires: Requires): string {
  const { os, arch, libc, commands } = requires
  const members = Object.entries({ os, arch, libc, commands })
  const given = members.filter(([, value]) => Object.keys(value).length > 0)
  return `${canonicalJson({ requires: Object.fromEntries(given) })}\n`
}

/** @param problem to be read after the name of the file */
export function descriptorRefused(problem: string, write: string): LockstepError {
  return badDescriptor([mistake('the file', problem, write)])
}

/** `php >= 8.2` as a command and its constraint; a name alone means any version. Null for neither. */
export function parseCommandRequirement(text: string): { name: string; constraint: string } | null {
  const [, name = '', rest = ''] = /^([^ <>=*]+) *(.*)$/.exec(text.trim()) ?? []
  const constraint = parseConstraint(rest === '' ? '*' : rest)
  if (!commandPattern.test(name) || constraint === null) return null
  return { name, constraint: constraint.text }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw badDescriptor([mistake('the file', `is no JSON (${error.message})`, 'an object in JSON')])
  }
}

/** Empty after noting what is wrong: the rest is judged all the same. */
function membersOf(
  value: unknown,
  place: string,
  known: readonly string[],
  mistakes: Mistake[],
): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) {
    mistakes.push(mistake(place, `is ${shown(value)}`, `an object with ${known.join(', ')}`))
    return {}
  }
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const at = place === 'the file' ? shown(key) : `${place}.${shown(key)}`
    mistakes.push(mistake(at, 'is no known member', `only ${known.join(', ')} here`))
  }
  return value
}

type Read = { readonly value: string } | { readonly problem: string; readonly write: string }

function listOf(
  value: unknown,
  place: string,
  read: (text: string) => Read,
  mistakes: Mistake[],
): string[] {
  if (value === undefined) return []
  const write = 'a list of texts, or leave it out to allow any'
  if (!Array.isArray(value) || value.length === 0) {
    mistakes.push(mistake(place, `is ${shown(value)}`, write))
    return []
  }
  if (value.length > limits.descriptorItemsMax) {
    const most = `at most ${limits.descriptorItemsMax}`
    mistakes.push(mistake(place, `has ${value.length} items`, most))
    return []
  }
  const items = value.flatMap((item: unknown, at) => {
    const result: Read =
      typeof item === 'string' ? read(item) : { problem: `is ${shown(item)}`, write: 'a text' }
    if ('value' in result) return [result.value]
    mistakes.push(mistake(`${place}[${at}]`, result.problem, result.write))
    return []
  })
  return [...new Set(items)]
}

function wordOf(known: readonly string[]): (text: string) => Read {
  return (text) => {
    if (known.includes(text)) return { value: text }
    const meant = otherWords[text.toLowerCase()] ?? text.toLowerCase()
    const write = known.includes(meant) ? `"${meant}"` : `one of ${known.join(', ')}`
    return { problem: `is ${shown(text)}`, write }
  }
}

function libcOf(text: string): Read {
  const [, name = '', rest] = libcPattern.exec(text.trim()) ?? []
  const constraint = rest === undefined ? null : parseConstraint(rest)
  if (name === '' || (rest !== undefined && constraint === null)) {
    return { problem: `is ${shown(text)}`, write: '"glibc", "musl" or such as "glibc >= 2.31"' }
  }
  return { value: constraint === null ? name : `${name} ${constraint.text}` }
}

function commandsOf(value: unknown, mistakes: Mistake[]): Readonly<Record<string, string>> {
  const place = 'requires.commands'
  if (value === undefined) return {}
  if (!isRecord(value)) {
    mistakes.push(mistake(place, `is ${shown(value)}`, 'an object such as { "php": ">= 8.2" }'))
    return {}
  }
  const names = Object.keys(value)
  if (names.length > limits.descriptorItemsMax) {
    const most = `at most ${limits.descriptorItemsMax}`
    mistakes.push(mistake(place, `names ${names.length} commands`, most))
    return {}
  }
  const commands = names.flatMap((name): [string, string][] => {
    const at = `${place}.${shown(name)}`
    if (!commandPattern.test(name)) {
      mistakes.push(mistake(at, 'is no name of a command', 'a name such as "php", no path'))
      return []
    }
    const text = value[name]
    const constraint = typeof text === 'string' ? parseConstraint(text) : null
    if (constraint !== null) return [[name, constraint.text]]
    mistakes.push(mistake(at, `is ${shown(text)}`, constraintHint))
    return []
  })
  return Object.fromEntries(commands)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

function mistake(place: string, problem: string, write: string): Mistake {
  return { place, problem, write }
}

function badDescriptor(all: readonly Mistake[]): LockstepError {
  const mistakes = all.slice(0, limits.descriptorItemsMax)
  const lines = mistakes.map(({ place, problem, write }) => `${place} ${problem}; write ${write}`)
  return new LockstepError('bad-descriptor', `${descriptorPath}: ${lines.join('\n  ')}`, {
    hint: 'Correct it where the release is built. It says what the release requires of a host.',
    details: { mistakes },
  })
}
