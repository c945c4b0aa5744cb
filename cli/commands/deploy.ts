// `lockstep deploy`: sets the desired version of an environment and follows the rollout to its end.

import type { Command } from 'commander'
import type { DesiredBody } from '#shared/api/requests.ts'
import { limits } from '#shared/limits.ts'
import { misuse, parseDuration, parseExclude, parseRequire } from '../arguments.ts'
import { durationText } from '../output/quantities.ts'
import type { RunJob } from '../session.ts'
import { appArgument, environmentOption, noWaitOption, versionArgument, withJson } from './place.ts'
import { requestRollout } from './rollout-request.ts'

interface DeployOptions {
  readonly env: string
  readonly follow: boolean
  /** Milliseconds. */
  readonly wait?: number
  readonly require?: string
  readonly exclude?: Record<string, string>
  readonly allowEmpty?: true
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
    .option(
      '--require <hosts>',
      'how many must be ready: all, a number, or a percentage such as 60%',
      parseRequire,
    )
    .option(
      '--wait <duration>',
      'how long hosts have to become ready, such as 90s or 10m',
      parseWait,
    )
    .option('--exclude <host=reason>', 'go without this host (repeatable)', parseExclude)
    .option('--allow-empty', 'even if the environment has no hosts yet')
  withJson(command, 'how it ended').action((app: string, version: string, options: DeployOptions) =>
    run((session) => {
      const body = bodyOf(version, options)
      const place = { app, environment: options.env }
      const hasPolicy = Object.keys(body).length > 1
      return requestRollout(session, {
        place,
        ask: (client, key) => client.setDesired(place, body, key),
        unchanged: `${app} in ${place.environment} is committed to ${version}`,
        alreadyOpen: hasPolicy ? 'its own policy holds, not the options given here' : undefined,
        wait: options.follow,
        json: options.json === true,
      })
    }),
  )
}

function bodyOf(version: string, options: DeployOptions): DesiredBody {
  const { require, wait, exclude, allowEmpty } = options
  return {
    version,
    ...(require === undefined ? {} : { require }),
    ...(wait === undefined ? {} : { waitMs: wait }),
    ...(exclude === undefined ? {} : { exclude }),
    ...(allowEmpty === undefined ? {} : { allowEmpty }),
  }
}

function parseWait(text: string): number {
  const waitMs = parseDuration(text)
  if (waitMs <= limits.stageDeadlineMs) return waitMs
  throw misuse(
    `--wait ${text} is longer than hosts may stage, ${durationText(limits.stageDeadlineMs)}`,
    'Hosts that are not ready by then catch up by themselves after a later deploy.',
  )
}
