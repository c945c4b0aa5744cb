// `lockstep continue` and `pause`: whether the open rollout goes on to its next wave.

import type { Command } from 'commander'
import type { DesiredAnswer } from '#shared/api/requests.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { durationText } from '../output/quantities.ts'
import { bold, type Text } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { appArgument, environmentOption, withJson, withReason } from './place.ts'
import { at } from './rollout-request.ts'

interface ContinueOptions {
  readonly env: string
  readonly reason?: string
  readonly json?: true
}

export function addContinue(program: Command, run: RunJob): void {
  const onward = program
    .command('continue')
    .description('let the open rollout go on to its next wave')
    .addArgument(appArgument())
    .addOption(environmentOption())
  withJson(withReason(onward), 'the answer').action((app: string, options: ContinueOptions) =>
    run((session) =>
      move(
        session,
        app,
        options,
        (client, id) => client.goOn(id),
        () => [bold('continued'), `: the next wave swaps as soon as its hosts are ready`],
      ),
    ),
  )
  const pause = program
    .command('pause')
    .description('hold the open rollout up before its next wave')
    .addArgument(appArgument())
    .addOption(environmentOption())
  withJson(withReason(pause), 'the answer').action((app: string, options: ContinueOptions) =>
    run((session) => move(session, app, options, (client, id) => client.pause(id), pausedText)),
  )
}

function pausedText({ rollout }: DesiredAnswer, now: number): Text {
  const between = rollout?.between ?? null
  if (rollout === null || between === null) {
    return [bold('paused'), ': it waits once this wave is healthy']
  }
  const left = durationText(Math.max(0, rollout.deadlineAt - now))
  return [bold('paused'), `: it goes back by itself in ${left} if nobody lets it go on`]
}

async function move(
  session: Session,
  app: string,
  options: ContinueOptions,
  ask: (client: ControllerClient, id: string) => Promise<DesiredAnswer>,
  say: (answer: DesiredAnswer, now: number) => Text,
): Promise<undefined> {
  const { terminal, clock } = session
  const client = session.client(options.reason)
  const place = { app, environment: options.env }
  const { rollout } = await client.environment(place)
  if (rollout === null || rollout.exitCode !== null) {
    throw new LockstepError('not-waiting', `no rollout of ${app} in ${options.env} is open`, {
      hint: `See \`lockstep history ${at(place)}\`.`,
    })
  }
  const answer = await ask(client, rollout.id)
  if (options.json) terminal.json(answer)
  else {
    terminal.line(say(answer, clock.now()))
    terminal.line(`  follow it: lockstep watch ${at(place)}`)
  }
  return undefined
}
