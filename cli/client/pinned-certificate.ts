// Finds the certificate that a pin means: shakes hands once, sends nothing, and looks at what the other
// side shows. What is found is no more than a claim: the connection that carries the token is then made
// with this certificate as its only authority, and TLS itself proves the rest.

import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { ClientRequest } from 'node:http'
import https from 'node:https'
import { TLSSocket } from 'node:tls'
import { LockstepError } from '#shared/errors.ts'
import { pinOf } from '#shared/pin.ts'

/** Longer chains are nobody's; a forged one may go in a circle. */
const chainMax = 10

/**
 * @param options of a request to the controller, its agent included
 * @returns the certificate as PEM
 * @throws LockstepError `unreachable` when nothing that is shown has such a pin; Error of the network
 */
export async function pinnedCertificate(
  url: string,
  pins: readonly string[],
  options: https.RequestOptions,
): Promise<string> {
  const request = https.request(url, { ...options, method: 'HEAD', rejectUnauthorized: false })
  const { promise: broken, reject } = Promise.withResolvers<never>()
  request.on('error', reject)
  request.on('timeout', () => reject(Object.assign(new Error('silence'), { code: 'ETIMEDOUT' })))
  try {
    const chain = await Promise.race([shownBy(request), broken])
    const found = chain.find((certificate) => pins.includes(pinOfCertificate(certificate)))
    if (found !== undefined) return found.toString()
  } finally {
    request.destroy()
  }
  throw new LockstepError(
    'unreachable',
    `what answers at ${new URL(url).origin} is not the controller that LOCKSTEP_PIN means`,
    {
      hint:
        'Nothing was sent to it. If its authority was changed, set LOCKSTEP_PIN to what ' +
        '`lockstep controller pin --data DIR` prints on its own machine.',
      details: { lasting: true },
    },
  )
}

async function shownBy(request: ClientRequest): Promise<readonly X509Certificate[]> {
  const [socket] = await once(request, 'socket')
  if (!(socket instanceof TLSSocket)) throw new Error('a request by https without TLS')
  // One that comes by a proxy has shaken hands already. Asked once only where there is an answer: Node
  // leaves the rest of the chain out when it is asked again.
  let certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) {
    await once(socket, 'secureConnect')
    certificate = socket.getPeerX509Certificate()
  }
  const chain: X509Certificate[] = []
  while (certificate !== undefined && chain.length < chainMax) {
    chain.push(certificate)
    certificate = certificate.issuerCertificate
  }
  return chain
}

function pinOfCertificate({ publicKey }: X509Certificate): string {
  return pinOf(publicKey.export({ type: 'spki', format: 'der' }))
}
