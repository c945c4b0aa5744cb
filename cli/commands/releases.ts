// `lockstep releases`: what was published of an app, newest first; prune.ts has what removes them.

import type { Command } from 'commander'
import type { ReleaseView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { bytesText, instantText, namesText } from '../output/quantities.ts'
import { bad, type Text } from '../output/text.ts'
import type { RunJob } from '../session.ts'
import { appArgument, withJson } from './place.ts'
import { readList, tellList } from './long-list.ts'
import { addPrune } from './prune.ts'

interface ReleasesOptions {
  readonly all?: true
  readonly json?: true
}

export function addReleases(program: Command, run: RunJob): void {
  const command = program
    .command('releases')
    .description('list the releases of an app, newest first')
    .addArgument(appArgument())
    .option('--all', 'all of them, not only the newest')
    .helpCommand(false)
  withJson(command, 'the list').action((app: string, options: ReleasesOptions) =>
    run(async (session) => {
      const client = session.client()
      const list = await readList((after) => client.releases(app, after), options.all === true)
      if (options.json) session.terminal.json(list)
      else tellList(session.terminal, list, { ...options, noun: 'release', headings, row })
      return undefined
    }),
  )
  addPrune(command, run)
}

const headings = ['VERSION', 'PUBLISHED', 'BY', 'ENTRIES', 'SIZE', 'TREE', 'SIGNED', 'FAILED IN']

function row(release: ReleaseView): Text[] {
  const { version, publishedAt, publishedBy, entries, treeBytes, tree, failed } = release
  const environments = failed.map(({ environment }) => environment)
  return [
    version,
    instantText(publishedAt),
    publishedBy,
    `${entries}`,
    bytesText(treeBytes),
    tree.slice(0, 12),
    signedText(release),
    environments.length === 0 ? '' : bad(namesText(environments, limits.namesShown)),
  ]
}

/** By its sequence, and until when; whether the signatures hold is for the hosts to say. */
function signedText({ statement, sequence }: ReleaseView): string {
  if (statement === null || sequence === null) return 'no'
  const { expiresAt } = statement
  return expiresAt === null ? `#${sequence}` : `#${sequence} until ${instantText(expiresAt)}`
}
