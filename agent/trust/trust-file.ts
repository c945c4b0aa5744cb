// The host's trust file as it is now: read again whenever it has changed, and refused when somebody
// else could have written it. What it says is for shared/trust to know.

import { type BigIntStats, closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { parseTrustPolicy, type TrustPolicy } from '#shared/trust/trust-policy.ts'

export type TrustFileState =
  | { readonly kind: 'missing' }
  /** It is there, or ought to be, and says nothing that could be followed. */
  | { readonly kind: 'broken'; readonly reason: string }
  | {
      readonly kind: 'read'
      readonly policy: TrustPolicy
      /** Why it guards less than it could; null when it does not. */
      readonly caution: string | null
    }

export interface TrustFilePlace {
  readonly file: string
  /** The configuration names it, so that it has to be there. */
  readonly isNamed: boolean
}

export class TrustFile {
  readonly path: string
  readonly #isNamed: boolean
  readonly #uid: number
  #read: { readonly stamp: string; readonly state: TrustFileState } | null = null

  /** @param uid the user that this process runs as */
  constructor({ file, isNamed }: TrustFilePlace, uid: number) {
    this.path = file
    this.#isNamed = isNamed
    this.#uid = uid
  }

  /** Blocks; costs one stat(2) while nothing changes. */
  state(): TrustFileState {
    try {
      const stamp = stampOf(statSync(this.path, { bigint: true }))
      if (this.#read?.stamp !== stamp) this.#read = { stamp, state: this.#load() }
      return this.#read.state
    } catch (error) {
      const code = systemCodeOf(error)
      if (code === undefined) throw error
      if (code !== 'ENOENT') return broken(`${this.path} cannot be read (${code})`)
      return this.#isNamed ? broken(`${this.path} is not there`) : { kind: 'missing' }
    }
  }

  /** What is judged is what was opened, whatever takes its place meanwhile. */
  #load(): TrustFileState {
    const descriptor = openSync(this.path, 'r')
    try {
      const flaw = this.#flawOf(fstatSync(descriptor, { bigint: true }), 'it')
      if (flaw !== null) return broken(`${this.path} is not to be believed: ${flaw}`)
      const above = this.#flawOf(statSync(dirname(this.path), { bigint: true }), 'its directory')
      if (above !== null) return broken(`${this.path} is not to be believed: ${above}`)
      const policy = parseTrustPolicy(contentOf(descriptor))
      return { kind: 'read', policy, caution: this.#cautionOf(fstatSync(descriptor).uid) }
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      return broken(`${this.path}: ${error.message}`)
    } finally {
      closeSync(descriptor)
    }
  }

  #flawOf({ uid, mode }: BigIntStats, what: string): string | null {
    if (uid !== 0n && uid !== BigInt(this.#uid)) return `${what} belongs to the user ${uid}`
    return (mode & 0o022n) === 0n ? null : `${what} can be written by others than its owner`
  }

  #cautionOf(owner: number): string | null {
    if (owner === 0 || owner !== this.#uid) return null
    return 'it belongs to the agent’s own user, who could change it'
  }
}

/** At most one byte more than there may be: whatever is larger is refused as such. */
function contentOf(descriptor: number): Uint8Array {
  const content = Buffer.alloc(limits.trustFileBytesMax + 1)
  let bytes = 0
  for (;;) {
    const read = readSync(descriptor, content, bytes, content.length - bytes, null)
    if (read === 0) return content.subarray(0, bytes)
    bytes += read
  }
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
}

function broken(reason: string): TrustFileState {
  return { kind: 'broken', reason }
}
