// How often somebody may call: so many at once, then so many a second (GCRA, ATM Forum TM 4.0, 4.4.4).
// In memory: a restart forgives. docs/access.md, "How often".

import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export interface Rate {
  /** How many may come at once. */
  readonly burst: number
  readonly perSecond: number
}

/** Sums of instants with fractions must not cost a call. */
const roundingMs = 0.5

/** One rate for many callers. */
export class RateLimit {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #burstMs: number
  /** When the caller will have been quiet for long enough to be forgotten; the least recent first. */
  readonly #free = new Map<string, number>()

  constructor(clock: Clock, { burst, perSecond }: Rate) {
    this.#clock = clock
    this.#everyMs = 1000 / perSecond
    this.#burstMs = burst * this.#everyMs
  }

  /** Counts a call, unless it comes too soon. @returns milliseconds to wait, 0 for a call in time */
  take(caller: string): number {
    const now = this.#clock.now()
    const free = Math.max(this.#free.get(caller) ?? now, now) + this.#everyMs
    const waitMs = free - now - this.#burstMs
    if (waitMs > roundingMs) return waitMs
    this.#free.delete(caller)
    this.#free.set(caller, free)
    if (this.#free.size > limits.callersMax) this.#forgetOldest()
    return 0
  }

  #forgetOldest(): void {
    const [oldest] = this.#free.keys()
    if (oldest !== undefined) this.#free.delete(oldest)
  }
}

export class CallRates {
  /** Hash of a token's text → its id: those that were good when they came last. */
  readonly #good = new Map<string, string>()
  readonly #token: RateLimit
  readonly #address: RateLimit
  readonly #agents: RateLimit
  readonly #content: RateLimit
  readonly #refused: RateLimit

  constructor(clock: Clock) {
    const of = (burst: number, perSecond: number) => new RateLimit(clock, { burst, perSecond })
    this.#token = of(limits.tokenCallsBurst, limits.tokenCallsPerSecond)
    this.#address = of(limits.addressCallsBurst, limits.addressCallsPerSecond)
    this.#agents = of(limits.agentCallsBurst, limits.agentCallsPerSecond)
    this.#content = of(limits.contentCallsBurst, limits.contentCallsPerSecond)
    this.#refused = of(limits.refusedCallsBurst, limits.refusedCallsPerSecond)
  }

  /**
   * Before a token is looked up: one that was good is counted by itself, so that whoever calls without
   * any from the same address cannot lock it out.
   * @returns the id that was counted, null where the address was
   */
  before(tokenText: string, address: string): string | null {
    const id = this.#good.get(hashOf(tokenText)) ?? null
    if (id === null) this.ofAddress(address)
    else this.ofToken(id)
    return id
  }

  /** What came of it. @param id null where the token is not good, or not any more */
  judged(tokenText: string, id: string | null): void {
    const hash = hashOf(tokenText)
    this.#good.delete(hash)
    if (id === null) return
    this.#good.set(hash, id)
    const [oldest] = this.#good.size > limits.callersMax ? this.#good.keys() : []
    if (oldest !== undefined) this.#good.delete(oldest)
  }

  /** @throws LockstepError `too-many-requests`, as all of them do. */
  ofToken(id: string): void {
    check(this.#token.take(id), 'with this token')
  }

  ofAddress(address: string): void {
    check(this.#address.take(networkOf(address)), 'from this address')
  }

  /** What agents ask before anybody knows who they are; a whole fleet may share an address. */
  ofAgentsAt(address: string): void {
    check(this.#agents.take(networkOf(address)), 'from agents at this address')
  }

  ofHost(id: string): void {
    check(this.#content.take(id), 'of this host')
  }

  /**
   * What a caller is told whose credential was refused: after too many, that they are too many. Those
   * who share its address and hold a good one go on: a removed host must not lock out its neighbours.
   */
  refused(refusal: LockstepError, address: string): LockstepError {
    const waitMs = this.#refused.take(networkOf(address))
    return waitMs === 0 ? refusal : tooMany(waitMs, 'with refused credentials from this address')
  }
}

/** Texts of tokens are kept nowhere. */
function hashOf(tokenText: string): string {
  return createHash('sha256').update(tokenText).digest('base64url')
}

function check(waitMs: number, words: string): void {
  if (waitMs !== 0) throw tooMany(waitMs, words)
}

function tooMany(waitMs: number, words: string): LockstepError {
  const seconds = Math.ceil(waitMs / 1000)
  return new LockstepError('too-many-requests', `too many requests ${words}`, {
    hint: `Wait ${seconds} s; docs/access.md says how many there may be.`,
    details: { retryAfterSeconds: seconds },
  })
}

/** The header Retry-After (RFC 9110, 10.2.3) of a refusal as `too-many-requests`: seconds. */
export function retryAfter({ details }: LockstepError): string {
  const seconds = details?.['retryAfterSeconds']
  return typeof seconds === 'number' ? String(seconds) : '1'
}

/** Whoever has one IPv6 address has the 2^64 of its network. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address
  const [front = '', back = ''] = address.split('::')
  const groups = front.split(':')
  const missing = 8 - groups.length - back.split(':').filter((group) => group !== '').length
  const whole = address.includes('::') ? [...groups, ...Array(missing).fill('0')] : groups
  return whole.slice(0, 4).join(':')
}
