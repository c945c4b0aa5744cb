// What this host is, as far as a release may require it: its system, its C library, and versions of
// the commands that are asked for. Judges nothing.

import { arch, platform, report } from 'node:process'
import type { CommandFact, HostFacts } from '#shared/fit.ts'
import { limits } from '#shared/limits.ts'
import type { CommandsConfig } from '../config-commands.ts'
import { type CommandSurroundings, versionOfCommand } from './command-version.ts'

/** @throws the signal's reason */
export async function hostFacts(
  names: readonly string[],
  own: CommandsConfig,
  surroundings: CommandSurroundings,
): Promise<HostFacts> {
  const waiting = [...names]
  const commands = new Map<string, CommandFact>()
  const askInTurn = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      commands.set(name, await versionOfCommand(name, own, surroundings))
    }
  }
  await Promise.all(Array.from({ length: limits.commandVersionsMax }, askInTurn))
  return { os: platform, arch, libc: libcOfThisProcess(), commands }
}

/**
 * The C library that Node runs on: its diagnostic report names the version of glibc, and the objects
 * that are loaded (Node, "Diagnostic report").
 */
function libcOfThisProcess(): HostFacts['libc'] {
  // Otherwise the report asks name servers for the peers of every socket.
  Object.assign(report, { excludeNetwork: true })
  const said: unknown = report.getReport()
  const { header, sharedObjects } = said as {
    header: { glibcVersionRuntime?: string }
    sharedObjects: readonly string[]
  }
  if (header.glibcVersionRuntime !== undefined) {
    return { name: 'glibc', version: header.glibcVersionRuntime }
  }
  const isMusl = sharedObjects.some((path) => /\/(?:ld|libc\.)-?musl/.test(path))
  return isMusl ? { name: 'musl', version: null } : null
}
