// The controller's own certificate authority below its data directory, and the certificate that it
// issues to the controller: that one's key is in memory only, and every start makes another.

import { X509Certificate } from 'node:crypto'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#shared/clock.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { issueLeaf, type KeyedCertificate, makeAuthority } from './certificate-authority.ts'
import type { CertificateSource, Credentials } from './certificate-source.ts'
import { expiryOf, pinOfCertificate, readKeyedFile, writeKeyedFile } from './keyed-file.ts'

interface OwnAuthorityPorts {
  readonly clock: Clock
  /** What the certificate has to name; asked at every look, since a machine's addresses change. */
  readonly names: () => readonly string[]
}

interface Shown {
  readonly leaf: KeyedCertificate
  readonly names: readonly string[]
  readonly renewAt: number
}

export class OwnAuthority implements CertificateSource {
  readonly mode = 'own-ca'
  readonly checkEveryMs = limits.certificateCheckMs
  readonly #ports: OwnAuthorityPorts
  readonly #authority: KeyedCertificate
  #shown: Shown

  private constructor(ports: OwnAuthorityPorts, authority: KeyedCertificate) {
    this.#ports = ports
    this.#authority = authority
    this.#shown = this.#issue()
  }

  /**
   * The first start makes the authority.
   * @throws LockstepError `bad-configuration` for a damaged or expired one, `disk-error`
   */
  static async open(directory: string, ports: OwnAuthorityPorts): Promise<OwnAuthority> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      // One that was brought back from a backup may have come with any mode.
      await chmod(directory, 0o700)
      const at = ports.clock.now()
      return new OwnAuthority(ports, await keptAuthority(join(directory, 'authority.pem'), at))
    } catch (error) {
      const code = systemCodeOf(error)
      if (code === undefined || error instanceof LockstepError) throw error
      throw new LockstepError('disk-error', `${directory} cannot be used (${code})`, {
        hint: 'The controller keeps its certificate authority there: let its account write to it.',
        cause: error,
      })
    }
  }

  pins(): readonly string[] {
    return [pinOfCertificate(this.#authority.certificate)]
  }

  caPem(): string {
    return this.#authority.certificate
  }

  /** With the authority in the chain: whoever has only its pin finds it there. */
  credentials(): Credentials {
    const { key, certificate } = this.#shown.leaf
    return { key, cert: certificate + this.#authority.certificate }
  }

  expiresAt(): number {
    return expiryOf(this.#shown.leaf.certificate)
  }

  warnings(): readonly string[] {
    const leftMs = expiryOf(this.#authority.certificate) - this.#ports.clock.now()
    if (leftMs > limits.authorityEndingMs) return []
    const until = new Date(expiryOf(this.#authority.certificate)).toISOString().slice(0, 10)
    return [`the controller\u2019s authority is good until ${until} only`]
  }

  async refresh(): Promise<boolean> {
    const { renewAt, names } = this.#shown
    const isDue = this.#ports.clock.now() >= renewAt
    if (!isDue && names.join() === this.#ports.names().join()) return false
    this.#shown = this.#issue()
    return true
  }

  #issue(): Shown {
    const { clock } = this.#ports
    const at = clock.now()
    const names = this.#ports.names()
    const leaf = issueLeaf(this.#authority, names, at)
    return { leaf, names, renewAt: at + limits.leafRenewedAfterMs }
  }
}

/** @throws LockstepError `bad-configuration` */
async function keptAuthority(path: string, at: number): Promise<KeyedCertificate> {
  const kept = await readKeyedFile(path)
  if (kept === null) {
    const made = makeAuthority(at)
    await writeKeyedFile(path, made)
    return made
  }
  if (expiryOf(kept.certificate) > at) return kept
  const { validTo } = new X509Certificate(kept.certificate)
  throw new LockstepError('bad-configuration', `the authority in ${path} expired on ${validTo}`, {
    hint: 'Remove the file: a new one is made at the next start. Every agent then needs its pin.',
  })
}
