// The part of the configuration that says when a release counts as healthy on this host.
// docs/configuration.md, "Health".

import { isIP } from 'node:net'
import { limits } from '#shared/limits.ts'
import { durationOf } from './config-durations.ts'
import { type ProgramCommand, programOf } from './config-hooks.ts'
import { type MistakeList, shownValue, type Table } from './config-mistakes.ts'

export interface UrlTarget {
  readonly kind: 'url'
  readonly url: string
  /** The name that the request asks for; null: the address itself. */
  readonly host: string | null
  /** What the answer's status may be; null: any of 200 to 299. */
  readonly statuses: readonly number[] | null
  /** Words that the answer's body has to hold; null: it is not read. */
  readonly body: string | null
}

export interface TcpTarget {
  readonly kind: 'tcp'
  readonly address: string
  readonly port: number
}

export type ProbeTarget = UrlTarget | TcpTarget | ProgramCommand

export interface HealthConfig {
  readonly target: ProbeTarget
  /** The window, from the first probe. */
  readonly forMs: number
  /** From the start of one probe to the start of the next. */
  readonly intervalMs: number
  /** Of one probe. */
  readonly timeoutMs: number
  /** Successes in a row. */
  readonly healthy: number
  /** Failures in a row. */
  readonly unhealthy: number
}

