// A certificate and key that the operator gives and renews (`--tls-cert`, `--tls-key`): judged before
// they are shown, looked at again whenever the files change. A broken pair never replaces a good one.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { Clock } from '#shared/clock.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { CertificateSource, Credentials } from './certificate-source.ts'
import { expiryOf, pinOfCertificate } from './keyed-file.ts'

export interface GivenFiles {
  readonly certificateFile: string
  readonly keyFile: string
}

interface GivenPorts {
  readonly clock: Clock
  readonly log: { warn(facts: object, text: string): void }
}

const certificateBlocks = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

export class GivenCertificate implements CertificateSource {
  readonly mode = 'given'
  readonly checkEveryMs = limits.certificateFilesCheckMs
  readonly #files: GivenFiles
  readonly #ports: GivenPorts
  #credentials: Credentials
  /** What the files were when they were read last, whatever came of it. */
  #seen: string

  private constructor(
    files: GivenFiles,
    ports: GivenPorts,
    first: { credentials: Credentials; seen: string },
  ) {
    this.#files = files
    this.#ports = ports
    this.#credentials = first.credentials
    this.#seen = first.seen
  }

  /** @throws LockstepError `bad-configuration` that names the file and what is wrong with it */
  static async open(files: GivenFiles, ports: GivenPorts): Promise<GivenCertificate> {
    const seen = await stateOf(files)
    const credentials = await readPair(files, ports.clock.now())
    return new GivenCertificate(files, ports, { credentials, seen })
  }

  pins(): readonly string[] {
    return [pinOfCertificate(this.caPem())]
  }

  /** The authority that the chain ends with, which outlives a renewal; or the certificate itself. */
  caPem(): string {
    const [first, ...others] = blocksOf(this.#credentials.cert)
    const authority = others.findLast((block) => new X509Certificate(block).ca)
    return `${authority ?? first}\n`
  }

  credentials(): Credentials {
    return this.#credentials
  }

  expiresAt(): number {
    return expiryOf(this.#credentials.cert)
  }

  warnings(): readonly string[] {
    const leftMs = this.expiresAt() - this.#ports.clock.now()
    if (leftMs > limits.certificateEndingMs) return []
    const until = new Date(this.expiresAt()).toISOString()
    const { certificateFile } = this.#files
    return [
      `the certificate in ${certificateFile} ${leftMs > 0 ? 'is good until' : 'ended'} ${until}`,
    ]
  }

  async refresh(): Promise<boolean> {
    const { log, clock } = this.#ports
    try {
      const seen = await stateOf(this.#files)
      if (seen === this.#seen) return false
      this.#seen = seen
      const credentials = await readPair(this.#files, clock.now())
      const { cert, key } = this.#credentials
      if (cert === credentials.cert && key === credentials.key) return false
      const pins = this.pins()
      this.#credentials = credentials
      if (pins.join() !== this.pins().join()) log.warn({ pins: this.pins() }, pinChanged)
      return true
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      const text = `${error.message}; the certificate that was there before is still shown`
      log.warn({ code: error.code, hint: error.hint }, text)
      return false
    }
  }
}

const pinChanged =
  'the new certificate has another pin: agents that hold the old one stay connected, but cannot ' +
  'come back before `pin` in their agent.toml is the new one'

async function readPair(files: GivenFiles, at: number): Promise<Credentials> {
  const { certificateFile, keyFile } = files
  const [cert, keyText] = await Promise.all([readText(certificateFile), readText(keyFile)])
  const certificate = firstOf(cert, certificateFile)
  const key = keyOf(keyText, keyFile)
  if (!certificate.checkPrivateKey(key)) {
    throw unusable(
      `the key in ${keyFile} is not the one of the certificate in ${certificateFile}`,
      'Give the two that were made together; the certificate itself comes first in its file.',
    )
  }
  checkTimes(certificate, certificateFile, at)
  const pair = { key: keyText, cert }
  try {
    createSecureContext({ ...pair, minVersion: 'TLSv1.3' })
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    const why = error instanceof Error ? error.message : ''
    throw unusable(`${certificateFile} is refused: ${why}`, 'Have it issued anew.', error)
  }
  return pair
}

function firstOf(text: string, file: string): X509Certificate {
  const [block] = blocksOf(text)
  try {
    if (block !== undefined) return new X509Certificate(block)
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
  }
  throw unusable(
    `${file} holds no certificate as PEM`,
    'It begins with -----BEGIN CERTIFICATE-----; the chain follows the certificate.',
  )
}

function keyOf(text: string, file: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    const isLocked = text.includes('ENCRYPTED')
    throw unusable(
      isLocked ? `the key in ${file} is encrypted` : `${file} holds no private key as PEM`,
      isLocked
        ? 'Nobody could type its passphrase at a start: decrypt it, with mode 0600.'
        : keyHint,
      error,
    )
  }
}

const keyHint = 'It begins with -----BEGIN PRIVATE KEY----- or -----BEGIN EC PRIVATE KEY-----.'

function checkTimes(certificate: X509Certificate, file: string, at: number): void {
  const { validFromDate, validToDate, validFrom, validTo } = certificate
  const hint = 'Renew it; or correct this machine\u2019s clock.'
  if (validToDate.getTime() <= at)
    throw unusable(`the certificate in ${file} expired on ${validTo}`, hint)
  if (validFromDate.getTime() > at)
    throw unusable(`the certificate in ${file} is not good before ${validFrom}`, hint)
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw unusable(
      `${file} cannot be read (${code})`,
      'The controller\u2019s own account has to be able to read it, through every directory above it.',
      error,
    )
  }
}

/** Changes with whatever is written or renamed to either name, links followed. */
async function stateOf({ certificateFile, keyFile }: GivenFiles): Promise<string> {
  const states = await Promise.all([certificateFile, keyFile].map(stateOfFile))
  return states.join(' ')
}

async function stateOfFile(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(file)
    return [dev, ino, size, mtimeMs, ctimeMs].join(':')
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return code
  }
}

function blocksOf(text: string): string[] {
  return text.match(certificateBlocks) ?? []
}

function unusable(message: string, hint: string, cause?: unknown): LockstepError {
  return new LockstepError('bad-configuration', message, { hint, cause })
}
