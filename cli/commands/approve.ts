// `lockstep approve`, `approvals` and `withdraw`: the second person of an environment that asks for one.

import { type Command, Argument } from 'commander'
import type { ApprovalView } from '#shared/api/requests.ts'
import { approvalsOf, approve, withdraw } from '../client/approvals.ts'
import { instantText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import { bold, type Text, warning } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { appArgument, environmentOption, noWaitOption, withJson, withReason } from './place.ts'
import { requestRollout } from './rollout-request.ts'

interface Options {
  readonly env: string
  readonly reason?: string
  readonly json?: true
}

interface ApproveOptions extends Options {
  readonly follow: boolean
}

export function addApprove(program: Command, run: RunJob): void {
  const list = program
    .command('approvals')
    .description('list what waits for another person, and what became of it')
    .addArgument(appArgument())
    .addOption(environmentOption())
  withJson(list, 'the list').action((app: string, options: Options) =>
    run((session) => listApprovals(session, app, options)),
  )
  const give = program
    .command('approve')
    .description('approve what another person asked for, and follow the rollout to its end')
    .addArgument(appArgument())
    .addArgument(idArgument())
    .addOption(environmentOption())
    .addOption(noWaitOption())
  withJson(withReason(give), 'how it ended').action(
    (app: string, id: string, options: ApproveOptions) =>
      run((session) => {
        const place = { app, environment: options.env }
        return requestRollout(session, {
          place,
          ask: (client) => approve(client, place, id),
          unchanged: `${app} in ${place.environment} is committed to it already`,
          reason: options.reason,
          wait: options.follow,
          json: options.json === true,
        })
      }),
  )
  const take = program
    .command('withdraw')
    .description('take back what you asked for, or decline what another person did')
    .addArgument(appArgument())
    .addArgument(idArgument())
    .addOption(environmentOption())
  withJson(withReason(take), 'the request').action((app: string, id: string, options: Options) =>
    run((session) => withdrawApproval(session, { app, id }, options)),
  )
}

function idArgument(): Argument {
  return new Argument('<id>', 'of the request, as `approvals` shows it')
}

async function listApprovals(session: Session, app: string, { env, json }: Options) {
  const { terminal, clock } = session
  const list = await approvalsOf(session.client(), { app, environment: env })
  if (json) terminal.json(list)
  else if (list.items.length === 0) terminal.line(`nothing waits in ${app} ${env}`)
  else {
    const now = clock.now()
    const rows = list.items.map((approval) => row(approval, now))
    terminal.lines(table(['ID', 'ASKED FOR', 'BY', 'STATE', 'WHY'], rows))
  }
  return undefined
}

function row(approval: ApprovalView, now: number): Text[] {
  const { id, what, release, requestedBy, owner, why, state, expiresAt, decidedBy } = approval
  const isWaiting = state === 'waiting' && expiresAt > now
  return [
    id,
    `${what} ${release.version} (tree ${release.tree.slice(0, 12)})`,
    owner === null ? requestedBy : `${owner} (${requestedBy})`,
    isWaiting
      ? warning(`waiting until ${instantText(expiresAt)}`)
      : decidedBy === null
        ? state
        : `${state} by ${decidedBy}`,
    why ?? '-',
  ]
}

async function withdrawApproval(
  session: Session,
  { app, id }: { app: string; id: string },
  { env, reason, json }: Options,
) {
  const place = { app, environment: env }
  const approval = await withdraw(session.client(reason), place, id)
  if (json) session.terminal.json(approval)
  else {
    const { what, release, state } = approval
    session.terminal.line([bold(state), `: ${what} ${release.version}`])
  }
  return undefined
}
