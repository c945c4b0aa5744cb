// `lockstep adopt`: takes over an app's root on this host from another tool, in place.

import type { Command } from 'commander'
import type { AdoptReport } from '#shared/host-apps.ts'
import { bold, type Text, warning } from '../output/text.ts'
import type { RunJob } from '../session.ts'
import { appArgument, configurationOption } from './place.ts'

interface AdoptOptions {
  readonly config: string
  readonly dryRun?: true
  readonly acceptGap?: true
  readonly chown?: true
  readonly json?: true
}

const makers: Readonly<Record<AdoptReport['found'], string>> = {
  capistrano: 'a Capistrano tree',
  deployer: 'a Deployer tree',
  releases: 'a tree of releases that another tool made',
  link: 'a link to a directory',
  directory: 'a real directory',
  lockstep: 'a release that Lockstep knows already',
}

export function addAdopt(program: Command, run: RunJob): void {
  program
    .command('adopt')
    .description(
      'take over an app’s root on this host from Capistrano, Deployer or a plain directory',
    )
    .addArgument(appArgument())
    .addOption(configurationOption())
    .option('--dry-run', 'look and say what would be done')
    .option('--accept-gap', 'move a real directory even where that leaves a moment without current')
    .option('--chown', 'hand the directories that the agent works in over to its user')
    .option('--json', 'print what was found and done as JSON')
    .action((app: string, { config, json, ...options }: AdoptOptions) =>
      run(async (session) => {
        const report = await (await session.openHostApps()).adopt({
          app,
          configFile: config,
          dryRun: options.dryRun === true,
          acceptGap: options.acceptGap === true,
          chown: options.chown === true,
        })
        if (json) session.terminal.json(report)
        else session.terminal.lines(linesOf(report))
        return undefined
      }),
    )
}

function linesOf(report: AdoptReport): Text[] {
  const { app, root, found, current, dryRun, steps, todo, undo, sharedLine } = report
  const would = dryRun ? 'would have ' : ''
  const line: Text[] = sharedLine === null ? [] : [['    ', sharedLine]]
  return [
    `${root} holds ${makers[found]}`,
    ...steps.map((step) => `${would}${step}`),
    [bold(dryRun ? `${app} can be adopted` : `${app} is adopted`), `; current leads to ${current}`],
    ...todo.map((what): Text => [warning('to do'), `: ${what}`]),
    ...line,
    ...(undo.length === 0 ? [] : ['to undo it:']),
    ...undo.map((command) => `    ${command}`),
  ]
}
