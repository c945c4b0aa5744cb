// Has PHP-FPM reset its opcode cache, through its own socket: the command line has a cache of its own,
// so a reset there changes nothing. docs/configuration.md, "PHP".

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StepOutcome } from '#shared/activation/events.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { asDiskError } from '../adapters/disk-error.ts'
import { writeDurably } from '../adapters/durable-file.ts'
import { askFastCgi, type FastCgiAddress, type FastCgiAnswer } from '../adapters/fast-cgi.ts'
import { parseAddress } from '../config-health.ts'
import type { AppLayout } from '../layout/app-layout.ts'

/** FPM runs files only: this one lies in `.lockstep/`, where its user can read it. */
const scriptName = 'opcache-reset.php'
const script = `<?php
// Written by the Lockstep agent, which asks PHP-FPM to run it after each activation.
header('Content-Type: text/plain');
clearstatcache(true);
if (!function_exists('opcache_reset')) echo 'absent';
elseif (@opcache_get_status(false) === false && !ini_get('opcache.enable')) echo 'disabled';
else echo @opcache_reset() ? 'reset' : 'refused';
`

export interface OpcacheRequest {
  /** An absolute path, or an address with its port. */
  readonly socket: string
  readonly layout: AppLayout
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Never rejects. Where there is no cache, there is nothing to reset, which is fine. */
export async function resetOpcache(request: OpcacheRequest): Promise<StepOutcome> {
  const { socket, layout, clock, signal } = request
  const file = join(layout.lockstep, scriptName)
  const late = new AbortController()
  const cancel = clock.timer(clock.now() + limits.opcacheTimeoutMs, () => late.abort())
  try {
    await writeScript(file)
    const address: FastCgiAddress = addressOf(socket)
    const answer = await askFastCgi(
      address,
      parametersFor(file),
      AbortSignal.any([signal, late.signal]),
    )
    const flaw = flawOf(answer, { socket, file })
    return flaw === null ? { kind: 'done' } : failed(socket, flaw.reason, flaw.hint)
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return failed(socket, error.message, error.hint ?? '')
  } finally {
    cancel()
  }
}

function addressOf(socket: string): FastCgiAddress {
  const parsed = parseAddress(socket)
  return parsed === null ? { path: socket } : { host: parsed.address, port: parsed.port }
}

async function writeScript(file: string): Promise<void> {
  try {
    if (readFileSync(file, 'utf8') === script) return
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw asDiskError(error, `Reading ${file}`)
  }
  try {
    await writeDurably(file, script, 0o644)
  } catch (error) {
    throw asDiskError(error, `Writing ${file}`)
  }
}

function parametersFor(file: string): Record<string, string> {
  return {
    GATEWAY_INTERFACE: 'CGI/1.1',
    REQUEST_METHOD: 'GET',
    REQUEST_URI: `/${scriptName}`,
    SCRIPT_NAME: `/${scriptName}`,
    SCRIPT_FILENAME: file,
    QUERY_STRING: '',
    SERVER_NAME: 'localhost',
    SERVER_PORT: '80',
    SERVER_PROTOCOL: 'HTTP/1.1',
    SERVER_SOFTWARE: 'lockstep',
    REMOTE_ADDR: '127.0.0.1',
  }
}

interface Flaw {
  readonly reason: string
  readonly hint: string
}

const connectHints: Readonly<Record<string, string>> = {
  ENOENT: 'Write the `listen` of FPM’s pool as `opcache`, and see that FPM runs.',
  ECONNREFUSED: 'Write the `listen` of FPM’s pool as `opcache`, and see that FPM runs.',
  EACCES: 'Let the agent’s user open the socket: listen.acl_users in the pool’s configuration.',
}

/** Null when nothing of the old release is cached any more. */
function flawOf(answer: FastCgiAnswer, { socket, file }: { socket: string; file: string }) {
  if (answer.kind === 'failed') {
    const { reason } = answer
    const hint = connectHints[reason] ?? 'See FPM’s own log; it may be out of workers.'
    return { reason, hint } satisfies Flaw
  }
  const { status, body, log } = answer
  const word = body.trim()
  if (status === 200 && ['reset', 'absent', 'disabled'].includes(word)) return null
  const said = [word, log]
    .filter((text) => text !== '')
    .join('; ')
    .slice(0, 300)
  const reason = `it answered ${status}${said === '' ? '' : `: ${said}`}`
  return { reason, hint: hintFor(status, word, { socket, file }) } satisfies Flaw
}

function hintFor(status: number, word: string, { file }: { socket: string; file: string }): string {
  if (status === 404) {
    return `FPM’s user has to be able to read ${file}: see its rights, chroot and open_basedir.`
  }
  if (status === 403) return 'FPM runs no file of this name: see security.limit_extensions.'
  if (word === 'refused') {
    return `PHP does not let this script reset the cache: see opcache.restrict_api for ${file}.`
  }
  return 'See FPM’s own log.'
}

function failed(socket: string, reason: string, hint: string): StepOutcome {
  const message = `opcache of PHP-FPM at ${socket} was not reset: ${reason}`
  return { kind: 'failed', failure: { code: 'reload-failed', message, hint } }
}
