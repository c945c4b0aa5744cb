// That no command escapes the tests of its output: every command of the command line, as it is now, has a
// scene with hostile text, or a reason why it needs none. And the commands of a host and of a build.

import type { Command } from 'commander'
import t from 'tap'
import { commandLine } from '#cli/command-line.ts'
import { ran, run } from './cli-run.ts'
import { packs, payloads } from './escape-payloads.ts'
import { failingHost, hostCommands, hostileHost } from './output-host-scenes.ts'
import { forms, holesOf } from './output-holes.ts'
import { scenes, watching } from './output-scenes.ts'

/** Tested elsewhere, or saying nothing that comes from anywhere. */
const exempt: Readonly<Record<string, string>> = {
  agent: 'only the daemon, whose log is tested in log-safety.test.ts',
  controller: 'only the daemon, whose log is tested in log-safety.test.ts',
  build: 'with a repository of its own, in output-build.test.ts',
  keygen: 'with files of its own, in output-files.test.ts',
  sign: 'with files of its own, in output-files.test.ts',
  countersign: 'with files of its own, in output-files.test.ts',
  verify: 'with files of its own, in output-files.test.ts',
  'trust check': 'with files of its own, in output-files.test.ts',
  'statement fetch': 'with files of its own, in cli-statement.test.ts',
  'statement send': 'with files of its own, in cli-statement.test.ts',
}

/** Every command that does something, by its words: `hosts`, `hosts remove`. */
function commandsOf(command: Command, above: readonly string[] = []): string[] {
  return command.commands.flatMap((child) => {
    const words = [...above, child.name()]
    const own = isGroup(child) ? [] : [words.join(' ')]
    return [...own, ...commandsOf(child, words)]
  })
}

/** commander runs the help of a command that has others below it and no action. */
function isGroup(command: Command): boolean {
  return command.commands.length > 0 && Reflect.get(command, '_actionHandler') === null
}

/** The command that these words run. */
function commandOf(program: Command, argv: readonly string[]): string {
  const words: string[] = []
  let command: Command | undefined = program
  for (const word of argv) {
    command = command.commands.find((child) => child.name() === word)
    if (command === undefined) break
    words.push(word)
  }
  return words.join(' ')
}

async function program(): Promise<Command> {
  const terminal = { lines: () => undefined, note: () => undefined }
  return commandLine(Object.assign(Object.create(null), { version: '1', terminal }), async () => {})
}

void t.test('every command of the command line has a scene or a reason', async (t) => {
  const line = await program()
  const commands = commandsOf(line)
  const shown = new Set(
    [
      ...scenes.map(({ argv }) => argv),
      watching.argv,
      ...hostCommands.map((c) => c.split(' ')),
    ].map((argv) => commandOf(line, argv)),
  )
  const missing = commands.filter((command) => !shown.has(command) && !(command in exempt))
  t.same(missing, [], 'add a scene to output-scenes.ts or output-host-scenes.ts for each of these')
  const gone = [...shown, ...Object.keys(exempt)].filter((command) => !commands.includes(command))
  t.same(gone, [], 'every scene and every reason is of a command that there is')
  t.ok(commands.length > 30)
  t.comment(
    `${commands.length} commands, ${shown.size} with scenes, ${commands.length - shown.size} exempt`,
  )
})

void t.test('a command that was forgotten would be found', async (t) => {
  const line = await program()
  const hosts = line.commands.find((child) => child.name() === 'hosts')
  hosts?.command('forgotten').action(() => undefined)
  line
    .command('group')
    .command('inner')
    .action(() => undefined)
  const commands = commandsOf(line)
  t.ok(commands.includes('hosts forgotten') && commands.includes('group inner'))
  t.notOk(commands.includes('group'), 'what only has others below it is none')
  t.equal(commandOf(line, ['hosts', 'forgotten', 'x']), 'hosts forgotten')
  t.equal(commandOf(line, ['hosts', '--json']), 'hosts')
})

void t.test('every command of a host, with hostile files, and when it fails', async (t) => {
  const counts = { runs: 0 }
  for (const command of hostCommands) {
    for (const pack of packs) {
      for (const form of forms) {
        for (const hostOf of [hostileHost, failingHost]) {
          const argv = [...command.split(' '), ...form.more]
          const begun = run(argv, { ...form, ...hostOf(pack) })
          t.same(await holesOf(begun), [], `${argv.join(' ')}, ${hostOf.name}`)
          counts.runs += 1
        }
      }
    }
  }
  t.comment(
    `${payloads.length} payloads x ${hostCommands.length} commands x ${forms.length} forms, well ` +
      `and ill: ${counts.runs} runs, 0 raw`,
  )
})

void t.test('the help of every command', async (t) => {
  for (const command of ['', ...commandsOf(await program())]) {
    const { out, exitCode } = await ran([...command.split(' ').filter(Boolean), '--help'])
    t.equal(exitCode, 0, command)
    t.match(out, /Usage: /, command)
  }
})
