// The log of both daemons: JSON lines on one stream, written before the call returns, so that the last
// words of a crash are not lost. Under journald each line bears its priority (sd-daemon(3)).

import { fstatSync } from 'node:fs'
import { type DestinationStream, type Logger, type LoggerOptions, levels, pino } from 'pino'
import { masked, withoutSecretText } from '#shared/secret-text.ts'
import { escapedJson } from '#shared/unsafe-text.ts'

export interface LogOptions {
  /** The daemon: `agent` or `controller`. */
  name: string
  /** `info` where absent. */
  level?: string
  /** Where lines go; standard output where absent. */
  destination?: DestinationStream
  /** Whether the lines are read by journald; where absent, found out by `isJournal`. */
  hasPriorities?: boolean
}

/** What is a secret by its name, wherever an object that is logged has it: in itself or in an error. */
const secretNames = ['authorization', 'cookie', 'password', 'privateKey', 'secret', 'token']
const secretPaths = ['', '*.', '*.*.', '*.*.*.'].flatMap((above) =>
  secretNames.map((name) => `${above}${name}`),
)

/** Builds the logger of one daemon. Only composition roots call this. */
export function createLog(options: LogOptions): Logger {
  const destination = options.destination ?? pino.destination({ dest: 1, sync: true })
  const level = options.level ?? 'info'
  const isLevel = Object.hasOwn(levels.values, level) || level === 'silent'
  const settings: LoggerOptions = {
    base: { name: options.name },
    level: isLevel ? level : 'info',
    redact: { paths: secretPaths, censor: masked },
    hooks: { streamWrite: safeLine },
  }
  const hasPriorities = options.hasPriorities ?? isJournal(process.env, 1)
  const log = pino(settings, hasPriorities ? withPriorities(destination) : destination)
  if (!isLevel)
    log.warn({ level, known: Object.keys(levels.values) }, 'no such log level; using info')
  return log
}

/**
 * JSON leaves DEL, C1 controls and what turns the direction of text as they are; a pager does not. And
 * nothing of a log is worth a secret.
 */
function safeLine(json: string): string {
  return withoutSecretText(escapedJson(json))
}

/**
 * Whether a file descriptor is the stream that systemd connected to the journal.
 * `JOURNAL_STREAM` holds its device and inode (systemd.exec(5)); a redirected output has others.
 */
export function isJournal(
  env: Readonly<Record<string, string | undefined>>,
  descriptor: number,
): boolean {
  const stream = env['JOURNAL_STREAM']
  if (stream === undefined) return false
  const { dev, ino } = fstatSync(descriptor)
  return stream === `${dev}:${ino}`
}

interface LevelledStream extends DestinationStream {
  /** Set by pino before every write, because of the symbol below. */
  lastLevel: number
  [metadata]: true
}

const metadata: unique symbol = Symbol.for('pino.metadata')

function withPriorities(destination: DestinationStream): LevelledStream {
  return {
    [metadata]: true,
    lastLevel: 30,
    write(line) {
      destination.write(`<${priorityOf(this.lastLevel)}>${line}`)
    },
  }
}

/** From pino's levels (10 trace … 60 fatal) to those of syslog(3). */
function priorityOf(level: number): number {
  if (level >= 60) return 2
  if (level >= 50) return 3
  if (level >= 40) return 4
  return level >= 30 ? 6 : 7
}
