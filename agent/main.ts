// The agent as a process: options, configuration, log, systemd, signals, exit code. Everything else
// is app.ts.

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Logger } from 'pino'
import { backoffDelayMs } from '#shared/backoff.ts'
import manifest from '../package.json' with { type: 'json' }
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { requireNoSecretIn } from '#shared/secret-text.ts'

import { lockDirectory } from '#systemd/instance-lock.ts'
import { createLog } from '#systemd/journal-log.ts'
import { createNotifier, type Notifier } from '#systemd/notify.ts'
import { allOf, eventLoopCheck, writableCheck } from '#systemd/self-check.ts'
import { type Agent, type AgentOptions, discardJoinToken, startAgent } from './app.ts'
import { readAgentConfig } from './config-file.ts'

interface Options {
  config: string
  joinTokenFile: string | null
}

const usage = 'lockstep agent --config FILE [--join-token-file FILE]'

/**
 * Runs until a signal ends it.
 * @param argv the words after `lockstep agent`
 * @returns the exit code: 0 stopped, 1 failed, 2 wrong usage
 */
export async function main(argv: readonly string[]): Promise<number> {
  const log = createLog({ name: 'agent', level: process.env['LOCKSTEP_LOG'] ?? 'info' })
  try {
    const options = optionsOf(argv)
    const config = readAgentConfig(options.config)
    const lock = await lockDirectory(config.state, 'state directory')
    const notifier = createNotifier(process.env, { onProblem: (text) => log.warn(text) })
    const { joinTokenFile } = options
    await serve(
      {
        config,
        version: manifest.version,
        log,
        joinToken: () => readJoinToken(joinTokenFile),
        onStatus: (text) => void notifier.status(text),
      },
      notifier,
      joinTokenFile,
    )
    lock.release()
    return 0
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    log.fatal({ code: error.code, hint: error.hint, details: error.details }, error.message)
    return error.code === 'bad-usage' ? 2 : 1
  }
}

async function serve(
  options: AgentOptions,
  notifier: Notifier,
  joinTokenFile: string | null,
): Promise<void> {
  const { config, log } = options
  const stopped = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stopped.abort(signal))
  const unwatch = notifier.watch(
    allOf([eventLoopCheck(limits.eventLoopLagMaxMs), writableCheck(config.state)]),
  )
  log.info(
    { version: manifest.version, host: config.name, controller: config.controller },
    'starting',
  )
  const agent = await startPatiently(options, notifier, stopped.signal)
  if (agent !== null) {
    await notifier.ready(`serving ${config.apps.map((app) => app.app).join(', ')}`)
    stopped.signal.addEventListener('abort', () => agent.stop(), { once: true })
    if (stopped.signal.aborted) agent.stop()
    if (joinTokenFile !== null) {
      void agent.joined.then(() => discardJoinToken(joinTokenFile, config.state))
    }
    await agent.ended
  }
  log.info({ signal: stopped.signal.reason }, 'stopped')
  unwatch()
  await notifier.stopping('stopping')
}

/** A controller that is not there yet is waited for; everything else is the operator's to mend. */
async function startPatiently(
  options: AgentOptions,
  notifier: Notifier,
  signal: AbortSignal,
): Promise<Agent | null> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      return await startAgent(options)
    } catch (error) {
      if (!(error instanceof LockstepError) || !error.retryable) throw error
      await notifier.ready(`not enrolled yet: ${error.message}`)
      await retryLater(options.log, error, attempt, signal)
    }
  }
  return null
}

async function retryLater(
  log: Logger,
  error: LockstepError,
  attempt: number,
  signal: AbortSignal,
): Promise<void> {
  const bounds = { minMs: limits.reconnectMinMs, maxMs: limits.reconnectMaxMs }
  const retryInMs = backoffDelayMs(attempt, Math.random(), bounds)
  log.warn({ code: error.code, hint: error.hint, retryInMs }, error.message)
  try {
    await sleep(retryInMs, undefined, { signal })
  } catch (interruption) {
    if (!signal.aborted) throw interruption
  }
}

/** A file that is not there is no token: the agent may have enrolled long ago. */
async function readJoinToken(file: string | null): Promise<string | null> {
  if (file === null) return null
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'ENOENT') return null
    if (code === undefined) throw error
    throw new LockstepError('bad-usage', `the join token file ${file} cannot be read (${code})`, {
      hint: 'Give the agent\u2019s user the right to read it.',
      cause: error,
    })
  }
}

/** @throws LockstepError `bad-usage`. */
function optionsOf(argv: readonly string[]): Options {
  requireNoSecretIn(argv)
  const values = valuesOf(argv)
  if (values.config === undefined) {
    throw new LockstepError('bad-usage', 'the agent needs --config FILE', { hint: usage })
  }
  const token = values['join-token-file']
  return {
    config: resolve(values.config),
    joinTokenFile: token === undefined ? null : resolve(token),
  }
}

function valuesOf(argv: readonly string[]) {
  try {
    const options = {
      config: { type: 'string' },
      'join-token-file': { type: 'string' },
    } as const
    return parseArgs({ args: [...argv], options }).values
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new LockstepError('bad-usage', error.message, { hint: usage, cause: error })
  }
}
