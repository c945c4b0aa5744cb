// Writes one file of a release at a time and proves it: exclusive, following no link, its hash
// taken from the bytes on their way to the disk, mode and time set last, so that a file with the
// right time was written to its end. Blocks its thread.

import { createHash, hash, type Hash } from 'node:crypto'
import { closeSync, constants, fchmodSync, futimesSync, openSync, writeSync } from 'node:fs'
import { discardFile } from '../adapters/durable-file.ts'
import { asDiskError } from '../adapters/disk-error.ts'
import { LockstepError } from '#shared/errors.ts'
import { type ManifestFile, mtimeSecondsOf } from '#shared/manifest.ts'

const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

export class FileWriter {
  readonly #path: string
  readonly #entry: ManifestFile
  readonly #descriptor: number
  #writtenBytes = 0
  /** Only for a file that comes in more than one piece. */
  #sum: Hash | null = null
  #sha256 = ''
  #isOpen = true

  /** @throws LockstepError `no-space`, `disk-error`. */
  constructor(path: string, entry: ManifestFile) {
    this.#path = path
    this.#entry = entry
    try {
      this.#descriptor = openSync(path, createFlags, 0o600)
    } catch (error) {
      throw asDiskError(error, `Writing ${entry.path}`)
    }
  }

  /** @throws LockstepError `no-space`, `disk-error`; the file is gone then. */
  write(chunk: Uint8Array): void {
    this.#hash(chunk)
    this.#guarded(() => {
      for (let at = 0; at < chunk.length; ) at += writeSync(this.#descriptor, chunk, at)
    })
    this.#writtenBytes += chunk.length
  }

  /** @throws LockstepError `content-mismatch`, `no-space`, `disk-error`; the file is gone then. */
  finish(): void {
    this.#guarded(() => {
      const sha256 = this.#sum?.digest('hex') ?? this.#sha256
      const found = this.#writtenBytes === 0 ? hash('sha256', '', 'hex') : sha256
      if (found !== this.#entry.sha256) throw contentMismatch(this.#entry, found)
      fchmodSync(this.#descriptor, this.#entry.mode)
      const seconds = mtimeSecondsOf(this.#entry)
      futimesSync(this.#descriptor, seconds, seconds)
    })
    this.#isOpen = false
    closeSync(this.#descriptor)
  }

  /** Gives an unfinished file up, when the stream broke off inside it. */
  abandon(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    closeSync(this.#descriptor)
    discardFile(this.#path)
  }

  #hash(chunk: Uint8Array): void {
    if (chunk.length === this.#entry.sizeBytes) this.#sha256 = hash('sha256', chunk, 'hex')
    else {
      this.#sum ??= createHash('sha256')
      this.#sum.update(chunk)
    }
  }

  #guarded(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.abandon()
      throw asDiskError(error, `Writing ${this.#entry.path}`, this.#path)
    }
  }
}

function contentMismatch(entry: ManifestFile, found: string): LockstepError {
  return new LockstepError('content-mismatch', `${entry.path} does not hash to what it should`, {
    hint: 'The agent fetches it again; if it lasts, the controller’s store is damaged.',
    details: { entry: entry.path, expected: entry.sha256, found },
  })
}
