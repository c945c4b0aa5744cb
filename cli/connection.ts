// Which controller is meant and what proves the right to ask it: the options and environment of every
// command. docs/cli.md, "Environment".

import { readFileSync } from 'node:fs'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { misuse } from './arguments.ts'
import { printable } from './output/printable.ts'
import { readServerTrust, refusePlainHttp, type ServerTrust } from './server-trust.ts'

export interface Connection {
  /** Scheme, host, port and path, without a slash at its end. */
  readonly url: string
  /** Where the address came from, for messages: `--url` or `LOCKSTEP_URL`. */
  readonly urlSource: string
  readonly token: string
  readonly tokenSource: string
  readonly trust: ServerTrust
  /** Where HTTPS_PROXY, HTTP_PROXY and NO_PROXY are looked up. */
  readonly env: Environment
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * @param url of the option `--url`, which is stronger than the environment
 * @throws LockstepError `bad-usage` when something is missing or malformed
 */
export function readConnection(url: string | undefined, env: Environment): Connection {
  return { ...readAddress(url, env), ...readToken(env), trust: readServerTrust(env), env }
}

function readAddress(
  option: string | undefined,
  env: Environment,
): Pick<Connection, 'url' | 'urlSource'> {
  const urlSource = option === undefined ? 'LOCKSTEP_URL' : '--url'
  const text = option ?? env['LOCKSTEP_URL']
  if (text === undefined || text === '') {
    throw misuse(
      'it is not said where the controller is',
      'Set LOCKSTEP_URL to its address, such as https://deploy.example.com, or give --url.',
    )
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw misuse(
      `${urlSource} is ${JSON.stringify(text)}, which is no http or https address`,
      'Write it like https://deploy.example.com or http://127.0.0.1:7400.',
    )
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw misuse(
      `${urlSource} holds more than scheme, host, port and path`,
      'The token goes into LOCKSTEP_TOKEN or LOCKSTEP_TOKEN_FILE, never into the address.',
    )
  }
  refusePlainHttp(url, env)
  return { url: `${url.origin}${url.pathname.replace(/\/+$/, '')}`, urlSource }
}

function readToken(env: Environment): Pick<Connection, 'token' | 'tokenSource'> {
  const given = env['LOCKSTEP_TOKEN']
  const file = env['LOCKSTEP_TOKEN_FILE']
  if (given !== undefined && given !== '') {
    return { token: checkedToken(given, 'LOCKSTEP_TOKEN'), tokenSource: 'LOCKSTEP_TOKEN' }
  }
  if (file === undefined || file === '') {
    throw misuse(
      'there is no token to show to the controller',
      'Set LOCKSTEP_TOKEN_FILE to a file that holds one, or LOCKSTEP_TOKEN. The first is in ' +
        '`admin-token` in the controller’s data directory; `lockstep token create` makes more.',
    )
  }
  const tokenSource = `LOCKSTEP_TOKEN_FILE (${printable(file)})`
  return { token: checkedToken(readTokenFile(file), tokenSource), tokenSource }
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw new LockstepError(
      'bad-usage',
      `the token file ${printable(file)} cannot be read (${code})`,
      {
        hint: 'Set LOCKSTEP_TOKEN_FILE to a file that you may read.',
        cause: error,
      },
    )
  }
}

/** A token travels in a header, and its text is never shown. */
function checkedToken(text: string, source: string): string {
  const token = text.trim()
  if (/^[\x21-\x7e]+$/.test(token) && token.length <= limits.tokenBytesMax) return token
  const what = token === '' ? 'is empty' : 'holds something that is no token'
  throw misuse(`${source} ${what}`, 'A token is one word of letters, digits and signs.')
}
