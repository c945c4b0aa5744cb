// The trust file of a host, /etc/lockstep/trust.json: whose signatures count, how many, and where.
// Root writes it; the controller has no say in it. Owns its form and its judgement of an envelope.
//
//   { "trust": 1, "version": 3,
//     "keys": { "ci": { "key": "ssh-ed25519 AAAA… ci" }, "ann": { "key": "…", "notAfter": "…Z" } },
//     "environments": { "production": { "policy": "require", "threshold": 2, "keys": ["ci", "ann"] },
//                       "*": { "policy": "off" } } }

import { type Static, Type } from 'typebox'
import { LockstepError } from '../errors.ts'
import { patterns } from '../ids.ts'
import { limits } from '../limits.ts'
import { type Envelope, parseEnvelope, payloadTypes, signersOf } from './envelope.ts'
import { parseInstant } from './instant.ts'
import { parsePublicKey, type PublicKey } from './public-key.ts'
import { type Artifact, parseStatement, type Statement } from './statement.ts'
import { strictReader } from './strict-json.ts'

export interface TrustedKey {
  /** What the trust file calls it. */
  readonly name: string
  readonly key: PublicKey
  /** Counts from here on, epoch milliseconds; null for always. */
  readonly notBeforeAt: number | null
  /** Counts no more from here on; null for never ending. */
  readonly notAfterAt: number | null
}

export type Rule =
  | { readonly policy: 'off' }
  | {
      /** `warn` lets go what `require` refuses, and says so. */
      readonly policy: 'require' | 'warn'
      /** So many different keys have to have signed; at least 1. */
      readonly threshold: number
      readonly keys: readonly TrustedKey[]
    }

export interface TrustPolicy {
  /** For people who compare hosts: goes up by one with every change. */
  readonly version: number
  readonly keys: readonly TrustedKey[]
  /** By environment; `*` for every one that is not named. */
  readonly rules: ReadonlyMap<string, Rule>
}

const closed = { additionalProperties: false }
const name = Type.String({ pattern: patterns.app })
const instant = Type.String({ maxLength: 24 })
const keySchema = Type.Object(
  {
    key: Type.String({ maxLength: limits.publicKeyCharsMax }),
    notBefore: Type.Optional(instant),
    notAfter: Type.Optional(instant),
  },
  closed,
)
const threshold = Type.Integer({ minimum: 1, maximum: limits.trustKeysMax })
const keyNames = Type.Array(name, { minItems: 1, maxItems: limits.trustKeysMax })
const ruleSchema = Type.Object(
  {
    policy: Type.Union([Type.Literal('require'), Type.Literal('warn'), Type.Literal('off')]),
    threshold: Type.Optional(threshold),
    keys: Type.Optional(keyNames),
  },
  closed,
)
const trustSchema = Type.Object(
  {
    trust: Type.Literal(1),
    version: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    keys: Type.Record(name, keySchema, { maxProperties: limits.trustKeysMax, ...closed }),
    environments: Type.Record(
      Type.String({ pattern: `^\\*$|${patterns.environment}` }),
      ruleSchema,
      { minProperties: 1, ...closed },
    ),
  },
  closed,
)

const read = strictReader({
  schema: trustSchema,
  what: 'the trust file',
  bytesMax: limits.trustFileBytesMax,
  code: 'bad-trust-file',
})

/** @throws LockstepError `bad-trust-file`. */
export function parseTrustPolicy(content: Uint8Array): TrustPolicy {
  const { version, keys: written, environments } = read(content)
  const keys = Object.entries(written).map(([name, facts]) => trustedKeyOf(name, facts))
  const names = new Map<string, string>()
  for (const { name, key } of keys) {
    const other = names.get(key.id)
    if (other !== undefined) throw badTrust(`names one key twice: "${other}" and "${name}"`)
    names.set(key.id, name)
  }
  const rules = Object.entries(environments).map(([environment, facts]): [string, Rule] => [
    environment,
    ruleOf(environment, facts, keys),
  ])
  return { version, keys, rules: new Map(rules) }
}

