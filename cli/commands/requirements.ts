// What a release requires of hosts, as options of publishing and as people read it.

import type { Command } from 'commander'
import type { ReleaseView } from '#shared/api/schemas.ts'
import { parseCommandRequirement, type Requires, requiresOf } from '#shared/descriptor.ts'
import { LockstepError } from '#shared/errors.ts'
import { misuse } from '../arguments.ts'

export interface RequirementOptions {
  readonly requireOs?: readonly string[]
  readonly requireArch?: readonly string[]
  readonly requireLibc?: readonly string[]
  readonly require?: Readonly<Record<string, string>>
}

export function withRequirements(command: Command): Command {
  return command
    .option('--require <command>', 'a command that hosts must have: "php >= 8.2"; repeatable', also)
    .option('--require-os <os>', 'such as linux; repeatable, one of them has to fit', or)
    .option('--require-arch <arch>', 'such as x64 or arm64; the same', or)
    .option('--require-libc <libc>', 'such as glibc, or "glibc >= 2.31"; the same', or)
}

export interface Requirements {
  readonly requires: Requires
  /** As they were given, as JSON. */
  readonly text: string
}

/**
 * Null where none was given.
 * @throws LockstepError `bad-usage`
 */
export function requirementsOf(options: RequirementOptions): Requirements | null {
  const { requireOs: os, requireArch: arch, requireLibc: libc, require: commands } = options
  const given = Object.entries({ os, arch, libc, commands }).filter(([, value]) => value)
  if (given.length === 0) return null
  const asked = Object.fromEntries(given)
  try {
    return { requires: requiresOf({ requires: asked }), text: JSON.stringify(asked) }
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    const words = error.message.replaceAll(/^lockstep\.json: |requires\.(?=os|arch|libc)/gm, '')
    throw misuse(`the requirements are wrong: ${words}`, 'Correct the --require options.')
  }
}

/** `php >= 8.2, os linux`; undefined for nothing that is required. */
export function requirementWords(requires: ReleaseView['requires']): string | undefined {
  if (requires === null) return undefined
  const { os, arch, libc, commands } = requires
  const words = [
    ...Object.entries({ os, arch, libc }).flatMap(([noun, any]) =>
      any.length === 0 ? [] : [noun === 'libc' ? any.join(' or ') : `${noun} ${any.join(' or ')}`],
    ),
    ...Object.entries(commands).map(([name, text]) => (text === '*' ? name : `${name} ${text}`)),
  ]
  return words.length === 0 ? undefined : words.join('; ')
}

function or(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

function also(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const requirement = parseCommandRequirement(text)
  if (requirement === null) {
    throw misuse(
      `--require ${JSON.stringify(text)} is no command with a version`,
      'Write --require "php >= 8.2", with >=, >, <, <= or = and commas between; or a name alone.',
    )
  }
  const { name, constraint } = requirement
  if (Object.hasOwn(before, name)) {
    throw misuse(`--require names ${name} twice`, 'Write both as one: "php >= 8.2, < 9".')
  }
  return { ...before, [name]: constraint }
}
