// The versions of the tools that a build used: of those that its commands name, as they say themselves.

import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Environment } from '../connection.ts'
import type { BuildCommand } from './build-plan.ts'
import { runProgram } from './program-run.ts'

/** Tools that are known to say their version and do nothing else, and how they are asked. */
const questions: Readonly<Record<string, readonly string[]>> = {
  bun: ['--version'],
  bundle: ['--version'],
  cargo: ['--version'],
  composer: ['--version', '--no-ansi'],
  deno: ['--version'],
  dotnet: ['--version'],
  gcc: ['--version'],
  git: ['--version'],
  go: ['version'],
  gradle: ['--version', '--quiet'],
  java: ['--version'],
  make: ['--version'],
  mvn: ['--version', '--quiet'],
  node: ['--version'],
  npm: ['--version'],
  php: ['--version'],
  pip: ['--version'],
  pnpm: ['--version'],
  poetry: ['--version'],
  python3: ['--version'],
  ruby: ['--version'],
  uv: ['--version'],
  yarn: ['--version'],
}

/** What runs inside another tool, which then matters as well. */
const runsIn: Readonly<Record<string, readonly string[]>> = {
  bundle: ['bundle', 'ruby'],
  composer: ['composer', 'php'],
  npm: ['npm', 'node'],
  npx: ['npm', 'node'],
  pnpm: ['pnpm', 'node'],
  yarn: ['yarn', 'node'],
}

const always = ['git', 'node']

/** Git, Node and the known tools that these commands name, in the order of their names. */
export function toolsOf(commands: readonly BuildCommand[]): string[] {
  const words = commands.flatMap((command) =>
    typeof command === 'string' ? command.split(/[\s;&|()`$'"]+/) : command.slice(0, 1),
  )
  const tools = words.flatMap((word) => runsIn[word] ?? [word])
  return [...new Set([...always, ...tools])]
    .filter((tool) => Object.hasOwn(questions, tool))
    .toSorted()
}

/** Each tool with the first line that it says; a tool that does not answer is left out. */
export async function toolVersions(
  tools: readonly string[],
  run: { directory: string; env: Environment; signal: AbortSignal },
): Promise<Record<string, string>> {
  const versions: Record<string, string> = {}
  for (const tool of tools) {
    const version = await versionOf(tool, run)
    if (version !== null) versions[tool] = version
  }
  return versions
}

async function versionOf(
  tool: string,
  run: { directory: string; env: Environment; signal: AbortSignal },
): Promise<string | null> {
  const patience = AbortSignal.timeout(limits.toolVersionTimeoutMs)
  try {
    const argv = [tool, ...(questions[tool] ?? [])]
    const end = await runProgram({ ...run, argv, signal: AbortSignal.any([run.signal, patience]) })
    const line = end.output.find((text) => text.trim() !== '')
    return end.exitCode === 0 && line !== undefined ? line.trim() : null
  } catch (error) {
    run.signal.throwIfAborted()
    if (patience.aborted || error instanceof LockstepError) return null
    throw error
  }
}
