// Asks root for something about a unit over the socket that `lockstep agent install` made for it, where
// polkit cannot grant it; where there is no such socket, systemctl is asked itself. What comes back is
// what systemctl said. systemd/unit-request.sh is the other end.

import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { unitRequestDirectory, unitRequestName, unitVerbs } from '#shared/unit-request.ts'
import type { Systemctl, SystemctlAnswer } from './systemctl.ts'

interface UnitRequest {
  readonly path: string
  /** What completes the name of a hook's instance; empty where the socket stands for one unit. */
  readonly rest: string
}

/** @param directory of the sockets; root's */
export function withUnitRequests(direct: Systemctl, directory = unitRequestDirectory): Systemctl {
  return (args, options) => {
    const request = requestOf(args, directory)
    return request === null ? direct(args, options) : ask(request, options)
  }
}

/** Null for what is no request about one unit, and where no socket stands for it. */
function requestOf(args: readonly string[], directory: string): UnitRequest | null {
  const verb = unitVerbs.find((known) => known === args[0])
  const unit = args.at(-1)
  if (verb === undefined || unit === undefined || args.at(-2) !== '--') return null
  // In an instance's name only the slash between app and version becomes a dash.
  const [, beginning = '', rest = ''] = /^(.*-)([^-]+)\.service$/.exec(unit) ?? []
  const requests = [
    { path: join(directory, unitRequestName(verb, unit)), rest: '' },
    { path: join(directory, unitRequestName(verb, beginning)), rest },
  ]
  return requests.find(({ path }) => existsSync(path)) ?? null
}

/** Never rejects for what the other end does. */
async function ask(
  { path, rest }: UnitRequest,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
): Promise<SystemctlAnswer> {
  const timeout = AbortSignal.timeout(timeoutMs)
  const over = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  const failed = (exitCode: number, said: string) => ({ exitCode, stdout: '', said })
  try {
    return answerOf(await converse(path, `${rest}\n`, over))
  } catch (error) {
    if (signal?.aborted === true) return failed(124, 'it was given up')
    if (timeout.aborted) return failed(124, `no answer within ${timeoutMs} ms`)
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return failed(127, `root cannot be asked over ${path} (${code})`)
  }
}

/** Everything that the other end says until it closes. @throws the system's errors, AbortError */
async function converse(path: string, line: string, over: AbortSignal): Promise<string> {
  const socket = connect({ path, signal: over })
  socket.setEncoding('utf8').end(line)
  let text = ''
  for await (const chunk of socket) {
    text = (text + String(chunk)).slice(-limits.unitAnswerCharsMax)
  }
  return text
}

function answerOf(text: string): SystemctlAnswer {
  const lines = text.trimEnd().split('\n')
  const code = /^exit (\d{1,3})$/.exec(lines.at(-1) ?? '')?.[1]
  const said = (code === undefined ? lines : lines.slice(0, -1)).join(' ').trim().slice(0, 500)
  if (code !== undefined) return { exitCode: Number(code), stdout: '', said }
  return { exitCode: 1, stdout: '', said: said === '' ? 'root did not answer' : said }
}
