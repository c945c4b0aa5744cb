// The part of the configuration that says how this host is asked for versions of commands that a
// release may require. docs/configuration.md, "lockstep.json".

import { type MistakeList, shownValue, type Table } from './config-mistakes.ts'
import { limits } from '#shared/limits.ts'

/** Name → program and arguments that print its version. The program is absolute or in PATH. */
export type CommandsConfig = Readonly<Record<string, readonly string[]>>

const namePattern = /^[0-9A-Za-z][0-9A-Za-z._+-]{0,63}$/
const example = 'a program and what makes it print its version, such as ["/opt/php/bin/php", "-v"]'

/** @param at the path of the app's section */
export function commandsOf(table: Table, at: string, mistakes: MistakeList): CommandsConfig {
  if (!Object.hasOwn(table, 'commands')) return {}
  const path = `${at}.commands`
  const commands = mistakes.table(table, 'commands', at, `a section [${path}]`)
  if (commands === undefined) return {}
  const found = Object.keys(commands).map((name): [string, readonly string[]] => {
    const key = `${path}.${name}`
    if (!namePattern.test(name)) mistakes.add(key, 'is no name of a command', 'such as "php"')
    const argv = mistakes.texts(commands, name, path, example).map(({ text }) => text)
    const given = commands[name]
    const isTaken = Array.isArray(given) && given.length === argv.length
    const problem = isTaken ? problemOf(argv) : null
    if (problem !== null) mistakes.add(key, problem, example)
    return [name, argv]
  })
  return Object.fromEntries(found)
}

function problemOf(argv: readonly string[]): string | null {
  const [program = ''] = argv
  if (program === '') return 'names no program'
  if (argv.length > limits.hookWordsMax) return `has over ${limits.hookWordsMax} words`
  if (argv.some((word) => word.includes('\0') || word.length > limits.hookWordCharsMax)) {
    return `has a NUL character, or a word over ${limits.hookWordCharsMax} characters`
  }
  const isFound = program.startsWith('/') || !program.includes('/')
  return isFound ? null : `${shownValue(program)} is neither absolute nor a bare name`
}
