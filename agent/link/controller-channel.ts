// The agent's way to its controller: every connection to the one origin of its configuration, made so
// that nobody but the holder of a pinned key can be at its end. docs/protocol.md, "TLS".

import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { pinOf } from '#shared/pin.ts'
import { exporterBytes, exporterLabel } from '#shared/wire/challenge.ts'

/** What a TLS client needs so that it trusts this controller; plain data, for worker threads too. */
export interface TlsTrust {
  /** The certificate of a pinned key, as PEM; left out: what the system trusts. */
  readonly ca?: string
  readonly allowPartialTrustChain?: true
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

export interface ChannelPorts {
  /** Origin, with a path where a proxy wants one, without a slash at the end. */
  readonly url: string
  /** Of the controller's keys, asked for each connection; none: what the system trusts. */
  readonly pins: () => readonly string[]
  /** False where a proxy ends TLS: then nothing ties what is signed to the connection. */
  readonly isBound: boolean
}

export interface Connected {
  readonly socket: Socket
  /** Base64url; empty where nothing binds. */
  readonly exporter: string
}

/** A chain has three certificates or so; one that names itself its issuer would have no end. */
const chainMax = 10

export class ControllerChannel {
  readonly #ports: ChannelPorts
  #trust: TlsTrust | null = null
  #isDoubted = false

  constructor(ports: ChannelPorts) {
    this.#ports = ports
  }

  get url(): string {
    return this.#ports.url
  }

  /** Whether what the controller says comes from the holder of a pinned key. */
  get isPinned(): boolean {
    return this.#isTls && this.#ports.pins().length > 0
  }

  /** What is trusted by now, for other clients of the same origin. */
  get trust(): TlsTrust {
    return this.#trust ?? {}
  }

  /**
   * The pins may have changed, or the controller's certificates: the next connection looks anew. Until
   * it has found something, others are held to what was found before, and never to less.
   */
  doubt(): void {
    this.#isDoubted = true
  }

  /**
   * An open connection on which nothing was sent yet.
   * @throws LockstepError `unreachable`, `wrong-pin`
   */
  async connect(signal: AbortSignal): Promise<Connected> {
    const { url, isBound } = this.#ports
    if (!this.#isTls) {
      const { hostname: host, port } = new URL(url)
      const socket = connectPlain({ host: withoutBrackets(host), port: Number(port || 80) })
      return { socket: await opened(socket, 'connect', url, signal), exporter: '' }
    }
    const trust = await this.#newestTrust(signal)
    const socket = await this.#secured(trust, signal)
    const bytes = socket.exportKeyingMaterial(exporterBytes, exporterLabel, Buffer.alloc(0))
    return { socket, exporter: isBound ? bytes.toString('base64url') : '' }
  }

  get #isTls(): boolean {
    return this.#ports.url.startsWith('https:')
  }

  async #newestTrust(signal: AbortSignal): Promise<TlsTrust> {
    if (this.#trust !== null && !this.#isDoubted) return this.#trust
    this.#trust = await this.#findTrust(signal)
    this.#isDoubted = false
    return this.#trust
  }

  /**
   * With pins: looks at what is shown there, sends nothing, and goes away again. What it takes along is
   * only what the next connection has to be signed by, so that showing a stolen certificate is of no use.
   */
  async #findTrust(signal: AbortSignal): Promise<TlsTrust> {
    const minVersion = this.#ports.isBound ? 'TLSv1.3' : 'TLSv1.2'
    const pins = this.#ports.pins()
    if (pins.length === 0) return { minVersion }
    const socket = await this.#secured({ minVersion }, signal, false)
    try {
      const pinned = chainOf(socket).find(({ publicKey }) =>
        pins.includes(pinOf(publicKey.export({ type: 'spki', format: 'der' }))),
      )
      if (pinned === undefined) throw wrongPin(this.#ports.url)
      return { ca: pinned.toString(), allowPartialTrustChain: true, minVersion }
    } finally {
      socket.destroy()
    }
  }

  async #secured(
    trust: TlsTrust,
    signal: AbortSignal,
    rejectUnauthorized = true,
  ): Promise<TLSSocket> {
    const { url } = this.#ports
    const { hostname, port } = new URL(url)
    const host = withoutBrackets(hostname)
    const options: ConnectionOptions = {
      ...trust,
      host,
      port: Number(port || 443),
      rejectUnauthorized,
      // An address is no server name (RFC 6066, 3); it is checked against the certificate all the same.
      ...(isIP(host) === 0 ? { servername: host } : {}),
    }
    return opened(connectTls(options), 'secureConnect', url, signal)
  }
}

/** From the server's own certificate upwards, as it sent them. */
function chainOf(socket: TLSSocket) {
  const first = socket.getPeerX509Certificate()
  const chain = first === undefined ? [] : [first]
  for (let at = first; at !== undefined && chain.length < chainMax; ) {
    at = at.issuerCertificate
    if (at !== undefined) chain.push(at)
  }
  return chain
}

/** @throws LockstepError `unreachable` when it fails, lasts too long or is given up */
async function opened<Opening extends Socket>(
  socket: Opening,
  event: 'connect' | 'secureConnect',
  url: string,
  signal: AbortSignal,
): Promise<Opening> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const patience = AbortSignal.any([signal, AbortSignal.timeout(limits.silenceMaxMs)])
  const giveUp = () => reject(new Error(signal.aborted ? 'given up' : 'no answer in time'))
  patience.addEventListener('abort', giveUp, { once: true })
  socket.once(event, () => resolve())
  socket.once('error', reject)
  socket.once('close', () => reject(new Error('the connection was closed')))
  try {
    if (patience.aborted) giveUp()
    await promise
    return socket
  } catch (error) {
    // Whoever waits no longer must not be surprised by what comes of it.
    socket.on('error', () => undefined)
    socket.destroy()
    throw unreachable(url, error)
  } finally {
    patience.removeEventListener('abort', giveUp)
  }
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

function wrongPin(url: string): LockstepError {
  return new LockstepError('wrong-pin', `what answers at ${url} has none of the pinned keys`, {
    hint:
      'Nothing was sent to it. If the controller has new keys, remove this host there, and ' +
      'identity.json here, and join again; or set `pin` in agent.toml.',
  })
}

function unreachable(url: string, cause: unknown): LockstepError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const isCertificate = /^(?:ERR_TLS_|CERT_|UNABLE_|DEPTH_ZERO|SELF_SIGNED)/.test(
    systemCodeOf(cause) ?? '',
  )
  return new LockstepError('unreachable', `the controller at ${url} does not answer: ${why}`, {
    hint: isCertificate
      ? 'Its certificate does not fit: see `controller` and `pin` in agent.toml, and --tls-name there.'
      : 'The agent keeps trying. Look at `controller` in agent.toml and at the network.',
    cause,
  })
}
