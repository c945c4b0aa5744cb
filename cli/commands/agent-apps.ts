// What `lockstep agent` does to one app on this host: hold it, look at its files, see who uses them.

import type { Command } from 'commander'
import type { AttestedRelease, AttestReport, HoldReport, UsageReport } from '#shared/host-apps.ts'
import { countText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import { bad, bold, good, type Text, warning } from '../output/text.ts'
import type { RunJob } from '../session.ts'
import { appArgument, configurationOption } from './place.ts'

interface PlaceOptions {
  readonly config: string
  readonly json?: true
}

/** The exit code when files are not as they were staged. */
const driftedExitCode = 1

export function addAgentApps(agent: Command, run: RunJob): void {
  addHold(agent, run)
  addUnhold(agent, run)
  addAttest(agent, run)
  addInUse(agent, run)
}

function addHold(agent: Command, run: RunJob): void {
  onApp(agent, 'hold', 'keep this host on what it runs, for a reason that everybody sees')
    .requiredOption('--reason <text>', 'why, in a sentence')
    .action((app: string, { config, json, reason }: PlaceOptions & { reason: string }) =>
      run(async ({ openHostApps, terminal }) => {
        const hostApps = await openHostApps()
        const report = await hostApps.hold({ app, configFile: config, reason })
        if (json) terminal.json(report)
        else terminal.lines(holdLines(report))
        return undefined
      }),
    )
}

function addUnhold(agent: Command, run: RunJob): void {
  onApp(agent, 'unhold', 'end a hold: the host goes to what its environment runs').action(
    (app: string, { config, json }: PlaceOptions) =>
      run(async ({ openHostApps, terminal }) => {
        const hostApps = await openHostApps()
        const report = await hostApps.unhold({ app, configFile: config })
        if (json) terminal.json(report)
        else terminal.lines(holdLines(report))
        return undefined
      }),
  )
}

function addAttest(agent: Command, run: RunJob): void {
  onApp(agent, 'attest', 'compare the releases on this host with what was staged, file by file')
    .option('--deep', 'read and hash every file, not only look at it')
    .action((app: string, { config, json, deep }: PlaceOptions & { deep?: true }) =>
      run(async ({ openHostApps, terminal }) => {
        const hostApps = await openHostApps()
        const report = await hostApps.attest({ app, configFile: config, deep: deep === true })
        if (json) terminal.json(report)
        else terminal.lines(attestLines(report))
        return report.releases.every(({ outcome }) => outcome === 'whole') ? 0 : driftedExitCode
      }),
    )
}

function addInUse(agent: Command, run: RunJob): void {
  onApp(agent, 'in-use', 'show which releases processes of this host use')
    .option('--out <directory>', 'leave the list there for the agent; for the unit lockstep-inuse@')
    .action((app: string, { config, json, out }: PlaceOptions & { out?: string }) =>
      run(async ({ openHostApps, terminal }) => {
        const hostApps = await openHostApps()
        const place = { app, configFile: config }
        const report = await hostApps.listUsage({ ...place, directory: out ?? null })
        if (json) terminal.json(report)
        else terminal.lines(usageLines(report))
        return undefined
      }),
    )
}

function onApp(agent: Command, name: string, description: string): Command {
  return agent
    .command(name)
    .description(description)
    .addArgument(appArgument())
    .addOption(configurationOption())
    .option('--json', 'print the same as JSON')
}

function holdLines({ app, hold, before, agentRuns }: HoldReport): Text[] {
  const agent = agentRuns
    ? 'the agent heeds that with its next report'
    : 'the agent does not run here; it heeds that from its start on'
  if (hold === null) {
    if (before === null) return [`${app} was not held`]
    return [[bold(`${app} is no longer held`), `; it was: ${before}`], agent]
  }
  const replaced = before === null ? [] : [`this replaces: ${before}`]
  return [[bold(`${app} is held`), `: ${hold}`], ...replaced, agent]
}

function attestLines({ releases, current, deep }: AttestReport): Text[] {
  if (releases.length === 0) return ['there is no staged release']
  const look = deep ? 'every file was read' : 'files were looked at, not read; --deep reads them'
  return [`current leads to ${current ?? 'nothing'}; ${look}`, ...releases.flatMap(releaseLines)]
}

function releaseLines(release: AttestedRelease): Text[] {
  const { version, isCurrent, outcome, differences, extras } = release
  const name = [bold(version), isCurrent ? ' (current)' : '']
  if (outcome === 'unrecorded') return [[...name, ' ', bad('is not known'), ': it has no record']]
  const count = countText(differences.length, 'file')
  const state = outcome === 'whole' ? good('is whole') : bad(`has drifted in ${count}`)
  const rows = [
    ...differences.map(({ kind, path }): Text[] => [`  ${kind}`, path === '' ? '.' : path]),
    ...extras.map((path): Text[] => ['  extra', path]),
  ]
  const [, ...lines] = table(['', ''], rows)
  return [[...name, ' ', state], ...lines]
}

function usageLines({ directories, used, unseenCount, file }: UsageReport): Text[] {
  const rows = used.map(({ path, pid, how }): Text[] => [path, String(pid), how])
  return [
    ...table(['IN USE', 'BY PROCESS', 'AS'], rows),
    `${used.length} of ${directories.length} releases are in use`,
    ...(unseenCount === 0
      ? []
      : [
          [
            warning('note'),
            `: more may be in use: ${unseenCount} processes did not let themselves be looked ` +
              'into; root sees them',
          ],
        ]),
    ...(file === null ? [] : [`wrote ${file}`]),
  ]
}
