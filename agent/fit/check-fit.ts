// Whether this host has what a staged release requires: reads the descriptor in the release, asks
// the host, and says everything that is lacking at once.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { env } from 'node:process'
import type { StepOutcome } from '#shared/activation/events.ts'
import { descriptorPath, parseDescriptor, type Requires } from '#shared/descriptor.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { type Misfit, misfitsOf } from '#shared/fit.ts'
import { limits } from '#shared/limits.ts'
import type { AppConfig } from '../config.ts'
import { hostFacts } from './host-facts.ts'

/** How commands are asked, where a test wants it otherwise than on this host. */
interface FitOptions {
  readonly signal: AbortSignal
  readonly path?: string
  readonly timeoutMs?: number
}

/**
 * Never rejects: a host that does not fit, or could not find out, is a failed outcome (`unfit`).
 * @param directory the staged release, `versions/<version>`
 */
export async function checkFit(
  directory: string,
  { app, commands }: Pick<AppConfig, 'app' | 'commands'>,
  { signal, path = env['PATH'] ?? '', timeoutMs = limits.commandVersionMs }: FitOptions,
): Promise<StepOutcome> {
  try {
    const requires = await requiresOfRelease(directory)
    if (requires === null) return { kind: 'done' }
    const surroundings = { path, timeoutMs, signal }
    const facts = await hostFacts(Object.keys(requires.commands), commands, surroundings)
    const misfits = misfitsOf(requires, facts)
    return misfits.length === 0 ? { kind: 'done' } : unfit(misfits, app)
  } catch (error) {
    return failed(wordsOf(error, signal), 'The release was built with a descriptor of its own.')
  }
}

/** Null without a descriptor. @throws LockstepError `bad-descriptor`; what the system says. */
async function requiresOfRelease(directory: string): Promise<Requires | null> {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    const file = await open(join(directory, descriptorPath), flags)
    try {
      const facts = await file.stat()
      const isReadable = facts.isFile() && facts.size <= limits.descriptorBytesMax
      if (isReadable) return parseDescriptor(await file.readFile('utf8'))
    } finally {
      await file.close()
    }
    throw new LockstepError('bad-descriptor', `${descriptorPath} is no file of a descriptor's size`)
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw error
  }
}

function unfit(misfits: readonly Misfit[], app: string): StepOutcome {
  const lines = misfits.map(({ requires, host }) => `${requires} is required, this host ${host}`)
  const unknown = misfits.flatMap(({ unknownCommand }) => unknownCommand ?? [])
  const remedies = unknown.map((name) => `${name} = ["/path/to/${name}", "--version"]`)
  const told = `Say how to ask in agent.toml: [apps.${app}.commands] ${remedies.join('; ')}.`
  const hint = 'Install what is lacking, or deploy without this host.'
  return failed(lines.join('; '), unknown.length === 0 ? hint : `${told} ${hint}`)
}

function failed(message: string, hint: string): StepOutcome {
  return { kind: 'failed', failure: { code: 'unfit', message, hint } }
}

function wordsOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'the host was told something else before it knew whether it fits'
  return error instanceof Error ? error.message : String(error)
}
