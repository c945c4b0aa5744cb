// What ties a signature to the connection that it came on: a value that only the two ends of one TLS
// connection can derive (RFC 5705, RFC 9266). docs/adr/0014-bind-identities-to-their-channel.md.

import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { exporterBytes, exporterLabel } from '#shared/wire/challenge.ts'

/** Base64url; empty where this controller does not speak TLS itself. */
export function exporterOf(socket: Duplex): string {
  if (!(socket instanceof TLSSocket)) return ''
  const context = Buffer.alloc(0)
  return socket.exportKeyingMaterial(exporterBytes, exporterLabel, context).toString('base64url')
}
