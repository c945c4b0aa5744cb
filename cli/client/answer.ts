// What an HTTP reply says: a value of the expected shape, or the error in it. Every reply that is not a
// controller's says so, and which variable to look at.

import type { Static, TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { ErrorBody } from '#shared/api/schemas.ts'
import { isErrorCode, LockstepError } from '#shared/errors.ts'
import type { Connection } from '../connection.ts'
import { printable } from '../output/printable.ts'
import type { Reply } from './http-exchange.ts'

export class AnswerReader {
  readonly #connection: Connection
  readonly #validators = new Map<TSchema, Validator>()

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /**
   * @throws LockstepError what the controller says; `unreachable` when a proxy says that it is away;
   *   `bad-answer` when the other side is no controller, or of a version that this command does not know
   */
  value<T extends TSchema>(reply: Reply, schema: T): Static<T> {
    if (reply.status >= 300) throw this.error(reply)
    const value = this.#json(reply)
    if (this.#fits(schema, value)) return value
    throw new LockstepError(
      'bad-answer',
      printable(this.#says(`an answer of another shape: ${this.#why(schema, value)}`)),
      {
        hint: 'Command and controller may differ: compare `lockstep --version` with /healthz.',
      },
    )
  }

  /** What a reply outside 2xx means. */
  error(reply: Reply): LockstepError {
    if (reply.status < 400) return this.#redirected(reply)
    const isJson = isJsonType(reply)
    if (!isJson && [502, 503, 504].includes(reply.status)) {
      return new LockstepError(
        'unreachable',
        this.#says(`${reply.status}, and that is a proxy’s answer`),
        {
          hint: 'The controller behind it does not answer. If it is being restarted, try again.',
        },
      )
    }
    const body = this.#json(reply)
    if (!this.#fits(ErrorBody, body)) {
      return new LockstepError('bad-answer', this.#says(`${reply.status} without saying why`), {
        hint: `Is it a Lockstep controller? Check ${this.#connection.urlSource}.`,
      })
    }
    const hint = body.code === 'unauthorised' ? this.#tokenHint() : body.hint
    const isKnown = isErrorCode(body.code)
    return new LockstepError(
      isErrorCode(body.code) ? body.code : 'internal',
      printable(isKnown ? body.message : `${body.code}: ${body.message}`),
      {
        ...(hint === undefined ? {} : { hint: printable(hint) }),
        ...(body.details === undefined ? {} : { details: body.details }),
      },
    )
  }

  #json(reply: Reply): unknown {
    if (isJsonType(reply)) {
      try {
        return JSON.parse(reply.text)
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
      }
    }
    const type = reply.headers['content-type'] ?? 'no content type'
    throw new LockstepError(
      'bad-answer',
      printable(this.#says(`${reply.status} with ${type}, and not with JSON`)),
      { hint: `Is it a Lockstep controller? Check ${this.#connection.urlSource}.` },
    )
  }

  #redirected(reply: Reply): LockstepError {
    const to = reply.headers.location ?? 'nowhere'
    return new LockstepError('bad-answer', printable(this.#says(`a redirection to ${to}`)), {
      hint: `No token was sent there. If that is the controller, set ${this.#connection.urlSource} to it.`,
    })
  }

  #tokenHint(): string {
    return (
      `The token is from ${this.#connection.tokenSource}. Set LOCKSTEP_TOKEN_FILE or LOCKSTEP_TOKEN ` +
      'to a valid one; `lockstep token create --role admin` makes one.'
    )
  }

  #says(what: string): string {
    return `${this.#connection.url} answers ${what}`
  }

  #fits<T extends TSchema>(schema: T, value: unknown): value is Static<T> {
    return this.#validator(schema).Check(value)
  }

  #why(schema: TSchema, value: unknown): string {
    const [error] = this.#validator(schema).Errors(value)
    return error === undefined ? '' : `${error.instancePath || '/'} ${error.message}`
  }

  #validator(schema: TSchema): Validator {
    const known = this.#validators.get(schema)
    if (known !== undefined) return known
    const validator = Compile(schema)
    this.#validators.set(schema, validator)
    return validator
  }
}

function isJsonType(reply: Reply): boolean {
  return /^application\/json\b/i.test(reply.headers['content-type'] ?? '')
}
