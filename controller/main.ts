// The controller as a process: options, log, systemd, signals, exit code. Everything else is app.ts.

import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import manifest from '../package.json' with { type: 'json' }
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { requireNoSecretIn } from '#shared/secret-text.ts'

import { lockDirectory } from '#systemd/instance-lock.ts'
import { createLog } from '#systemd/journal-log.ts'
import { createNotifier } from '#systemd/notify.ts'
import { allOf, eventLoopCheck } from '#systemd/self-check.ts'
import { type Controller, startController } from './app.ts'
import { chooseTls, type TlsChoice } from '#shared/tls-choice.ts'

interface Options {
  data: string
  host: string
  port: number
  tls: TlsChoice
}

const usage = 'lockstep controller --data DIR --listen HOST:PORT'

const known = {
  'data': { type: 'string' },
  'listen': { type: 'string' },
  'tls': { type: 'boolean' },
  'tls-name': { type: 'string', multiple: true },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'behind-proxy': { type: 'boolean' },
  'plain-http': { type: 'boolean' },
} as const

/**
 * Runs until a signal ends it.
 * @param argv the words after `lockstep controller`
 * @returns the exit code: 0 stopped, 1 failed, 2 wrong usage
 */
export async function main(argv: readonly string[]): Promise<number> {
  const log = createLog({ name: 'controller', level: process.env['LOCKSTEP_LOG'] ?? 'info' })
  try {
    const options = optionsOf(argv)
    const lock = await lockDirectory(options.data, 'data directory')
    const stopped = stopSignal()
    const controller = await startController({
      ...options,
      version: manifest.version,
      log,
      onFatal: (error) => {
        log.fatal({ err: error }, 'the controller cannot go on')
        process.exit(1)
      },
    })
    const code = await serve(controller, log, stopped)
    lock.release()
    return code
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    log.fatal({ code: error.code, hint: error.hint, details: error.details }, error.message)
    return error.code === 'bad-usage' ? 2 : 1
  }
}

async function serve(
  controller: Controller,
  log: ReturnType<typeof createLog>,
  stopped: Promise<string>,
): Promise<number> {
  const notifier = createNotifier(process.env, { onProblem: (text) => log.warn(text) })
  const unwatch = notifier.watch(
    allOf([eventLoopCheck(limits.eventLoopLagMaxMs), checkOf(controller)]),
  )
  const { url, pins } = controller
  const facts = pins.length === 0 ? {} : { pins }
  log.info({ url, version: manifest.version, ...facts }, 'listening')
  await notifier.ready(`listening on ${controller.url}`)
  const signal = await stopped
  log.info({ signal }, 'stopping')
  unwatch()
  await notifier.stopping('stopping')
  await controller.stop()
  return 0
}

/** A database that cannot be written is shown but not restarted: a restart frees no disk. */
function checkOf(controller: Controller) {
  return async () => {
    try {
      await controller.check()
      return { outcome: 'ok' as const }
    } catch (error) {
      return { outcome: 'degraded' as const, reason: `the database: ${String(error)}` }
    }
  }
}

function stopSignal(): Promise<string> {
  const { promise, resolve: stop } = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop(signal))
  return promise
}

/** @throws LockstepError `bad-usage`. */
function optionsOf(argv: readonly string[]): Options {
  requireNoSecretIn(argv)
  const values = valuesOf(argv)
  const { data, listen } = values
  const [, written, port] = /^(\[[0-9a-fA-F:]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(listen ?? '') ?? []
  if (data === undefined || written === undefined || Number(port) > 65_535) {
    throw new LockstepError('bad-usage', 'the controller needs --data DIR and --listen HOST:PORT', {
      hint: 'For example: lockstep controller --data /var/lib/lockstep --listen 127.0.0.1:7070',
    })
  }
  const host = written.replace(/^\[|\]$/g, '')
  return { data: resolve(data), host, port: Number(port), tls: chooseTls(host, values) }
}

function valuesOf(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: known }).values
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new LockstepError('bad-usage', error.message, { hint: usage, cause: error })
  }
}
