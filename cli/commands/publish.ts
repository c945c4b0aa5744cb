// `lockstep publish`: sends a built tarball to the controller as it lies on the disk, or from a pipe, and
// believes the controller only what it computed itself.

import type { Command } from 'commander'
import type { ReleaseView } from '#shared/api/schemas.ts'
import { parseStrip } from '../arguments.ts'
import { facts } from '../output/table.ts'
import { ageText, bytesText, countText, percentText } from '../output/quantities.ts'
import { good } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { checkAnswer } from '../tarball/published-answer.ts'
import { openTarball } from '../tarball/tarball-file.ts'
import { TarballWitness } from '../tarball/tarball-witness.ts'
import { appArgument, versionArgument, withJson } from './place.ts'
import {
  requirementsOf,
  requirementWords,
  type RequirementOptions,
  withRequirements,
} from './requirements.ts'

interface PublishOptions extends RequirementOptions {
  readonly strip: number
  readonly json?: true
}

export function addPublish(program: Command, run: RunJob): void {
  const command = program
    .command('publish')
    .description('publish a built tarball (.tar, .tar.gz, .tar.zst) as a version, for good')
    .addArgument(appArgument())
    .addArgument(versionArgument())
    .argument('<tarball>', 'a file, or - for standard input')
    .option('--strip <n>', 'leave out this many leading folders of every path', parseStrip, 0)
  withJson(withRequirements(command), 'the release').action(
    (app: string, version: string, tarball: string, options: PublishOptions) =>
      run((session) => publish(session, { app, version, tarball, ...options })),
  )
}

async function publish(
  session: Session,
  options: PublishOptions & { app: string; version: string; tarball: string },
): Promise<undefined> {
  const { terminal } = session
  const { app, version, strip } = options
  const requirements = requirementsOf(options)
  const client = session.client()
  const { stream, sizeBytes } = await openTarball(options.tarball, session.stdin)
  try {
    const reading = { strip, requires: requirements?.requires ?? null }
    const witness = new TarballWitness(stream, reading)
    const sent = { stream: witness.stream, sizeBytes, onSent: progress(session, sizeBytes) }
    const answer = await client.publish(app, version, strip, sent, requirements?.text)
    checkAnswer(answer, await witness.witnessed)
    if (options.json) terminal.json(answer.release)
    else tellRelease(session, answer.outcome, answer.release)
  } finally {
    stream.destroy()
    terminal.clearTransient()
  }
}

/** Draws how far the sending is, at most every tenth of a second. */
function progress(
  { terminal, clock }: Session,
  sizeBytes: number | undefined,
): (sentBytes: number) => void {
  const startedAt = clock.now()
  let drawnAt = startedAt
  return (sentBytes) => {
    const now = clock.now()
    const isAllSent = sentBytes === sizeBytes
    if (!isAllSent && now - drawnAt < 100) return
    drawnAt = now
    const rate = `${bytesText((sentBytes * 1000) / Math.max(1, now - startedAt))}/s`
    if (isAllSent)
      terminal.transient(`sent ${bytesText(sentBytes)}; the controller checks and stores it`)
    else if (sizeBytes === undefined) terminal.transient(`sending ${bytesText(sentBytes)}, ${rate}`)
    else {
      const percent = percentText(sentBytes, sizeBytes)
      terminal.transient(`sending ${percent} of ${bytesText(sizeBytes)}, ${rate}`)
    }
  }
}

function tellRelease(
  { terminal, clock }: Session,
  outcome: 'published' | 'present',
  release: ReleaseView,
): void {
  const { app, version, entries, treeBytes, artifactBytes, tree, publishedAt, publishedBy } =
    release
  const age = ageText(clock.now() - publishedAt)
  terminal.line(
    outcome === 'published'
      ? [good('published'), ` ${app} ${version}`]
      : `${app} ${version} was published before with the same content (${age} ago, by ${publishedBy})`,
  )
  terminal.lines(
    facts([
      [
        'content',
        `${countText(entries, 'entry').replace(/entrys$/, 'entries')}, ${bytesText(treeBytes)}`,
      ],
      ['tarball', bytesText(artifactBytes)],
      ['tree', tree],
      ['requires', requirementWords(release.requires)],
    ]),
  )
}
