// `lockstep hosts`: what every host runs, attested by its disk, and `hosts remove`.

import type { Command } from 'commander'
import type { HostView } from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseApp, parseHostName } from '#shared/ids.ts'
import {
  connectionCell,
  failureLines,
  phaseCellOf,
  runsCell,
  servingCell,
} from '../follow/host-words.ts'
import { table } from '../output/table.ts'
import { bold, type Text } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { checkFilter, optionalEnvironmentOption, withJson } from './place.ts'

interface HostsOptions {
  readonly app?: string
  readonly env?: string
  readonly json?: true
}

export function addHosts(program: Command, run: RunJob): void {
  const hosts = program
    .command('hosts')
    .description('list the hosts and what each attests to run')
    .option('--app <app>', 'only hosts of this app', parseApp)
    .addOption(optionalEnvironmentOption())
  withJson(hosts, 'the list').action((options: HostsOptions) =>
    run((session) => listHosts(session, options)),
  )
  hosts
    .command('remove')
    .description('remove a host from the fleet for good; its agent must enrol anew')
    .argument('<name>', 'the host’s name', parseHostName)
    .action((name: string) => run((session) => removeHost(session, name)))
}

async function listHosts(session: Session, options: HostsOptions): Promise<undefined> {
  const { terminal } = session
  const { app, env: environment } = options
  checkFilter(app, environment)
  const hosts = await session.client().hosts({
    ...(app === undefined ? {} : { app }),
    ...(environment === undefined ? {} : { environment }),
  })
  if (options.json) terminal.json({ items: hosts, next: null })
  else if (hosts.length === 0) {
    terminal.note('there is no host yet; `lockstep token create --join` makes a token to join one')
  } else terminal.lines([...hostTable(hosts, session.clock.now()), ...failureLines(hosts)])
}

/** A row for each app of each host. */
export function hostTable(hosts: readonly HostView[], now: number): Text[] {
  const rows = hosts.flatMap((host): Text[][] => {
    const name = [host.name, connectionCell(host, now)]
    if (host.apps.length === 0) return [[...name, '-', '-', '-', '-']]
    return host.apps.map((app) => [
      ...name,
      `${app.app} ${app.environment}`,
      runsCell(host, app),
      phaseCellOf(app),
      servingCell(app),
    ])
  })
  return table(['HOST', 'STATE', 'APP', 'RUNS', 'PHASE', 'SERVING'], rows)
}

async function removeHost(session: Session, name: string): Promise<undefined> {
  const client = session.client()
  const host = (await client.hosts({})).find((candidate) => candidate.name === name)
  if (host === undefined) {
    throw new LockstepError('unknown-host', `there is no host ${name}`, {
      hint: 'See `lockstep hosts`.',
    })
  }
  await client.removeHost(host.id)
  session.terminal.line([bold('removed'), ` ${name}; what is on its disk stays as it is`])
}
