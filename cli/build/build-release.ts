// Builds one release: a clean clone of a commit, the project's own commands in it, and what they leave
// as a tarball with its provenance. The same commit and tools give the same bytes.
//
//   source ─ clone ─ commands ─ entries ─ tarball + provenance, beside ─ renamed

import { readFile, realpath, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { descriptorPath, descriptorRefused, parseDescriptor } from '#shared/descriptor.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { formatManifest, type ManifestEntry, treeBytesOf, treeDigestOf } from '#shared/manifest.ts'
import type { Environment } from '../connection.ts'
import { commandEnvironment, gitEnvironment } from './build-environment.ts'
import { openOutput } from './build-output.ts'
import {
  argvOf,
  buildFileName,
  type BuildPlan,
  commandText,
  planBuild,
  type PlanOptions,
  sourceSubdirectoryOf,
} from './build-plan.ts'
import { writeArchive } from './canonical-archive.ts'
import { type CleanClone, withCleanClone } from './clean-clone.ts'
import { runProgram } from './program-run.ts'
import { type Provenance, provenanceOf } from './provenance.ts'
import { readEntries, type ReleaseEntries } from './release-entries.ts'
import { isBelow, readSource, type Source } from './source-repository.ts'
import { toolsOf, toolVersions } from './tool-versions.ts'

export interface BuildRequest extends PlanOptions {
  readonly directory: string
  readonly ref?: string
  readonly output?: string
  readonly force?: true
  readonly allowDirty?: true
  readonly allowUntagged?: true
}

export interface BuildPorts {
  readonly env: Environment
  readonly signal: AbortSignal
  readonly now: () => number
  /** An unguessable word. */
  readonly newKey: () => string
  readonly lockstepVersion: string
  /** What goes on: a step that begins, or a line that a command writes. */
  readonly tell: (kind: 'step' | 'line' | 'warning', text: string) => void
}

export interface Built {
  readonly source: Source
  /** Absolute path. */
  readonly tarball: string
  readonly provenanceFile: string
  /** SHA-256 of the tarball. */
  readonly artifact: string
  readonly artifactBytes: number
  /** The tree digest that publishing it will give. */
  readonly tree: string
  readonly entries: number
  readonly treeBytes: number
  readonly provenance: Provenance
}

/**
 * Leaves nothing behind when it fails.
 * @throws LockstepError `bad-usage`, `unclean-source`, `untagged-source`, `bad-configuration`,
 *   `build-failed`, `refused-entry`, `archive-too-large`, `too-large`; the signal's reason
 */
export async function buildRelease(request: BuildRequest, ports: BuildPorts): Promise<Built> {
  try {
    return await build(request, ports)
  } catch (error) {
    // Streams say of an abort only that there was one.
    ports.signal.throwIfAborted()
    if (error instanceof LockstepError || !/^E[A-Z0-9]+$/.test(systemCodeOf(error) ?? ''))
      throw error
    const message = error instanceof Error ? error.message : String(error)
    throw new LockstepError('build-failed', message, { cause: error })
  }
}

async function build(request: BuildRequest, ports: BuildPorts): Promise<Built> {
  const startedAt = ports.now()
  const call = { env: gitEnvironment(ports.env), signal: ports.signal }
  const source = await readSource(request.directory, request.ref, call)
  checkSource(source, request)
  const name = request.output ?? defaultName(source)
  const output = await openOutput(name, request.force === true)
  await output.check(source, call)
  ports.tell('step', `cloning ${source.tag ?? source.commit}`)
  return await withCleanClone(source, call, async (clone) => {
    const { plan, versions } = await runCommands(clone, request, source, ports)
    const packed = await directoryIn(clone, join(plan.directory, plan.pack))
    ports.tell('step', 'packing')
    const entries = await entriesOf(packed, plan, ports)
    const tree = treeDigestOf(formatManifest(entries))
    return await output.write(async (file) => {
      const archive = await writeArchive(file, packed, entries, ports.signal)
      const provenance = provenanceOf({
        source,
        submodules: clone.submodules,
        plan,
        tarballName: basename(output.tarball),
        artifact: archive.sha256,
        tree,
        versions,
        lockstepVersion: ports.lockstepVersion,
        invocation: ports.newKey(),
        startedAt,
        finishedAt: ports.now(),
      })
      const built = {
        source,
        tarball: output.tarball,
        provenanceFile: output.provenance,
        artifact: archive.sha256,
        artifactBytes: archive.sizeBytes,
        tree,
        entries: entries.length,
        treeBytes: treeBytesOf(entries),
        provenance,
      }
      return { provenance: `${JSON.stringify(provenance, null, 2)}\n`, result: built }
    })
  })
}

/** @throws LockstepError `unclean-source`, `untagged-source` */
function checkSource({ changes, tag, commit }: Source, request: BuildRequest): void {
  if (changes.length > 0 && request.allowDirty !== true) {
    const shown = changes.slice(0, limits.buildLinesShown)
    const more = changes.length - shown.length
    const list = [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('\n')
    throw new LockstepError(
      'unclean-source',
      `the repository has changes that are not committed:\n${list}`,
      { hint: 'Commit or ignore them. With --allow-dirty the commit is built without them.' },
    )
  }
  if (tag !== null || request.allowUntagged === true) return
  throw new LockstepError('untagged-source', `no tag names the commit ${commit}`, {
    hint: 'Tag it and build the tag, or give --allow-untagged.',
  })
}

/** @throws LockstepError `bad-descriptor` */
async function checkDescriptor(
  directory: string,
  entries: readonly ManifestEntry[],
): Promise<void> {
  const entry = entries.find(({ path }) => path === descriptorPath)
  if (entry === undefined) return
  if (entry.type !== 'file') throw descriptorRefused(`is a ${entry.type}`, 'a file of its own')
  if (entry.sizeBytes > limits.descriptorBytesMax) {
    throw descriptorRefused(`has ${entry.sizeBytes} bytes`, `at most ${limits.descriptorBytesMax}`)
  }
  parseDescriptor(await readFile(join(directory, descriptorPath), 'utf8'))
}

/** The directory's name and the tag's; in the directory that the command is run in. */
function defaultName({ directory, tag, commit }: Source): string {
  const name = basename(directory).replace(/\.git$/, '')
  const label = (tag ?? commit.slice(0, 12)).replaceAll(/[^\w.+-]/g, '-')
  return `${name === '' ? 'release' : name}-${label}.tar.zst`
}

async function runCommands(
  clone: CleanClone,
  request: BuildRequest,
  source: Source,
  { env, signal, tell }: BuildPorts,
): Promise<{ plan: BuildPlan; versions: Record<string, string> }> {
  const subdirectory = sourceSubdirectoryOf(request)
  const directory = await directoryIn(clone, subdirectory)
  const plan = planBuild(await readBuildFile(directory), request)
  const run = { directory, env: commandEnvironment(env, source.commitSeconds), signal }
  const versions = await toolVersions(toolsOf(plan.commands), run)
  for (const command of plan.commands) {
    const text = commandText(command)
    tell('step', `$ ${text}`)
    const onLine = (line: string) => tell('line', line)
    const { exitCode, lastLines } = await runProgram({ ...run, argv: argvOf(command), onLine })
    if (exitCode === 0) continue
    const said = lastLines.map((line) => `\n${line}`).join('')
    throw new LockstepError('build-failed', `${text} ended with exit code ${exitCode}${said}`, {
      hint: 'It ran in a clean clone: what is not committed, or made by a command before, is not there.',
      details: { command: text, exitCode },
    })
  }
  return { plan, versions }
}

/** @returns its text, or null where there is none */
async function readBuildFile(directory: string): Promise<string | null> {
  try {
    const text = await readFile(join(directory, buildFileName), 'utf8')
    if (text.length <= limits.buildFileBytesMax) return text
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw error
  }
  throw new LockstepError(
    'bad-configuration',
    `${buildFileName} has more than ${limits.buildFileBytesMax} bytes`,
  )
}

/**
 * A directory of the clone, not one that a link leads to outside of it.
 * @returns its real path
 * @throws LockstepError `build-failed`
 */
async function directoryIn(clone: CleanClone, path: string): Promise<string> {
  const failed = (what: string) =>
    new LockstepError('build-failed', `${JSON.stringify(path)} ${what}`, {
      hint: 'Name a directory of the commit, or with --pack one that the commands make.',
    })
  try {
    const place = await realpath(join(clone.directory, path))
    if (place !== clone.directory && !isBelow(clone.directory, place)) {
      throw failed('leads out of the repository')
    }
    if ((await stat(place)).isDirectory()) return place
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCodeOf(error) ?? '')) throw error
    throw failed('does not exist in the build')
  }
  throw failed('is no directory')
}

