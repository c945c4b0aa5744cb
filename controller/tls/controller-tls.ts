// The controller's TLS as the rest of it sees it: how it speaks, what agents may pin, and a server
// that shows what is newest. Whoever mints a join token or greets an agent asks here for the pins.

import { rm } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import type { Server } from 'node:https'
import { join } from 'node:path'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { isLoopback } from '#shared/loopback.ts'
import { writeSecret } from '../adapters/secret-file.ts'
import type { CertificateSource } from './certificate-source.ts'
import { GivenCertificate } from './given-certificate.ts'
import { OwnAuthority } from './own-authority.ts'
import {
  createSecureServer,
  replaceCredentials,
  type SecureServerOptions,
} from './secure-server.ts'
import { serverNames } from './server-names.ts'
import type { TlsChoice } from '#shared/tls-choice.ts'

export type TlsMode = TlsChoice['mode']

/** What other parts of the controller need to know of it. */
export interface TlsFacts {
  readonly mode: TlsMode
  /**
   * The pin that is good now, and while the authority is being rotated the next one's too; none where
   * the controller speaks plain HTTP itself.
   */
  pins(): readonly string[]
  /** The certificates that they are the pins of; null where there are none. */
  caPem(): string | null
}

export interface ControllerTlsPorts {
  readonly clock: Clock
  /** Where the controller listens. */
  readonly host: string
  /** The data directory. */
  readonly data: string
  readonly log: { warn(facts: object, text: string): void; info(facts: object, text: string): void }
}

const plainWarning =
  'PLAIN HTTP: whoever is on the network can read tokens, deploy with them and change what agents ' +
  'are sent. Start without --plain-http to have TLS.'

const proxyWarning =
  'the proxy speaks plain HTTP to this address: nobody else may be on that network, or reach this ' +
  'port past the proxy'

export class ControllerTls implements TlsFacts {
  readonly mode: TlsMode
  /** Whether only this machine reaches it, and nothing but a name proves what it is. */
  readonly isLocal: boolean
  readonly #source: CertificateSource | null
  /** What is so for as long as the process runs. */
  readonly #standing: readonly string[]
  readonly #ports: ControllerTlsPorts
  readonly #servers = new Set<Server>()
  #cancelCheck: () => void = () => undefined
  #warnedAt = 0
  #turn: Promise<void> = Promise.resolve()

  private constructor(
    choice: TlsChoice,
    source: CertificateSource | null,
    ports: ControllerTlsPorts,
  ) {
    this.mode = choice.mode
    this.isLocal = choice.mode === 'plain' && isLoopback(ports.host)
    this.#standing = warningsOf(choice, ports.host)
    this.#source = source
    this.#ports = ports
    if (source !== null) this.#checkLater(source)
  }

  /** @throws LockstepError `bad-configuration` for certificates that cannot be used, `disk-error` */
  static async open(choice: TlsChoice, ports: ControllerTlsPorts): Promise<ControllerTls> {
    const tls = new ControllerTls(choice, await sourceOf(choice, ports), ports)
    await tls.#keepPublic()
    tls.#warn()
    return tls
  }

  pins(): readonly string[] {
    return this.#source?.pins() ?? []
  }

  caPem(): string | null {
    return this.#source?.caPem() ?? null
  }

  /** When what is shown now runs out, in epoch milliseconds. */
  expiresAt(): number | null {
    return this.#source?.expiresAt() ?? null
  }

  /** What its operator ought to know, with what to do about it. */
  warnings(): readonly string[] {
    return [...this.#standing, ...(this.#source?.warnings() ?? [])]
  }

  /** Makes the server that speaks TLS; null where plain HTTP is spoken. */
  get createServer():
    | ((listener: RequestListener, options: Omit<SecureServerOptions, 'credentials'>) => Server)
    | null {
    const source = this.#source
    if (source === null) return null
    return (listener, options) => {
      const credentials = source.credentials()
      const server = createSecureServer({ ...options, credentials }, listener)
      this.#servers.add(server)
      server.once('close', () => this.#servers.delete(server))
      return server
    }
  }

  stop(): void {
    this.#cancelCheck()
  }

  /** Has what is due done, after whatever was begun before. @throws Error of the system */
  refresh(): Promise<void> {
    const source = this.#source
    return this.#inTurn(async () => {
      if (source === null || !(await source.refresh())) return
      this.#showNew(source)
      await this.#keepPublic()
    })
  }

  /**
   * The next authority is made, and told of by `pins`. A repeat changes nothing.
   * @throws LockstepError `no-rotation` where the controller has no authority of its own, `disk-error`
   */
  prepareNextAuthority(): Promise<void> {
    return this.#change((authority) => authority.prepareNext())
  }

  /**
   * The next authority takes over; whoever is connected stays.
   * @throws LockstepError `no-rotation`, `disk-error`
   */
  takeNextAuthority(): Promise<void> {
    return this.#change((authority) => authority.takeNext())
  }

  /** What is on the disk changes first, then what is shown. */
  async #change(step: (authority: OwnAuthority) => Promise<void>): Promise<void> {
    const source = this.#source
    if (!(source instanceof OwnAuthority)) {
      throw new LockstepError('no-rotation', 'this controller has no authority of its own', {
        hint: 'Whoever issued its certificate changes it: see `lockstep controller --help`.',
      })
    }
    await this.#inTurn(() => step(source))
    await this.#keepPublic()
    await this.refresh()
  }

  #checkLater(source: CertificateSource): void {
    const { clock, log } = this.#ports
    this.#cancelCheck = clock.timer(clock.now() + source.checkEveryMs, () => {
      this.#checkLater(source)
      if (clock.now() - this.#warnedAt >= limits.warnedAgainMs) this.#warn()
      this.refresh().catch((error: unknown) =>
        log.warn({ err: error }, 'the certificate could not be looked at'),
      )
    })
  }

  #warn(): void {
    const { clock, log } = this.#ports
    this.#warnedAt = clock.now()
    for (const text of this.warnings()) log.warn({}, text)
  }

  /** A renewal and a rotation at one time would each undo what the other did. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /**
   * What its operator copies to wherever the command is used (LOCKSTEP_CA), and what is left of an
   * earlier way of speaking.
   */
  async #keepPublic(): Promise<void> {
    const path = join(this.#ports.data, 'ca.pem')
    const ca = this.caPem()
    if (ca === null) await rm(path, { force: true })
    else await writeSecret(path, ca)
  }

  #showNew(source: CertificateSource): void {
    for (const server of this.#servers) replaceCredentials(server, source.credentials())
    const until = new Date(source.expiresAt()).toISOString()
    this.#ports.log.info({ until }, 'shows a new certificate')
  }
}

function warningsOf(choice: TlsChoice, host: string): readonly string[] {
  if (choice.mode === 'plain' && choice.forced) return [plainWarning]
  if (choice.mode === 'behind-proxy' && !isLoopback(host)) return [proxyWarning]
  return []
}

async function sourceOf(
  choice: TlsChoice,
  { clock, host, data, log }: ControllerTlsPorts,
): Promise<CertificateSource | null> {
  switch (choice.mode) {
    case 'plain':
    case 'behind-proxy':
      return null
    case 'own-ca': {
      const names = () => serverNames(host, choice.names)
      return OwnAuthority.open(join(data, 'tls'), { clock, names })
    }
    case 'given':
      return GivenCertificate.open(choice, { clock, log })
  }
}
