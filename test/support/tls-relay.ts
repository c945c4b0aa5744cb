// Somebody in between: ends the TLS of whoever connects with credentials of its own, and passes on
// what comes in the clear, over TLS or without.

import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { connect as connectTls, createServer } from 'node:tls'
import type { Test } from 'tap'
import { issueLeaf, type KeyedCertificate } from '#controller/tls/certificate-authority.ts'

export interface TlsRelay {
  readonly url: string
  /** What was said to it in the clear, by whoever connected. */
  readonly heard: () => string
  /** Who has connected, whatever came of it. */
  readonly connections: () => number
}

/** @param authority whose certificate it shows @param target where the bytes go */
export async function startRelay(
  t: Test,
  authority: KeyedCertificate,
  target: { readonly port: number; readonly isTls: boolean },
): Promise<TlsRelay> {
  const leaf = issueLeaf(authority, ['127.0.0.1'], Date.now())
  const credentials = { key: leaf.key, cert: leaf.certificate + authority.certificate }
  const sockets = new Set<{ destroy(): void }>()
  let heard = ''
  let connections = 0
  const server = createServer({ ...credentials, minVersion: 'TLSv1.3' }, (near) => {
    const where = { host: '127.0.0.1', port: target.port }
    const far = target.isTls
      ? connectTls({ ...where, rejectUnauthorized: false })
      : connectPlain(where)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (bytes: Buffer) => {
      heard += bytes.toString('latin1')
    })
    near.pipe(far)
    far.pipe(near)
  })
  server.on('connection', () => (connections += 1))
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `https://127.0.0.1:${port}`, heard: () => heard, connections: () => connections }
}
