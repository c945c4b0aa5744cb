// `lockstep build`: from a tag of a repository to a tarball that `lockstep publish` takes. Needs git and no
// controller.

import type { Command } from 'commander'
import { type Built, buildRelease, type BuildRequest } from '../build/build-release.ts'
import { bytesText, countText } from '../output/quantities.ts'
import { facts } from '../output/table.ts'
import { bold, dim, good, quotedLine, warning } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { Interruption } from '../surroundings.ts'

interface BuildOptions extends Omit<BuildRequest, 'directory'> {
  readonly json?: true
}

const closing = `
What a build does may also stand in lockstep.build.json, at the top of the repository:
  { "commands": ["npm ci"], "pack": "dist", "exclude": ["*.map"] }`

export function addBuild(program: Command, run: RunJob): void {
  const repeated = (text: string, before: readonly string[] = []) => [...before, text]
  program
    .command('build')
    .description('build a tag of a git repository into a tarball, the same bytes every time')
    .argument('[directory]', 'the project, a git repository', '.')
    .option('--ref <tag>', 'what is built; otherwise HEAD, which a tag has to name')
    .option('--command <line>', 'a build command, for the shell (repeatable)', repeated)
    .option('--source-subdir <directory>', 'build only this directory of the repository')
    .option('--pack <directory>', 'what becomes the release, such as dist; otherwise all')
    .option('--exclude <glob>', 'leave this out of the release (repeatable)', repeated)
    .option('--output <file>', 'the tarball; otherwise NAME-TAG.tar.zst here')
    .option('--force', 'replace a tarball that is there')
    .option('--allow-dirty', 'though there are changes; they are not in the build')
    .option('--allow-untagged', 'though no tag names the commit')
    .option('--json', 'print what was built, and its provenance, as JSON')
    .addHelpText('after', closing)
    .action((directory: string, { json, ...options }: BuildOptions) =>
      run((session) => build(session, { directory, ...options }, json === true)),
    )
}

async function build(session: Session, request: BuildRequest, json: boolean): Promise<undefined> {
  const { terminal, clock, env, newKey, version } = session
  const interruptions = session.catchInterruptions()
  try {
    const built = await buildRelease(request, {
      env,
      signal: interruptions.signal,
      now: () => clock.now(),
      newKey,
      lockstepVersion: version,
      tell(kind, text) {
        if (kind === 'line') terminal.note(dim(quotedLine(text)))
        else terminal.note(kind === 'step' ? bold(text) : [warning('note'), `: ${text}`])
      },
    })
    if (json) terminal.json(jsonOf(built))
    else tellBuilt(session, built)
  } catch (error) {
    if (error instanceof Interruption) terminal.note(`${error.message}; nothing was built`)
    throw error
  } finally {
    interruptions.stop()
  }
}

function jsonOf(built: Built): object {
  const { source, ...rest } = built
  return { commit: source.commit, tag: source.tag, ...rest }
}

function tellBuilt({ terminal }: Session, built: Built): void {
  const { source, tarball, entries, treeBytes, artifactBytes, artifact, tree } = built
  const count = countText(entries, 'entry').replace(/entrys$/, 'entries')
  terminal.line([good('built'), ` ${tarball}`])
  terminal.lines(
    facts([
      ['source', source.tag === null ? source.commit : `${source.tag} (${source.commit})`],
      ['content', `${count}, ${bytesText(treeBytes)}`],
      ['tarball', `${bytesText(artifactBytes)}, sha256 ${artifact}`],
      ['tree', tree],
      ['provenance', built.provenanceFile],
    ]),
  )
}
