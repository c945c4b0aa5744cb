// `lockstep rollback`: moves an environment to a release that it ran before, as a rollout like any other.

import type { Command } from 'commander'
import { parseVersion } from '#shared/ids.ts'
import type { RunJob } from '../session.ts'
import { appArgument, environmentOption, noWaitOption, withJson, withReason } from './place.ts'
import { requestRollout } from './rollout-request.ts'

interface RollbackOptions {
  readonly env: string
  readonly to?: string
  readonly reason?: string
  readonly follow: boolean
  readonly json?: true
}

export function addRollback(program: Command, run: RunJob): void {
  const command = program
    .command('rollback')
    .description('go back to the release committed before, and follow the rollout to its end')
    .addArgument(appArgument())
    .addOption(environmentOption())
    .option('--to <version>', 'to this release instead', parseVersion)
    .addOption(noWaitOption())
  withJson(withReason(command), 'how it ended').action((app: string, options: RollbackOptions) =>
    run((session) => {
      const { env: environment, to } = options
      const place = { app, environment }
      return requestRollout(session, {
        place,
        ask: (client, key) => client.rollback(place, to === undefined ? {} : { version: to }, key),
        unchanged: `${app} in ${environment} is committed to ${to ?? 'that release'}`,
        reason: options.reason,
        wait: options.follow,
        json: options.json === true,
      })
    }),
  )
}
