// docs/cli.md names every command and every option, and nothing that is not there.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import t from 'tap'
import { commandLine } from '#cli/command-line.ts'
import { Terminal } from '#cli/output/terminal.ts'

const text = readFileSync(join(import.meta.dirname, '../../../docs/cli.md'), 'utf8')

const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
const paint = (_style: string, content: string) => content
const terminal = new Terminal({
  out: nowhere,
  err: nowhere,
  paintOut: paint,
  paintErr: paint,
  canRedraw: false,
})
const program = commandLine({ version: '1.2.3', terminal }, async () => {})

/** `token create` and its options, for every command that does something. */
function commandsOf(command: Command, words: string[] = []): { words: string; flags: string[] }[] {
  const flags = command.options.flatMap(({ long }) => (long === undefined ? [] : [long]))
  const own = words.length === 0 ? [] : [{ words: words.join(' '), flags }]
  return [...own, ...command.commands.flatMap((sub) => commandsOf(sub, [...words, sub.name()]))]
}

void t.test('every command has its line with every option', async (t) => {
  const commands = commandsOf(program)
  for (const { words, flags } of commands.filter((command) => command.words !== 'token')) {
    t.ok(text.includes(`\`lockstep ${words}`), words)
    const places = text.split('\n### ').filter((part) => part.includes(`lockstep ${words}`))
    for (const flag of flags) t.ok(places.join('\n').includes(flag), `${words} ${flag}`)
  }
  t.comment(`${commands.length} commands`)
})

void t.test('every option of the page exists', async (t) => {
  const known = new Set([
    '--url',
    '--data',
    '--listen',
    ...commandsOf(program).flatMap(({ flags }) => flags),
  ])
  for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) t.ok(known.has(flag), flag)
})

void t.test('every exit code of the help is explained', async (t) => {
  const help = program.helpInformation()
  t.ok(help.includes('Usage: lockstep'))
  for (const code of [0, 1, 2, 3, 4, 5]) t.match(text, new RegExp(`^\\| ${code} +\\| `, 'm'))
  t.match(text, /^\| 130, 143 \| /m)
})