/** What a host asks for: one release that it was told to run, by what it really is. */
export interface WantedRelease {
  readonly version: string
  /** The tree digest, as the host computes it from the manifest. */
  readonly tree: string
  /** Where the tarball itself is at hand. */
  readonly artifact?: Artifact
}

export interface ReleaseQuestion {
  /** The content of the envelope; null when there is none. */
  readonly envelope: Uint8Array | null
  readonly policy: TrustPolicy
  readonly app: string
  readonly environment: string
  readonly release: WantedRelease
  /** Epoch milliseconds at which the keys have to be good. */
  readonly at: number
}

export type Doubt =
  | 'no-rule'
  | 'unsigned'
  | 'malformed'
  | 'other-type'
  | 'too-few-signatures'
  | 'other-app'
  | 'other-environment'
  | 'other-version'
  | 'other-tree'
  | 'other-artifact'

export type TrustVerdict =
  | {
      readonly outcome: 'trusted'
      readonly statement: Statement
      /** What was signed, verbatim: to be kept. */
      readonly payload: Uint8Array
      /** Names of the keys that signed. */
      readonly signers: readonly string[]
    }
  /** The trust file says to go on nevertheless; people should hear why it is not trusted. */
  | { readonly outcome: 'doubted'; readonly reason: Doubt; readonly message: string }
  | { readonly outcome: 'refused'; readonly reason: Doubt; readonly message: string }
  /** The trust file asks for no signatures here: nothing was looked at. */
  | { readonly outcome: 'not-asked' }

/** The rule of the environment, or of all that are not named; null when there is none. */
export function ruleFor({ rules }: TrustPolicy, environment: string): Rule | null {
  return rules.get(environment) ?? rules.get('*') ?? null
}

/** Whether the trust file lets this release be staged here; expiry and order are floor.ts's. */
export function verifyRelease(question: ReleaseQuestion): TrustVerdict {
  const { policy, environment } = question
  const rule = ruleFor(policy, environment)
  if (rule === null) {
    const message = `the trust file has no rule for the environment "${environment}"`
    return { outcome: 'refused', reason: 'no-rule', message }
  }
  if (rule.policy === 'off') return { outcome: 'not-asked' }
  const judgement = judge(question, rule)
  if ('statement' in judgement) return { outcome: 'trusted', ...judgement }
  return { outcome: rule.policy === 'warn' ? 'doubted' : 'refused', ...judgement }
}

interface Judged {
  readonly statement: Statement
  readonly payload: Uint8Array
  readonly signers: readonly string[]
}
type Doubted = { readonly reason: Doubt; readonly message: string }
type AskingRule = Exclude<Rule, { policy: 'off' }>

function judge(question: ReleaseQuestion, rule: AskingRule): Judged | Doubted {
  if (question.envelope === null) {
    return { reason: 'unsigned', message: 'the release is not signed' }
  }
  try {
    const envelope = parseEnvelope(question.envelope)
    if (envelope.payloadType !== payloadTypes.release) {
      return { reason: 'other-type', message: 'the envelope is of something else than a release' }
    }
    const signers = signersAt(envelope, rule.keys, question.at)
    if (signers.length < rule.threshold) {
      return { reason: 'too-few-signatures', message: tooFew(signers, rule) }
    }
    const statement = parseStatement(envelope.payload)
    return otherwise(statement, question) ?? { statement, payload: envelope.payload, signers }
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'bad-envelope') throw error
    return { reason: 'malformed', message: error.message }
  }
}

/** Names of those of the keys that are good at this instant and signed the envelope. */
export function signersAt(
  envelope: Envelope,
  keys: readonly TrustedKey[],
  at: number,
): readonly string[] {
  const good = keys.filter((key) => countsAt(key, at))
  const signers = new Set(
    signersOf(
      envelope,
      good.map(({ key }) => key),
    ),
  )
  return good.filter(({ key }) => signers.has(key)).map(({ name }) => name)
}