async function entriesOf(
  directory: string,
  { exclude }: BuildPlan,
  { signal, tell }: BuildPorts,
): Promise<readonly ManifestEntry[]> {
  const { entries, idlePatterns, pointers } = await readRefusing(directory, exclude, signal)
  for (const pattern of idlePatterns) {
    tell('warning', `the pattern ${JSON.stringify(pattern)} leaves nothing out`)
  }
  if (pointers.length > 0) {
    const names = pointers.slice(0, limits.namesShown).join(', ')
    const more = pointers.length > limits.namesShown ? ' …' : ''
    tell('warning', `Git LFS is not set up: only pointers instead of ${names}${more}`)
  }
  if (entries.length > 0) return entries
  throw new LockstepError('build-failed', 'nothing is left to pack', {
    hint: 'Look at --pack and --exclude, and at what the commands leave.',
  })
}

/** What publishing refuses can be left out here. */
async function readRefusing(
  directory: string,
  exclude: readonly string[],
  signal: AbortSignal,
): Promise<ReleaseEntries> {
  try {
    const read = await readEntries(directory, exclude, signal)
    // Judges the entries among each other, as publishing does.
    if (read.entries.length > 0) formatManifest(read.entries)
    await checkDescriptor(directory, read.entries)
    return read
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'refused-entry') throw error
    const hint = 'No host would take it: let a command remove it, or leave it out with --exclude.'
    const { message, details } = error
    throw new LockstepError(error.code, message, {
      ...(details && { details }),
      hint,
      cause: error,
    })
  }
}
