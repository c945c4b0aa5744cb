// The controller's own certificate authority below its data directory, the change to the next one, and
// the certificate that it issues to the controller: that one's key is in memory only, and every start
// makes another. Each step of a change is one durable write, so that a start goes on with it.

import { X509Certificate } from 'node:crypto'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#shared/clock.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { renameDurably } from '../adapters/secret-file.ts'
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
  readonly issuer: KeyedCertificate
  readonly names: readonly string[]
  readonly renewAt: number
}

export class OwnAuthority implements CertificateSource {
  readonly mode = 'own-ca'
  readonly checkEveryMs = limits.certificateCheckMs
  readonly #directory: string
  readonly #ports: OwnAuthorityPorts
  #authority: KeyedCertificate
  #next: KeyedCertificate | null
  #shown: Shown

  private constructor(
    directory: string,
    ports: OwnAuthorityPorts,
    kept: { authority: KeyedCertificate; next: KeyedCertificate | null },
  ) {
    this.#directory = directory
    this.#ports = ports
    this.#authority = kept.authority
    this.#next = kept.next
    this.#shown = this.#issue()
  }

  /**
   * The first start makes the authority.
   * @throws LockstepError `bad-configuration` for a damaged or expired one, `disk-error`
   */
  static open(directory: string, ports: OwnAuthorityPorts): Promise<OwnAuthority> {
    return onDisk(directory, async () => {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      // One that was brought back from a backup may have come with any mode.
      await chmod(directory, 0o700)
      const authority = await keptAuthority(pathOf(directory, 'authority'), ports.clock.now())
      const next = await readKeyedFile(pathOf(directory, 'next-authority'))
      return new OwnAuthority(directory, ports, { authority, next })
    })
  }

  pins(): readonly string[] {
    return this.#authorities().map(({ certificate }) => pinOfCertificate(certificate))
  }

  caPem(): string {
    return this.#authorities()
      .map(({ certificate }) => certificate)
      .join('')
  }

  /** With the authority in the chain: whoever has only its pin finds it there. */
  credentials(): Credentials {
    const { leaf, issuer } = this.#shown
    return { key: leaf.key, cert: leaf.certificate + issuer.certificate }
  }

  expiresAt(): number {
    return expiryOf(this.#shown.leaf.certificate)
  }

  warnings(): readonly string[] {
    const expiry = expiryOf(this.#authority.certificate)
    if (expiry - this.#ports.clock.now() > limits.authorityEndingMs) return []
    const until = new Date(expiry).toISOString().slice(0, 10)
    const remedy = 'make the next one with `lockstep controller rotate-ca`'
    return [`the controller\u2019s authority is good until ${until}: ${remedy}`]
  }

  async refresh(): Promise<boolean> {
    const { renewAt, issuer, names } = this.#shown
    const isDue = issuer !== this.#authority || this.#ports.clock.now() >= renewAt
    if (!isDue && names.join() === this.#ports.names().join()) return false
    this.#shown = this.#issue()
    return true
  }

  /** Makes the next authority, unless that was done; from then on `pins` tells of it. */
  async prepareNext(): Promise<void> {
    if (this.#next !== null) return
    const next = makeAuthority(this.#ports.clock.now())
    await onDisk(this.#directory, () =>
      writeKeyedFile(pathOf(this.#directory, 'next-authority'), next),
    )
    this.#next = next
  }

  /**
   * The next authority becomes the one, and the old one is gone. `refresh` shows what it signs.
   * @throws LockstepError `no-rotation` where none is under way
   */
  async takeNext(): Promise<void> {
    const next = this.#next
    if (next === null) {
      throw new LockstepError('no-rotation', 'there is no next authority to change to', {
        hint: '`lockstep controller rotate-ca` makes one; give the agents time to hear of it.',
      })
    }
    await onDisk(this.#directory, () =>
      renameDurably(
        pathOf(this.#directory, 'next-authority'),
        pathOf(this.#directory, 'authority'),
      ),
    )
    this.#authority = next
    this.#next = null
  }

  #authorities(): readonly KeyedCertificate[] {
    return this.#next === null ? [this.#authority] : [this.#authority, this.#next]
  }

  #issue(): Shown {
    const { clock } = this.#ports
    const at = clock.now()
    const names = this.#ports.names()
    const issuer = this.#authority
    const leaf = issueLeaf(issuer, names, at)
    return { leaf, issuer, names, renewAt: at + limits.leafRenewedAfterMs }
  }
}

function pathOf(directory: string, name: 'authority' | 'next-authority'): string {
  return join(directory, `${name}.pem`)
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

/** @throws LockstepError `disk-error` for what the system refuses */
async function onDisk<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined || error instanceof LockstepError) throw error
    throw new LockstepError('disk-error', `${directory} cannot be used (${code})`, {
      hint: 'The controller keeps its certificate authority there: let its account write to it.',
      cause: error,
    })
  }
}
