// `lockstep controller install`, `uninstall` and `recover`. The daemon itself is another part of the program:
// bin/lockstep.ts starts it, and here it is only described.

import type { Command } from 'commander'
import { LockstepError } from '#shared/errors.ts'
import { parseVersion } from '#shared/ids.ts'
import type { InstallControllerOptions } from '#systemd/install-controller.ts'
import { misuse } from '../arguments.ts'
import { bold } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { hostTable } from './hosts.ts'
import { addControllerTls } from './controller-tls.ts'
import { appArgument, environmentOption, withJson, withReason } from './place.ts'
import { tellReport } from './service-report.ts'

interface RecoverOptions {
  readonly env: string
  readonly run?: string
  readonly reason?: string
  readonly json?: true
}

interface InstallOptions {
  readonly listen?: string
  readonly data?: string
  readonly tls?: true
  readonly tlsName?: readonly string[]
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly behindProxy?: true
  readonly plainHttp?: true
  readonly json?: true
}

const foreground = `
In the foreground:
  --data <directory>    where everything is kept; holds \`admin-token\` after the first start
  --listen <host:port>  where to listen, such as 127.0.0.1:7400
  --tls                 speak TLS on loopback too, by an authority of its own
  --tls-name <name>     one more name or address that its certificate is for (repeatable)
  --tls-cert <file>     speak TLS with this certificate, its chain after it
  --tls-key <file>      and with this private key
  --behind-proxy        speak plain HTTP to a proxy that speaks TLS
  --plain-http          speak plain HTTP where others can listen`

export function addController(program: Command, run: RunJob): void {
  const controller = program
    .command('controller')
    .description('run the controller in the foreground, install it as a service, or recover it')
    // Only described: declared here, they would be taken from the subcommands, which have them too.
    .usage('--data <directory> --listen <host:port>\n       lockstep controller [command]')
    .addHelpText('after', foreground)
    .action(() => {
      throw misuse(
        'the controller takes no option of other commands',
        'Run `lockstep controller --data DIR --listen HOST:PORT`.',
      )
    })
  addServiceCommands(controller, run)
  addControllerTls(controller, run)
  const recover = controller
    .command('recover')
    .description('after a restore from backup: let this controller decide again for an environment')
    .addArgument(appArgument())
    .addOption(environmentOption())
    .option(
      '--run <version>',
      'the release that is true, where hosts run another than the stored one',
      parseVersion,
    )
  withJson(withReason(recover), 'the answer').action((app: string, options: RecoverOptions) =>
    run((session) => recoverPlace(session, app, options)),
  )
}

function addServiceCommands(controller: Command, run: RunJob): void {
  controller
    .command('install')
    .description(
      'install and start the controller as a systemd service; again, it updates the program',
    )
    .option('--listen <host:port>', 'where to listen, such as 127.0.0.1:7400 behind a proxy')
    .option(
      '--data <directory>',
      'where everything is kept; otherwise /var/lib/lockstep-controller',
    )
    .option('--tls', 'speak TLS on loopback too, by an authority of its own')
    .option(
      '--tls-name <name>',
      'one more name or address that its certificate is for (repeatable)',
      appending,
    )
    .option('--tls-cert <file>', 'speak TLS with this certificate, its chain after it')
    .option(
      '--tls-key <file>',
      'and with this private key, which the service has to be able to read',
    )
    .option('--behind-proxy', 'speak plain HTTP to a proxy that speaks TLS')
    .option('--plain-http', 'speak plain HTTP where others can listen')
    .option('--json', 'print what was done as JSON')
    .action(({ json, ...options }: InstallOptions) =>
      run(async (session) => {
        const wish = installWish(options)
        tellReport(session, await session.services.installController(wish), json === true)
        return undefined
      }),
    )
  controller
    .command('uninstall')
    .description('stop and remove the service; its data stays')
    .option('--purge', 'remove the configuration and the data too: nobody can publish them again')
    .option('--json', 'print what was done as JSON')
    .action(({ purge, json }: { purge?: true; json?: true }) =>
      run(async (session) => {
        tellReport(session, await session.services.uninstallController({ purge }), json === true)
        return undefined
      }),
    )
}

function appending(name: string, before: readonly string[] = []): readonly string[] {
  return [...before, name]
}

function installWish(options: InstallOptions): InstallControllerOptions {
  const { listen, data, tls, tlsName, tlsCert, tlsKey, behindProxy, plainHttp } = options
  const given = {
    listen,
    data,
    tls,
    'tls-name': tlsName,
    'tls-cert': tlsCert,
    'tls-key': tlsKey,
    'behind-proxy': behindProxy,
    'plain-http': plainHttp,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

async function recoverPlace(
  session: Session,
  app: string,
  { env: environment, run, reason, json }: RecoverOptions,
): Promise<undefined> {
  const { terminal, clock } = session
  const client = session.client(reason)
  const place = { app, environment }
  const tellHosts = (hosts: Parameters<typeof hostTable>[0]) =>
    terminal.lines(hostTable(hosts, clock.now()))
  try {
    const answer = await client.recover(place, run === undefined ? {} : { run })
    if (json) {
      terminal.json(answer)
      return
    }
    const { committed, fence, hosts } = answer.environment
    const term = fence === null ? '' : ` under term ${fence.term}`
    terminal.line([
      bold('recovered'),
      `: ${app} in ${environment} is committed to ${committed?.version ?? 'nothing'}${term}; `,
      'hosts converge one by one',
    ])
    tellHosts(hosts)
  } catch (error) {
    // What the hosts attest is what the choice is made by.
    if (!(error instanceof LockstepError) || error.code !== 'run-required') throw error
    if (!json) tellHosts((await client.environment(place)).hosts)
    throw error
  }
}
