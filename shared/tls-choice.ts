// Whether the controller speaks TLS, and with whose certificate: what its options come to. Pure.
// docs/configuration.md, "TLS".

import { LockstepError } from './errors.ts'
import { isLoopback } from './loopback.ts'

/** `forced` where others than this machine can listen to what is said. */
export type TlsChoice =
  | { readonly mode: 'plain'; readonly forced: boolean }
  | { readonly mode: 'own-ca'; readonly names: readonly string[] }
  | { readonly mode: 'given'; readonly certificateFile: string; readonly keyFile: string }
  | { readonly mode: 'behind-proxy' }

/** As they are on the command line. */
export interface TlsOptions {
  readonly 'tls'?: boolean | undefined
  readonly 'tls-name'?: readonly string[] | undefined
  readonly 'tls-cert'?: string | undefined
  readonly 'tls-key'?: string | undefined
  readonly 'behind-proxy'?: boolean | undefined
  readonly 'plain-http'?: boolean | undefined
}

/**
 * @param host what the controller listens on
 * @throws LockstepError `bad-usage` for options that contradict each other
 */
export function chooseTls(host: string, options: TlsOptions): TlsChoice {
  const { 'tls-cert': certificateFile, 'tls-key': keyFile, 'tls-name': names = [] } = options
  refuseContradictions(options)
  if (certificateFile !== undefined && keyFile !== undefined) {
    return { mode: 'given', certificateFile, keyFile }
  }
  if (options['behind-proxy'] === true) return { mode: 'behind-proxy' }
  if (options['plain-http'] === true) return { mode: 'plain', forced: !isLoopback(host) }
  const isAsked = options.tls === true || names.length > 0
  if (isLoopback(host) && !isAsked) return { mode: 'plain', forced: false }
  return { mode: 'own-ca', names: names.map(checkedName) }
}

function refuseContradictions(options: TlsOptions): void {
  const { 'tls-cert': certificateFile, 'tls-key': keyFile } = options
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw new LockstepError('bad-usage', '--tls-cert and --tls-key belong together', {
      hint: 'Give the certificate with its chain, and the private key of it.',
    })
  }
  const ways = [
    options.tls === true || (options['tls-name'] ?? []).length > 0 ? '--tls or --tls-name' : null,
    certificateFile === undefined ? null : '--tls-cert',
    options['behind-proxy'] === true ? '--behind-proxy' : null,
    options['plain-http'] === true ? '--plain-http' : null,
  ].filter((way) => way !== null)
  if (ways.length < 2) return
  throw new LockstepError('bad-usage', `${ways.join(' and ')} exclude each other`, {
    hint: 'Choose one way; docs/configuration.md, "TLS", says which is for what.',
  })
}

function checkedName(name: string): string {
  const bare = name.replace(/^\[(.*)\]$/, '$1')
  const isName = /^(?:\*\.)?[0-9A-Za-z_](?:[0-9A-Za-z._-]{0,251}[0-9A-Za-z])?$/.test(bare)
  // An address of version 4 is written like a name; one of version 6 has two colons at least.
  if (isName || /^(?=(?:[^:]*:){2})[0-9A-Fa-f:.]{2,45}$/.test(bare)) return bare
  throw new LockstepError('bad-usage', `--tls-name ${JSON.stringify(name)} is no host name`, {
    hint: 'Give a name or an address that the controller is reached by, without a port.',
  })
}
