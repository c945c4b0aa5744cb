// `lockstep hosts`: what every host runs, attested by its disk, and how a host is taken out, for a while or
// for good.

import type { Command } from 'commander'
import type { HostView } from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseApp, parseHostName } from '#shared/ids.ts'
import { labelsText } from '#shared/labels.ts'
import { parseReason } from '../arguments.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import {
  channelLines,
  connectionCell,
  failureLines,
  phaseCellOf,
  runsCell,
  servingCell,
  trustLines,
  unsignedCell,
} from '../follow/host-words.ts'
import { table } from '../output/table.ts'
import { bold, type Text } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { parseLabels } from '../wave-arguments.ts'
import { checkFilter, optionalEnvironmentOption, withJson, withReason } from './place.ts'

interface HostsOptions {
  readonly app?: string
  readonly env?: string
  readonly label?: string
  readonly json?: true
}

interface ReasonOption {
  readonly reason?: string
}

export function addHosts(program: Command, run: RunJob): void {
  const hosts = program
    .command('hosts')
    .description('list the hosts and what each attests to run')
    .option('--app <app>', 'only hosts of this app', parseApp)
    .addOption(optionalEnvironmentOption())
    .option('--label <labels>', 'only hosts with these labels, such as role=web', parseLabels)
  withJson(hosts, 'the list').action((options: HostsOptions) =>
    run((session) => listHosts(session, options)),
  )
  const remove = hosts
    .command('remove')
    .description('remove a host from the fleet for good; its agent must enrol anew')
    .argument('<name>', 'the host’s name', parseHostName)
  withReason(remove).action((name: string, { reason }: ReasonOption) =>
    run((session) => removeHost(session, name, reason)),
  )
  hosts
    .command('drain')
    .description('take a host out of rollouts: it keeps what it runs')
    .argument('<name>', 'the host’s name', parseHostName)
    .requiredOption('--reason <text>', 'why, for everybody to read', parseReason)
    .action((name: string, { reason }: { reason: string }) =>
      run((session) => drainHost(session, name, reason)),
    )
  const undrain = hosts
    .command('undrain')
    .description('let a drained host in again: it comes to what is committed')
    .argument('<name>', 'the host’s name', parseHostName)
  withReason(undrain).action((name: string, { reason }: ReasonOption) =>
    run((session) => letHostIn(session, name, reason)),
  )
}

async function listHosts(session: Session, options: HostsOptions): Promise<undefined> {
  const { terminal } = session
  const { app, env: environment, label } = options
  checkFilter(app, environment)
  const hosts = await session.client().hosts({
    ...(app === undefined ? {} : { app }),
    ...(environment === undefined ? {} : { environment }),
    ...(label === undefined ? {} : { label }),
  })
  if (options.json) terminal.json({ items: hosts, next: null })
  else if (hosts.length === 0 && label !== undefined) terminal.note(`no host has ${label}`)
  else if (hosts.length === 0) {
    terminal.note('there is no host yet; `lockstep token create --join` makes a token to join one')
  } else {
    const rows = hostTable(hosts, session.clock.now())
    const notes = [...failureLines(hosts), ...trustLines(hosts), ...channelLines(hosts)]
    terminal.lines([...rows, ...notes])
  }
}

/** A row for each app of each host. */
export function hostTable(hosts: readonly HostView[], now: number): Text[] {
  const hasLabels = hosts.some(({ labels }) => Object.keys(labels).length > 0)
  const hasTrust = hosts.some(({ apps }) => apps.some(({ trust }) => trust !== null))
  const rows = hosts.flatMap((host): Text[][] => {
    const name = [host.name, connectionCell(host, now)]
    const labels = hasLabels ? [labelsText(host.labels)] : []
    const noTrust = hasTrust ? ['-'] : []
    if (host.apps.length === 0) return [[...name, '-', '-', '-', '-', ...noTrust, ...labels]]
    return host.apps.map((app) => [
      ...name,
      `${app.app} ${app.environment}`,
      runsCell(host, app),
      phaseCellOf(app),
      servingCell(app),
      ...(hasTrust ? [unsignedCell(app)] : []),
      ...labels,
    ])
  })
  const trust = hasTrust ? ['UNSIGNED'] : []
  const headings = ['HOST', 'STATE', 'APP', 'RUNS', 'PHASE', 'SERVING', ...trust]
  return table(hasLabels ? [...headings, 'LABELS'] : headings, rows)
}

async function removeHost(
  session: Session,
  name: string,
  reason: string | undefined,
): Promise<undefined> {
  const client = session.client(reason)
  const host = await hostNamed(client, name)
  await client.removeHost(host.id)
  session.terminal.line([bold('removed'), ` ${name}; what is on its disk stays as it is`])
}

async function drainHost(session: Session, name: string, reason: string): Promise<undefined> {
  const client = session.client()
  const host = await hostNamed(client, name)
  await client.drain(host.id, { reason })
  session.terminal.line([bold('drained'), ` ${name}: ${reason}`])
  session.terminal.line(`  let it in again: lockstep hosts undrain ${name}`)
}

async function letHostIn(
  session: Session,
  name: string,
  reason: string | undefined,
): Promise<undefined> {
  const client = session.client(reason)
  const host = await hostNamed(client, name)
  await client.letIn(host.id)
  session.terminal.line([bold('let in'), ` ${name}: it comes to what is committed`])
}

/** @throws LockstepError `unknown-host` */
async function hostNamed(client: ControllerClient, name: string): Promise<HostView> {
  const host = (await client.hosts({})).find((candidate) => candidate.name === name)
  if (host !== undefined) return host
  throw new LockstepError('unknown-host', `there is no host ${name}`, {
    hint: 'See `lockstep hosts`.',
  })
}