/** Whether the trust file lets the key count at this instant, epoch milliseconds. */
export function countsAt({ notBeforeAt, notAfterAt }: TrustedKey, at: number): boolean {
  return (notBeforeAt === null || at >= notBeforeAt) && (notAfterAt === null || at < notAfterAt)
}

/** What people read of signatures that do not reach a threshold. */
export function tooFew(signers: readonly string[], rule: AskingRule): string {
  const names = rule.keys.map(({ name }) => name).join(', ')
  const by = signers.length === 0 ? 'none' : signers.join(', ')
  return `${rule.threshold} of ${names} have to sign, and of those that count now did ${by}`
}

/** The statement may be true and still be of something else. */
function otherwise(statement: Statement, question: ReleaseQuestion): Doubted | null {
  const { app, environment, release } = question
  const { artifact } = release
  const doubt = (reason: Doubt, is: string, wanted: string): Doubted => ({
    reason,
    message: `the signed statement is of ${is}, not of ${wanted}`,
  })
  if (statement.app !== app) {
    return doubt('other-app', `the app "${statement.app}"`, `"${app}"`)
  }
  if (!statement.environments.includes(environment)) {
    return doubt('other-environment', statement.environments.join(', '), `"${environment}"`)
  }
  if (statement.version !== release.version) {
    return doubt('other-version', `version ${statement.version}`, release.version)
  }
  if (statement.tree !== release.tree) {
    return doubt('other-tree', `the tree ${statement.tree}`, release.tree)
  }
  const { sha256, bytes } = statement.artifact
  if (artifact !== undefined && (artifact.sha256 !== sha256 || artifact.bytes !== bytes)) {
    const wanted = `${artifact.sha256} of ${artifact.bytes} bytes`
    return doubt('other-artifact', `the tarball ${sha256} of ${bytes} bytes`, wanted)
  }
  return null
}

function trustedKeyOf(name: string, written: Static<typeof keySchema>): TrustedKey {
  const { key, notBefore, notAfter } = written
  const notBeforeAt = instantOf(name, 'notBefore', notBefore)
  const notAfterAt = instantOf(name, 'notAfter', notAfter)
  if (notBeforeAt !== null && notAfterAt !== null && notBeforeAt >= notAfterAt) {
    throw badTrust(`lets the key "${name}" count at no time: notBefore is not before notAfter`)
  }
  try {
    return { name, key: parsePublicKey(key), notBeforeAt, notAfterAt }
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'bad-public-key') throw error
    throw badTrust(`has a bad key "${name}": ${error.message}`)
  }
}

function instantOf(name: string, member: string, text: string | undefined): number | null {
  if (text === undefined) return null
  const at = parseInstant(text)
  if (at !== null) return at
  throw badTrust(`gives the key "${name}" no instant as ${member}: ${JSON.stringify(text)}`)
}

function ruleOf(
  environment: string,
  written: Static<typeof ruleSchema>,
  all: readonly TrustedKey[],
): Rule {
  const { policy, threshold, keys: names = [] } = written
  const place = `for the environment "${environment}"`
  const keys = names.map((name) => {
    const key = all.find((known) => known.name === name)
    if (key === undefined) throw badTrust(`has no key "${name}", which it asks for ${place}`)
    return key
  })
  if (new Set(keys).size !== keys.length) throw badTrust(`lists a key twice ${place}`)
  if (threshold !== undefined && threshold > keys.length) {
    throw badTrust(`asks for ${threshold} signatures of ${keys.length} keys ${place}`)
  }
  if (policy === 'off') return { policy }
  if (threshold === undefined) throw badTrust(`gives no threshold and keys ${place}`)
  return { policy, threshold, keys }
}

function badTrust(problem: string): LockstepError {
  return new LockstepError('bad-trust-file', `the trust file ${problem}`, {
    hint: 'A rule is such as { "policy": "require", "threshold": 1, "keys": ["ci"] }; see docs/trust.md.',
  })
}
