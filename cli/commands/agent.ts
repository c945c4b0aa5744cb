// `lockstep agent install` and `uninstall`. The daemon itself is another part of the program: bin/lockstep.ts
// starts it, and here it is only described.

import type { Command } from 'commander'
import { parseApp, parseEnvironment, parseHostName } from '#shared/ids.ts'
import { misuse } from '../arguments.ts'
import type { RunJob } from '../session.ts'
import { addAgentApps } from './agent-apps.ts'
import { tellReport } from './service-report.ts'

interface InstallOptions {
  readonly controller?: string
  readonly name?: string
  readonly app?: string
  readonly env?: string
  readonly root?: string
  readonly config?: string
  readonly joinTokenFile?: string
  readonly json?: true
}

interface UninstallOptions {
  readonly purge?: true
  readonly json?: true
}

const foreground = `
In the foreground:
  --config <file>           the agent’s configuration, agent.toml
  --join-token-file <file>  a file with the join token, at the first start`

export function addAgent(program: Command, run: RunJob): void {
  const agent = program
    .command('agent')
    .description('run the agent of this host in the foreground, or install it as a service')
    // Only described: declared here, they would be taken from the subcommands, which have them too.
    .usage('--config <file> [--join-token-file <file>]\n       lockstep agent [command]')
    .addHelpText('after', foreground)
    .action(() => {
      throw misuse(
        'the agent takes no option of other commands',
        'Run `lockstep agent --config FILE`.',
      )
    })
  addInstall(agent, run)
  addAgentApps(agent, run)
  agent
    .command('uninstall')
    .description('stop and remove the service and the agent’s identity; releases stay')
    .option('--purge', 'remove the configuration too')
    .option('--json', 'print what was done as JSON')
    .action(({ purge, json }: UninstallOptions) =>
      run(async (session) => {
        tellReport(session, await session.services.uninstallAgent({ purge }), json === true)
        return undefined
      }),
    )
}

function addInstall(agent: Command, run: RunJob): void {
  agent
    .command('install')
    .description('install and start the agent as a systemd service; again, it updates the program')
    .option('--controller <address>', 'where the controller is, as this host reaches it')
    .option('--app <app>', 'the app that this host serves', parseApp)
    .option('--env <environment>', 'the environment that it belongs to', parseEnvironment)
    .option('--root <directory>', 'the app’s root directory, in which `current` stands')
    .option('--name <name>', 'the host’s name; otherwise its hostname', parseHostName)
    .option('--config <file>', 'a whole agent.toml instead of the options above')
    .option('--join-token-file <file>', 'a file with the join token, or - for standard input')
    .option('--json', 'print what was done as JSON')
    .action(({ env, config, json, ...options }: InstallOptions) =>
      run(async (session) => {
        const report = await session.services.installAgent({
          ...options,
          environment: env,
          configFile: config,
        })
        tellReport(session, report, json === true)
        return undefined
      }),
    )
}
