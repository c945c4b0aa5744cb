// `lockstep statement`: fetches the signed statement of a published release, for a further signature, and
// sends it back with that.

import type { Command } from 'commander'
import { makeFile } from '../made-file.ts'
import { facts } from '../output/table.ts'
import { good } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { checkIsOf, parseStatementFile, readStatementFile } from '../signing/statement-file.ts'
import { appArgument, versionArgument, withJson } from './place.ts'
import { statementRows } from './statement-options.ts'

interface Named {
  readonly app: string
  readonly version: string
  readonly path: string
}

export function addStatement(program: Command, run: RunJob): void {
  const statement = program
    .command('statement')
    .description('fetch and send the signed statement of a published release')
  statement
    .command('fetch')
    .description('write the statement of a release to a file, for `lockstep countersign`')
    .addArgument(appArgument())
    .addArgument(versionArgument())
    .argument('<file>', 'where it goes')
    .option('--force', 'replace a file that is there')
    .action((app: string, version: string, path: string, { force }: { force?: true }) =>
      run((session) => fetchStatement(session, { app, version, path }, force === true)),
    )
  const send = statement
    .command('send')
    .description('send a signed statement for a release that is published')
    .addArgument(appArgument())
    .addArgument(versionArgument())
    .argument('<file>', 'the statement')
  withJson(send, 'the release').action(
    (app: string, version: string, path: string, { json }: { json?: true }) =>
      run((session) => sendStatement(session, { app, version, path }, json === true)),
  )
}

async function fetchStatement(
  session: Session,
  { app, version, path }: Named,
  mayReplace: boolean,
): Promise<undefined> {
  const text = await session.client().statement(app, version)
  const { statement } = parseStatementFile(Buffer.from(text))
  checkIsOf(statement, { app, version, facts: null })
  await makeFile({ path, text, mode: 0o644, mayReplace })
  session.terminal.line([good('fetched'), ` ${path}`])
  session.terminal.lines(facts(statementRows(statement, session.clock.now())))
}

async function sendStatement(
  session: Session,
  { app, version, path }: Named,
  json: boolean,
): Promise<undefined> {
  const { terminal, clock } = session
  const { content, statement, envelope } = await readStatementFile(path)
  checkIsOf(statement, { app, version, facts: null })
  const release = await session.client().sendStatement(app, version, content.toString('utf8'))
  if (json) {
    terminal.json(release)
    return
  }
  terminal.line([good('sent'), ` the statement of ${app} ${version}`])
  const signers = envelope.signatures.map(({ keyId }) => keyId).join(', ')
  terminal.lines(facts([...statementRows(statement, clock.now()), ['signed by', signers]]))
}
