// Whether a host fits a release: what the descriptor requires against what the host has. Pure; how a
// host finds out what it has is the agent's.

import type { Requires } from './descriptor.ts'
import { parseConstraint, satisfies } from './version-constraint.ts'

/** What a host found out about one command. */
export type CommandFact =
  | { readonly kind: 'found'; readonly version: string }
  /** The host looked for it where commands are. */
  | { readonly kind: 'missing' }
  /** Nobody told the host how to ask this command for its version. */
  | { readonly kind: 'unknown' }
  /** It is there and did not say its version. `why` is read after its name. */
  | { readonly kind: 'silent'; readonly why: string }

export interface HostFacts {
  readonly os: string
  readonly arch: string
  /** Null where there is none, or none that is known; the version is null where it is not said. */
  readonly libc: { readonly name: string; readonly version: string | null } | null
  /** Of every command that was asked for. */
  readonly commands: ReadonlyMap<string, CommandFact>
}

/** One thing that a host lacks. */
export interface Misfit {
  /** `php >= 8.2`, `arch arm64 or x64` */
  readonly requires: string
  /** What the host has instead, to be read after "this host": `has php 8.1.2`. */
  readonly host: string
  /** The command that the host does not know how to ask; null for every other misfit. */
  readonly unknownCommand: string | null
}

/** Empty for a host that fits. */
export function misfitsOf(requires: Requires, facts: HostFacts): readonly Misfit[] {
  return [
    ...wordMisfits('os', requires.os, facts.os),
    ...wordMisfits('arch', requires.arch, facts.arch),
    ...libcMisfits(requires.libc, facts.libc),
    ...Object.entries(requires.commands).flatMap(([name, text]) =>
      commandMisfits(name, text, facts.commands.get(name) ?? { kind: 'unknown' }),
    ),
  ]
}

function wordMisfits(noun: string, allowed: readonly string[], has: string): Misfit[] {
  if (allowed.length === 0 || allowed.includes(has)) return []
  return [misfit(`${noun} ${allowed.join(' or ')}`, `is ${has}`)]
}

function libcMisfits(allowed: readonly string[], libc: HostFacts['libc']): Misfit[] {
  if (allowed.length === 0 || allowed.some((text) => fitsLibc(text, libc))) return []
  const has = libc === null ? 'has none that is known' : `has ${libc.name} ${libc.version ?? ''}`
  return [misfit(`libc ${allowed.join(' or ')}`, has.trim())]
}

function fitsLibc(text: string, libc: HostFacts['libc']): boolean {
  const [, name = '', rest = ''] = /^(\w+) *(.*)$/.exec(text) ?? []
  if (libc?.name !== name) return false
  if (rest === '') return true
  return libc.version !== null && isSatisfied(libc.version, rest)
}

function commandMisfits(name: string, text: string, fact: CommandFact): Misfit[] {
  const requires = text === '*' ? name : `${name} ${text}`
  switch (fact.kind) {
    case 'found':
      if (isSatisfied(fact.version, text)) return []
      return [misfit(requires, `has ${name} ${fact.version}`)]
    case 'missing':
      return [misfit(requires, `has no ${name}`)]
    case 'silent':
      return [misfit(requires, `has ${name}, which ${fact.why}`)]
    case 'unknown':
      return [misfit(requires, `does not know how to ask ${name} for its version`, name)]
  }
}

/** What is no constraint is met by nothing. */
function isSatisfied(version: string, text: string): boolean {
  const constraint = parseConstraint(text)
  return constraint !== null && satisfies(version, constraint)
}

function misfit(requires: string, host: string, unknownCommand: string | null = null): Misfit {
  return { requires, host, unknownCommand }
}
