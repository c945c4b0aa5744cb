// The agent's configuration: the one place that knows its keys, what each may hold and what is
// meant when it is left out. Pure: takes the text, gives a frozen value, or all mistakes together.
// docs/configuration.md, "agent.toml".

import { parse, TomlError } from 'smol-toml'
import { type CommandsConfig, commandsOf } from './config-commands.ts'
import { durationOf, durationText } from './config-durations.ts'
import { groupOf, withoutOwners } from './config-group.ts'
import { type HealthConfig, healthOf } from './config-health.ts'
import { type HooksConfig, hooksOf, type OnceConfig, onceOf } from './config-hooks.ts'
import { labelsOf } from './config-labels.ts'
import { type Mistake, MistakeList, shownValue, type Table } from './config-mistakes.ts'
import { type ControllerConfig, controllerConfigOf, controllerKeys } from './config-controller.ts'
import { opcacheOf, unitsOf } from './config-reload.ts'
import { declaresOf } from './declares.ts'
import type { TrustFilePlace } from './trust/trust-file.ts'
import { checkPath } from '#shared/entry-rules.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseApp, parseEnvironment, parseHostName } from '#shared/ids.ts'
import type { Labels } from '#shared/labels.ts'
import { limits } from '#shared/limits.ts'

export interface AgentConfig extends ControllerConfig {
  /** The host's name; the machine's own name when left out. */
  readonly name: string
  /** Absolute directory of the agent's identity. */
  readonly state: string
  /** Whose signatures count here; a file that is named has to be there. */
  readonly trust: TrustFilePlace
  /** What the host is chosen by when a rollout is for some hosts only. */
  readonly labels: Labels
  /** At least one, in the order of the file. */
  readonly apps: readonly AppConfig[]
}

export interface AppConfig {
  readonly app: string
  readonly environment: string
  /** The app's absolute root directory, in which `current` stands. */
  readonly root: string
  /** A group of the agent’s user that the files of releases get; null: its own. */
  readonly group: string | null
  /** How many releases clean-up leaves on the disk, `current` counted. */
  readonly keep: number
  readonly shared: readonly SharedPath[]
  /** systemd units to reload after each activation, in this order. */
  readonly reload: readonly string[]
  /** systemd units to restart after those: what keeps the release that it was started in. */
  readonly restart: readonly string[]
  /** Where PHP-FPM listens, to have its opcode cache reset; null: it is left alone. */
  readonly opcache: string | null
  readonly hooks: HooksConfig
  /** What the fleet runs once for each release, on the host that is elected; null: nothing. */
  readonly once: OnceConfig | null
  /** When a release counts as healthy; null: as soon as it is active. */
  readonly health: HealthConfig | null
  /** How commands that a release may require are asked for their versions, beside the known ones. */
  readonly commands: CommandsConfig
  /** How long a release stays on the disk after `current` has left it. */
  readonly drainMs: number
  /** Whether files that are not as they were staged are replaced, or told of only. */
  readonly drift: 'repair' | 'report'
}

/** What outlives releases: a path inside a release, and below the root's `shared/`. */
export interface SharedPath {
  /** Relative, without a slash at either end. */
  readonly path: string
  /** Written with `/` at its end in the configuration: a directory. */
  readonly type: 'file' | 'directory'
}

const topKeys = [...controllerKeys, 'name', 'state', 'trust', 'labels', 'apps']
const appSettings = [
  'environment',
  'root',
  'group',
  'keep',
  'shared',
  'reload',
  'restart',
  'opcache',
  'drain',
  'drift',
]
const appKeys = [...appSettings, 'hooks', 'once', 'health', 'commands']
const drainTimes = { minMs: 0, maxMs: limits.drainMaxMs, defaultMs: limits.drainDefaultMs }

/**
 * @param text the TOML text
 * @param context `file` is its name in messages; `hostname` is the machine's own name
 * @throws LockstepError `bad-configuration`: the line and column of a syntax error, or every
 *   mistake with its key and what to write (`details.mistakes`).
 */
