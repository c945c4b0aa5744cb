// `lockstep publish`: sends a built tarball to the controller as it lies on the disk, or from a pipe.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import type { ReleaseView } from '#shared/api/schemas.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { misuse, parseStrip } from '../arguments.ts'
import type { Tarball } from '../client/controller-client.ts'
import { printable } from '../output/printable.ts'
import { facts } from '../output/table.ts'
import { ageText, bytesText, countText, percentText } from '../output/quantities.ts'
import { good } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { appArgument, versionArgument, withJson } from './place.ts'
import {
  requirementsText,
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
  const requires = requirementsText(options)
  const client = session.client()
  const tarball = await openTarball(options.tarball, session)
  try {
    const { outcome, release } = await client.publish(app, version, strip, tarball, requires)
    if (options.json) terminal.json(release)
    else tellRelease(session, outcome, release)
  } finally {
    tarball.stream.destroy()
    terminal.clearTransient()
  }
}

/** @throws LockstepError `bad-usage`, `too-large`: nothing was sent */
async function openTarball(path: string, session: Session): Promise<Tarball> {
  if (path === '-') {
    return { stream: session.stdin, sizeBytes: undefined, onSent: progress(session, undefined) }
  }
  const facts = await stat(path).catch((error: unknown) => {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw misuse(`${printable(path)} cannot be read (${code})`, 'Name the tarball that was built.')
  })
  if (facts.isDirectory()) {
    const shown = printable(path)
    const hint = `Pack it first: tar -C ${shown} -czf release.tar.gz .`
    throw misuse(`${shown} is a directory`, hint)
  }
  if (!facts.isFile()) {
    return {
      stream: createReadStream(path),
      sizeBytes: undefined,
      onSent: progress(session, undefined),
    }
  }
  const sizeBytes = facts.size
  if (sizeBytes > limits.artifactBytesMax) {
    const allowed = bytesText(limits.artifactBytesMax)
    throw new LockstepError(
      'too-large',
      `${printable(path)} has ${bytesText(sizeBytes)}, and a tarball may have ${allowed}`,
      { hint: 'Leave out what the servers do not need, or split the app.' },
    )
  }
  // What is appended while it is sent is not the file that was named.
  const end = Math.max(0, sizeBytes - 1)
  return {
    stream: createReadStream(path, { end }),
    sizeBytes,
    onSent: progress(session, sizeBytes),
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
