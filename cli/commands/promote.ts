// `lockstep promote`: moves the release that is committed in one environment to another: the same tree.

import type { Command } from 'commander'
import { Option } from 'commander'
import { parseEnvironment } from '#shared/ids.ts'
import type { RunJob } from '../session.ts'
import { appArgument, noWaitOption, withJson, withReason } from './place.ts'
import { addPolicyOptions, type PolicyOptions, policyOf } from './policy-options.ts'
import { ownPolicyHolds, requestRollout } from './rollout-request.ts'

interface PromoteOptions extends PolicyOptions {
  readonly from: string
  readonly to: string
  readonly reason?: string
  readonly follow: boolean
  readonly json?: true
}

export function addPromote(program: Command, run: RunJob): void {
  const command = program
    .command('promote')
    .description('move the release that is committed in one environment to another')
    .addArgument(appArgument())
    .addOption(placeOption('--from <environment>', 'where the release is committed'))
    .addOption(placeOption('--to <environment>', 'where it is to run'))
    .addOption(noWaitOption())
  withJson(withReason(addPolicyOptions(command)), 'how it ended').action(
    (app: string, options: PromoteOptions) =>
      run((session) => {
        const { from, to } = options
        const policy = policyOf(options)
        const place = { app, environment: to }
        return requestRollout(session, {
          place,
          ask: (client, key) => client.promote(place, { from, ...policy }, key),
          unchanged: `${app} in ${to} is committed to what ${from} is committed to`,
          alreadyOpen: ownPolicyHolds(policy),
          reason: options.reason,
          wait: options.follow,
          json: options.json === true,
        })
      }),
  )
}

function placeOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(parseEnvironment).makeOptionMandatory()
}