export function parseAgentConfig(
  text: string,
  context: { file: string; hostname: string },
): AgentConfig {
  const table = parseToml(text, context.file)
  const mistakes = new MistakeList()
  mistakes.refuseUnknownKeys(table, '', topKeys)
  const config: AgentConfig = {
    ...controllerConfigOf(table, mistakes),
    name: nameOf(table, context.hostname, mistakes),
    state: directoryOf(table, 'state', mistakes, '/var/lib/lockstep'),
    trust: {
      file: directoryOf(table, 'trust', mistakes, '/etc/lockstep/trust.json'),
      isNamed: Object.hasOwn(table, 'trust'),
    },
    labels: labelsOf(table, mistakes),
    apps: appsOf(table, mistakes),
  }
  checkRootsApart(config.apps, mistakes)
  const found = mistakes.list()
  if (found.length > 0) throw badConfiguration(context.file, found)
  return deepFreeze(config)
}

function parseToml(text: string, file: string): Table {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [summary = ''] = error.message.split('\n')
    const what = summary.replace(/^Invalid TOML document: /, '')
    throw new LockstepError(
      'bad-configuration',
      `${file} is no TOML: line ${error.line}, column ${error.column}: ${what}`,
      {
        hint: 'Correct the line; strings stand in double quotes.',
        details: { file, line: error.line, column: error.column },
        cause: error,
      },
    )
  }
}

function nameOf(table: Table, hostname: string, mistakes: MistakeList): string {
  const isGiven = Object.hasOwn(table, 'name')
  const write = 'a name of letters, digits, "." and "-", such as "web-1"'
  const text = isGiven ? mistakes.text(table, 'name', '', write) : hostname
  if (text === undefined) return ''
  return mistakes.parsed('name', write, () => parseHostName(text)) ?? ''
}

function appsOf(table: Table, mistakes: MistakeList): AppConfig[] {
  const write = 'a section for each app, beginning with [apps.NAME]'
  if (!Object.hasOwn(table, 'apps')) {
    mistakes.add('apps', 'is missing', write)
    return []
  }
  const apps = mistakes.table(table, 'apps', '', write)
  if (apps === undefined) return []
  const names = Object.keys(apps)
  if (names.length === 0) mistakes.add('apps', 'names no app', write)
  if (names.length > limits.appsPerHostMax) {
    mistakes.add('apps', `names ${names.length} apps`, `at most ${limits.appsPerHostMax}`)
  }
  return names.flatMap((name) => {
    const app = mistakes.table(apps, name, 'apps', 'a section [apps.NAME]')
    return app === undefined ? [] : [appOf(name, app, mistakes)]
  })
}

function appOf(name: string, table: Table, mistakes: MistakeList): AppConfig {
  const at = `apps.${name}`
  mistakes.refuseUnknownKeys(withoutOwners(table, at, mistakes), at, appKeys)
  mistakes.parsed(at, 'the name that the app is published under', () => parseApp(name))
  const environmentText = mistakes.text(table, 'environment', at, 'such as "production"')
  if (environmentText !== undefined) {
    mistakes.parsed(`${at}.environment`, 'a name such as "production"', () =>
      parseEnvironment(environmentText),
    )
  }
  const app = {
    app: name,
    environment: environmentText ?? '',
    root: directoryOf(table, 'root', mistakes, undefined, at),
    group: groupOf(table, at, mistakes),
    keep: keepOf(table, at, mistakes),
    shared: sharedOf(table, at, mistakes),
    reload: unitsOf(table, 'reload', at, mistakes),
    restart: unitsOf(table, 'restart', at, mistakes),
    opcache: opcacheOf(table, at, mistakes),
    hooks: hooksOf(table, at, mistakes),
    once: onceOf(table, at, mistakes),
    health: healthOf(table, at, mistakes),
    commands: commandsOf(table, at, mistakes),
    drainMs: durationOf(table, 'drain', at, drainTimes, mistakes),
    drift: driftOf(table, at, mistakes),
  }
  checkTimes(app, at, mistakes)
  return app
}

/** What a host asks of a rollout has an end that the controller can wait for. */
function checkTimes(app: AppConfig, at: string, mistakes: MistakeList): void {
  const { gateMs, activationMs } = declaresOf(app)
  const most = durationText(limits.declaredMsMax)
  if (gateMs > limits.declaredMsMax) {
    mistakes.add(
      `${at}.health`,
      `may take ${durationText(gateMs)}`,
      `times that make at most ${most}`,
    )
  }
  if (activationMs > limits.declaredMsMax) {
    const problem = `take ${durationText(activationMs)} with the other steps`
    mistakes.add(`${at}.hooks`, problem, `timeouts that make at most ${most}`)
  }
}

