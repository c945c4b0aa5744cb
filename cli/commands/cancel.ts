// `lockstep cancel`: stops the open rollout of an environment. Waits for no agent, and says whether hosts
// have to go back.

import type { Command } from 'commander'
import { LockstepError } from '#shared/errors.ts'
import { bold } from '../output/text.ts'
import { rolloutEnd } from '../follow/rollout-end.ts'
import type { RunJob, Session } from '../session.ts'
import { appArgument, environmentOption, withJson, withReason } from './place.ts'
import { at } from './rollout-request.ts'

interface CancelOptions {
  readonly env: string
  readonly reason?: string
  readonly json?: true
}

export function addCancel(program: Command, run: RunJob): void {
  const command = program
    .command('cancel')
    .description('stop the open rollout; hosts that have swapped already go back')
    .addArgument(appArgument())
    .addOption(environmentOption())
  withJson(withReason(command), 'the answer').action((app: string, options: CancelOptions) =>
    run((session) => cancel(session, app, options)),
  )
}

async function cancel(session: Session, app: string, options: CancelOptions): Promise<undefined> {
  const { terminal } = session
  const client = session.client(options.reason)
  const place = { app, environment: options.env }
  const { rollout: open } = await client.environment(place)
  if (open === null || open.exitCode !== null) {
    throw new LockstepError('nothing-to-cancel', `no rollout of ${app} in ${options.env} is open`, {
      hint: `See \`lockstep history ${at(place)}\`. To leave a release, use \`lockstep rollback\`.`,
    })
  }
  const answer = await client.cancel(open.id)
  const { rollout } = answer
  if (options.json) terminal.json(answer)
  else if (rollout === null) terminal.line(bold('cancelled'))
  else if (rollout.exitCode !== null) terminal.lines(rolloutEnd(rollout))
  else {
    const to = rollout.fallback?.version ?? 'what they ran before'
    terminal.line([bold('cancelled'), ` after the decision to swap: hosts go back to ${to}`])
    terminal.line(`  follow them: lockstep watch ${at(place)}`)
  }
}