const urlKeys = ['status', 'body', 'host']
const targetKeys = ['url', 'tcp', 'run']
const timeKeys = ['for', 'interval', 'timeout', 'healthy', 'unhealthy']
const healthKeys = [...targetKeys, ...urlKeys, ...timeKeys]
const urlExample = 'an address of this host, such as "http://127.0.0.1/healthz"'
const tcpExample = 'an address of this host and a port, such as "127.0.0.1:8080"'
const hostPattern = /^[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?$/
const hostExample = 'the name that the site is served under, such as "shop.example.com"'

/** @returns null without the section, and after noting that it names nothing to probe */
export function healthOf(table: Table, at: string, mistakes: MistakeList): HealthConfig | null {
  if (!Object.hasOwn(table, 'health')) return null
  const health = mistakes.table(table, 'health', at, `a section [${at}.health]`)
  if (health === undefined) return null
  const path = `${at}.health`
  mistakes.refuseUnknownKeys(health, path, healthKeys)
  const target = targetOf(health, path, mistakes)
  const times = (key: string, minMs: number, maxMs: number, defaultMs: number) =>
    durationOf(health, key, path, { minMs, maxMs, defaultMs }, mistakes)
  const count = (key: string, fallback: number) =>
    mistakes.wholeNumber(health, key, path, { min: 1, max: limits.probeCountMax, fallback })
  const config = {
    forMs: times('for', 0, limits.gateWindowMaxMs, limits.gateWindowDefaultMs),
    intervalMs: times(
      'interval',
      limits.probeIntervalMinMs,
      limits.probeIntervalMaxMs,
      limits.probeIntervalDefaultMs,
    ),
    timeoutMs: times(
      'timeout',
      limits.probeTimeoutMinMs,
      limits.probeTimeoutMaxMs,
      limits.probeTimeoutDefaultMs,
    ),
    healthy: count('healthy', limits.probeHealthyDefault),
    unhealthy: count('unhealthy', limits.probeUnhealthyDefault),
  }
  return target === undefined ? null : { target, ...config }
}

/**
 * The longest that a gate takes: its window, and after it as many probes as may still decide. A gate
 * that goes to and fro for longer has not become healthy.
 */
export function gateMsOf(health: HealthConfig): number {
  const probeMs = health.intervalMs + health.timeoutMs
  return health.forMs + (health.healthy + health.unhealthy) * probeMs
}

function targetOf(table: Table, at: string, mistakes: MistakeList): ProbeTarget | undefined {
  const kinds = targetKeys.filter((key) => Object.hasOwn(table, key))
  const [kind] = kinds
  if (kind === undefined || kinds.length > 1) {
    const problem = kind === undefined ? 'has nothing to probe' : `has ${kinds.join(' and ')}`
    mistakes.add(at, problem, `exactly one of url, tcp and run; url is ${urlExample}`)
    return undefined
  }
  const strange = kind === 'url' ? [] : urlKeys.filter((key) => Object.hasOwn(table, key))
  for (const key of strange) mistakes.add(`${at}.${key}`, 'belongs to url', `no ${key} here`)
  if (kind === 'run') return programOf(table, at, mistakes)
  return kind === 'tcp' ? tcpOf(table, at, mistakes) : urlOf(table, at, mistakes)
}

function tcpOf(table: Table, at: string, mistakes: MistakeList): TcpTarget | undefined {
  const text = mistakes.text(table, 'tcp', at, tcpExample)
  if (text === undefined) return undefined
  const target = parseAddress(text)
  if (target !== null) return { kind: 'tcp', ...target }
  mistakes.add(`${at}.tcp`, `${shownValue(text)} is no address with a port`, tcpExample)
  return undefined
}

/** `127.0.0.1:80`, `[::1]:80`, `localhost:80`; null for anything else. Never a name to look up. */
export function parseAddress(text: string): { address: string; port: number } | null {
  const [, bracketed, plain, digits] = /^(?:\[(.+)\]|([^[\]:]+)):([0-9]{1,5})$/.exec(text) ?? []
  const address = bracketed ?? plain ?? ''
  const port = Number(digits)
  const isAddress = bracketed === undefined ? isIP(address) === 4 : isIP(address) === 6
  if (!isAddress && plain !== 'localhost') return null
  return port >= 1 && port <= 65_535 ? { address, port } : null
}

function urlOf(table: Table, at: string, mistakes: MistakeList): UrlTarget | undefined {
  const text = mistakes.text(table, 'url', at, urlExample)
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : null
  const problem = url === null ? 'is no address' : problemOf(url)
  if (problem !== null) mistakes.add(`${at}.url`, `${shownValue(text)} ${problem}`, urlExample)
  return {
    kind: 'url',
    url: url?.href ?? '',
    host: hostOf(table, at, mistakes),
    statuses: statusesOf(table, at, mistakes),
    body: bodyOf(table, at, mistakes),
  }
}

/**
 * A name could lead to another machine, or to the balancer that answers for the whole fleet: then a
 * gate would judge somebody else.
 */
function problemOf(url: URL): string | null {
  if (!['http:', 'https:'].includes(url.protocol)) return 'is no http or https address'
  if (url.username !== '' || url.password !== '') return 'holds credentials'
  if (url.hash !== '') return 'has a fragment'
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const isHere = name === 'localhost' || isIP(name) !== 0
  return isHere ? null : 'names a host that would have to be looked up'
}

function hostOf(table: Table, at: string, mistakes: MistakeList): string | null {
  if (!Object.hasOwn(table, 'host')) return null
  const host = mistakes.text(table, 'host', at, hostExample)
  if (host === undefined) return null
  if (!hostPattern.test(host)) {
    mistakes.add(`${at}.host`, `${shownValue(host)} is no host name`, hostExample)
  }
  return host
}

function statusesOf(table: Table, at: string, mistakes: MistakeList): readonly number[] | null {
  if (!Object.hasOwn(table, 'status')) return null
  const value = table['status']
  const statuses: unknown[] = Array.isArray(value) ? value : [value]
  const good = statuses.filter((status): status is number => isStatus(status))
  if (good.length > 0 && good.length === statuses.length) return good
  const write = 'a status from 200 to 599, or a list of them, such as [200, 204]'
  mistakes.add(`${at}.status`, `${shownValue(value)} is no status`, write)
  return null
}

function isStatus(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599
}

function bodyOf(table: Table, at: string, mistakes: MistakeList): string | null {
  if (!Object.hasOwn(table, 'body')) return null
  const write = 'words that the answer has to hold, such as "ok"'
  const words = mistakes.text(table, 'body', at, write)
  if (words === undefined) return null
  const isFine = words.length > 0 && words.length <= limits.probeWordsCharsMax
  if (!isFine) mistakes.add(`${at}.body`, `is of ${words.length} characters`, write)
  return words
}