function driftOf(table: Table, at: string, mistakes: MistakeList): AppConfig['drift'] {
  if (!Object.hasOwn(table, 'drift')) return 'repair'
  const write = '"repair" or "report"'
  const drift = mistakes.text(table, 'drift', at, write)
  if (drift === 'repair' || drift === 'report') return drift
  if (drift !== undefined) mistakes.add(`${at}.drift`, `${shownValue(drift)} is neither`, write)
  return 'repair'
}

/** An absolute directory in its shortest form: the form in which two of them can be compared. */
function directoryOf(
  table: Table,
  key: string,
  mistakes: MistakeList,
  fallback?: string,
  at = '',
): string {
  const write = `an absolute path, such as "${fallback ?? '/var/www/sites/shop'}"`
  if (fallback !== undefined && !Object.hasOwn(table, key)) return fallback
  const text = mistakes.text(table, key, at, write)
  if (text === undefined) return ''
  const path = text.length > 1 ? text.replace(/\/+$/, '') : text
  const segments = path.split('/').slice(1)
  const name = at === '' ? key : `${at}.${key}`
  if (!path.startsWith('/')) mistakes.add(name, `${shownValue(text)} is not absolute`, write)
  else if (path === '/' || path === '') mistakes.add(name, 'is the root of the machine', write)
  else if (segments.some((segment) => ['', '.', '..'].includes(segment))) {
    mistakes.add(name, `${shownValue(text)} has an empty, "." or ".." segment`, write)
  } else if (/[\p{Cc}]/u.test(path)) {
    mistakes.add(name, `${shownValue(text)} has a control character`, write)
  }
  return path
}

function keepOf(table: Table, at: string, mistakes: MistakeList): number {
  const range = { min: 1, max: limits.keepMax, fallback: limits.keepDefault }
  return mistakes.wholeNumber(table, 'keep', at, range)
}

function sharedOf(table: Table, at: string, mistakes: MistakeList): SharedPath[] {
  const write = 'paths inside a release, such as [".env", "storage/"]'
  const paths = mistakes.texts(table, 'shared', at, write).flatMap(({ text, key }) => {
    const path = text.endsWith('/') ? text.slice(0, -1) : text
    const parsed = mistakes.parsed(key, write, () => {
      checkPath(path)
      return path
    })
    if (parsed === undefined) return []
    return [{ key, path, type: text.endsWith('/') ? ('directory' as const) : ('file' as const) }]
  })
  for (const [index, one] of paths.entries()) {
    const other = paths.slice(0, index).find((earlier) => isSameOrNested(earlier.path, one.path))
    if (other === undefined) continue
    const problem = `${shownValue(one.path)} and ${shownValue(other.path)} are one inside the other`
    mistakes.add(one.key, problem, 'only the outer of the two')
  }
  return paths.map(({ path, type }) => ({ path, type }))
}

/** One root inside another would let one app's clean-up meet another app's releases. */
function checkRootsApart(apps: readonly AppConfig[], mistakes: MistakeList): void {
  for (const [index, app] of apps.entries()) {
    if (app.root === '') continue
    const other = apps
      .slice(0, index)
      .find((earlier) => earlier.root !== '' && isSameOrNested(earlier.root, app.root))
    if (other === undefined) continue
    const relation = other.root === app.root ? 'the same directory as' : 'nested with'
    mistakes.add(
      `apps.${app.app}.root`,
      `${shownValue(app.root)} is ${relation} apps.${other.app}.root`,
      'a directory of its own for every app',
    )
  }
}

function isSameOrNested(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`)
}

function badConfiguration(file: string, mistakes: readonly Mistake[]): LockstepError {
  const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`
  const lines = mistakes.map(({ key, problem, write }) => `  ${key} ${problem}; write ${write}`)
  return new LockstepError('bad-configuration', `${file} has ${count}:\n${lines.join('\n')}`, {
    hint: `Correct ${file} and start the agent again; nothing was changed.`,
    details: { file, mistakes },
  })
}

function deepFreeze<Value extends object>(value: Value): Value {
  for (const part of Object.values(value)) {
    if (typeof part === 'object' && part !== null) deepFreeze(part)
  }
  return Object.freeze(value)
}
