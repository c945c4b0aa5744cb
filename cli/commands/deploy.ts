// `lockstep deploy`: sets the desired version of an environment and follows the rollout to its end.

import type { Command } from 'commander'
import type { RunJob } from '../session.ts'
import {
  appArgument,
  environmentOption,
  noWaitOption,
  versionArgument,
  withJson,
  withReason,
} from './place.ts'
import { addPolicyOptions, type PolicyOptions, policyOf } from './policy-options.ts'
import { ownPolicyHolds, requestRollout } from './rollout-request.ts'

interface DeployOptions extends PolicyOptions {
  readonly env: string
  readonly reason?: string
  readonly follow: boolean
  readonly json?: true
}

export function addDeploy(program: Command, run: RunJob): void {
  const command = program
    .command('deploy')
    .description(
      'set the version that an environment should run, and follow the rollout to its end',
    )
    .addArgument(appArgument())
    .addArgument(versionArgument())
    .addOption(environmentOption())
    .addOption(noWaitOption())
  withJson(withReason(addPolicyOptions(command)), 'how it ended').action(
    (app: string, version: string, options: DeployOptions) =>
      run((session) => {
        const policy = policyOf(options)
        const place = { app, environment: options.env }
        return requestRollout(session, {
          place,
          ask: (client, key) => client.setDesired(place, { version, ...policy }, key),
          unchanged: `${app} in ${place.environment} is committed to ${version}`,
          alreadyOpen: ownPolicyHolds(policy),
          reason: options.reason,
          wait: options.follow,
          json: options.json === true,
        })
      }),
  )
}
