// `lockstep link`: on a developer's machine, has `current` lead to a working directory, and back.

import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { LinkReport } from '#shared/host-apps.ts'
import { misuse } from '../arguments.ts'
import { bold, type Text, warning } from '../output/text.ts'
import type { RunJob } from '../session.ts'
import { appArgument, configurationOption } from './place.ts'

interface LinkOptions {
  readonly config: string
  readonly undo?: true
  readonly json?: true
}

export function addLink(program: Command, run: RunJob): void {
  program
    .command('link')
    .description('on a developer’s machine: let current lead to a working directory, and back')
    .addArgument(appArgument())
    .argument('[directory]', 'the directory that you work in')
    .addOption(configurationOption())
    .option('--undo', 'go back to the release that was there before')
    .option('--json', 'print what was changed as JSON')
    .action((app: string, directory: string | undefined, options: LinkOptions) =>
      run(async ({ openHostApps, terminal }) => {
        const hostApps = await openHostApps()
        const { config: configFile, undo, json } = options
        if ((directory === undefined) !== (undo === true)) {
          throw misuse('link takes a directory, or --undo', 'Run `lockstep link shop ~/shop`.')
        }
        const report =
          directory === undefined
            ? await hostApps.unlink({ app, configFile })
            : await hostApps.link({ app, configFile, directory: resolve(directory) })
        if (json) terminal.json(report)
        else terminal.lines(linesOf(report))
        return undefined
      }),
    )
}

function linesOf({ app, current, replaced, hold, agentRuns }: LinkReport): Text[] {
  const lead = current === null ? 'is gone, as before' : `leads to ${current}`
  const changed = current === replaced ? ' as it did: somebody changed it meanwhile' : ''
  const held: Text =
    hold === null
      ? `${app} is no longer held`
      : `${app} is held until \`lockstep link ${app} --undo\`: ${hold}`
  const agent = agentRuns ? 'runs and heeds that with its next report' : 'does not run here'
  return [
    [bold('current'), ` ${lead}${changed}`],
    held,
    agentRuns || hold !== null ? `the agent ${agent}` : [warning('note'), `: the agent ${agent}`],
  ]
}
