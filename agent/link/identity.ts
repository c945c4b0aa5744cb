// Who this agent is: an Ed25519 key that it made itself and never sends, and what the controller
// knows it as. docs/protocol.md, "Identity".

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { hostIdOf, patterns } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import { asDiskError } from '../adapters/disk-error.ts'
import { writeDurably } from '../adapters/durable-file.ts'

const place = Type.Object({
  app: Type.String({ pattern: patterns.app }),
  environment: Type.String({ pattern: patterns.environment }),
})

const identityFile = Type.Object({
  identity: Type.Literal(1),
  /** PKCS #8 in PEM. */
  privateKey: Type.String(),
  /** The controller's id; null until enrolled. */
  controller: Type.Union([Type.String(), Type.Null()]),
  /** The name it is enrolled under. */
  name: Type.Union([Type.String(), Type.Null()]),
  /** What it is enrolled for. */
  apps: Type.Array(place),
  /** Of the controller's keys: from the join token, then as the controller says. */
  pins: Type.Optional(
    Type.Array(Type.String({ pattern: patterns.pin }), { maxItems: limits.pinsMax }),
  ),
})
type IdentityFile = Static<typeof identityFile>

export type Place = Static<typeof place>

/** Only the agent's user may read it. */
const mode = 0o600

export class Identity {
  readonly #path: string
  readonly #key: KeyObject
  #file: IdentityFile
  #turn: Promise<void> = Promise.resolve()

  private constructor(path: string, file: IdentityFile) {
    this.#path = path
    this.#file = file
    this.#key = createPrivateKey(file.privateKey)
  }

  /**
   * Reads the identity, or makes one: the key is stored before it is ever used.
   * @throws LockstepError `bad-identity`, `disk-error`
   */
  static async open(path: string): Promise<Identity> {
    const text = await read(path)
    if (text !== null) return new Identity(path, parse(path, text))
    const { privateKey } = generateKeyPairSync('ed25519')
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const file: IdentityFile = {
      identity: 1,
      privateKey: pem,
      controller: null,
      name: null,
      apps: [],
    }
    const identity = new Identity(path, file)
    await identity.#write(file)
    return identity
  }

  /** Raw public key, 32 bytes, base64url. */
  get publicKey(): string {
    const { x } = createPublicKey(this.#key).export({ format: 'jwk' })
    if (x === undefined) throw new Error('an Ed25519 key without its public half')
    return x
  }

  get host(): string {
    return hostIdOf(Buffer.from(this.publicKey, 'base64url'))
  }

  get controller(): string | null {
    return this.#file.controller
  }

  /** None before it has joined, or where it joined without. */
  get pins(): readonly string[] {
    return this.#file.pins ?? []
  }

  isEnrolledFor(wanted: Place): boolean {
    return (
      this.#file.controller !== null &&
      this.#file.apps.some((a) => a.app === wanted.app && a.environment === wanted.environment)
    )
  }

  /** Ed25519 (RFC 8032), base64url. */
  sign(bytes: Uint8Array): string {
    return sign(null, bytes, this.#key).toString('base64url')
  }

  /** Durable when it resolves. */
  enrolled(as: {
    controller: string
    name: string
    apps: readonly Place[]
    pins: readonly string[]
  }): Promise<void> {
    return this.#change(() => ({ ...as, apps: [...as.apps], pins: [...as.pins] }))
  }

  /** Durable when it resolves. @param pins at least one: nobody can take them all away */
  async learnPins(pins: readonly string[]): Promise<void> {
    if (pins.length === 0 || pins.join() === this.pins.join()) return
    await this.#change(() => ({ pins: [...pins] }))
  }

  /** One after another, so that none is lost to another. */
  #change(change: () => Partial<IdentityFile>): Promise<void> {
    const turn = this.#turn.then(() => this.#write({ ...this.#file, ...change() }))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #write(file: IdentityFile): Promise<void> {
    try {
      await writeDurably(this.#path, `${JSON.stringify(file, null, 2)}\n`, mode)
    } catch (error) {
      throw asDiskError(error, 'Saving the identity', this.#path)
    }
    this.#file = file
  }
}

/** What an agent's identity pins, for who only looks; none where there is no such file to read. */
export async function pinsIn(path: string): Promise<readonly string[]> {
  const text = await read(path)
  return text === null ? [] : (parse(path, text).pins ?? [])
}

async function read(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw asDiskError(error, 'Reading the identity', path)
  }
}

function parse(path: string, text: string): IdentityFile {
  try {
    const value: unknown = JSON.parse(text)
    if (Value.Check(identityFile, value)) {
      const { asymmetricKeyType } = createPrivateKey(value.privateKey)
      if (asymmetricKeyType === 'ed25519') return value
    }
  } catch (error) {
    throw badIdentity(path, error)
  }
  throw badIdentity(path)
}

function badIdentity(path: string, cause?: unknown): LockstepError {
  return new LockstepError('bad-identity', `${path} is no identity of an agent`, {
    hint: 'Restore it; or remove it, remove the host from the controller and join it again.',
    cause,
  })
}
