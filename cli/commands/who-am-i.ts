// `lockstep whoami`: whom the controller takes this command for, and what the token is good for.

import type { Command } from 'commander'
import type { Grant } from '#shared/api/token-schemas.ts'
import { instantText } from '../output/quantities.ts'
import { bold } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { withJson } from './place.ts'

export function addWhoAmI(program: Command, run: RunJob): void {
  const command = program.command('whoami').description('say what the token is good for')
  withJson(command, 'the answer').action(({ json }: { json?: true }) =>
    run((session) => whoAmI(session, json === true)),
  )
}

async function whoAmI(session: Session, json: boolean): Promise<undefined> {
  const { terminal } = session
  const who = await session.client().whoAmI()
  if (json) {
    terminal.json(who)
    return
  }
  const { id, owner, grants, expiresAt } = who
  terminal.line([bold(`token ${id}`), owner === null ? '' : ` of ${owner}`])
  for (const grant of grants) terminal.line(`  ${grantText(grant)}`)
  terminal.line(`  until ${instantText(expiresAt)}`)
}

/** `deployer of shop in production`; `admin of everything`. */
export function grantText({ role, app, environment }: Grant): string {
  if (app === '*' && environment === '*') return `${role} of everything`
  const what = app === '*' ? 'every app' : app
  return environment === '*' ? `${role} of ${what}` : `${role} of ${what} in ${environment}`
}
