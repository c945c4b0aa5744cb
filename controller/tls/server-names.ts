// The names and addresses that this machine's controller is reached by, for its certificate.

import { hostname, networkInterfaces } from 'node:os'

/**
 * @param host what it listens on; where that is every address, all that the machine has
 * @param more names that its operator gave
 */
export function serverNames(host: string, more: readonly string[]): readonly string[] {
  const isEverywhere = host === '0.0.0.0' || host === '::'
  const names = [
    'localhost',
    '127.0.0.1',
    '::1',
    hostname(),
    ...(isEverywhere ? ownAddresses() : [host]),
    ...more,
  ]
  return [...new Set(names.map((name) => name.toLowerCase()))].filter(isPrintable).toSorted()
}

/** Those that other machines can use: neither of loopback nor of one link only. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid = 0 }) => !internal && scopeid === 0)
    .map(({ address }) => address)
}

/** A machine may be called anything; a certificate's names are visible ASCII. */
function isPrintable(name: string): boolean {
  return /^[\x21-\x7e]{1,253}$/.test(name)
}
