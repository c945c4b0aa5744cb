// The controller's settings as a service, in /etc/lockstep/controller.env (systemd.exec(5),
// EnvironmentFile=): how the file is written, read and compared with options. Pure.

import { posix } from 'node:path'
import { LockstepError } from '#shared/errors.ts'
import { isLoopback } from '#shared/loopback.ts'
import { chooseTls, type TlsOptions } from '#shared/tls-choice.ts'
import { services } from './host.ts'

export interface ControllerSettings {
  /** HOST:PORT, an IPv6 address in brackets. */
  readonly listen: string
  /** Absolute directory of the database and the content. */
  readonly data: string
  /** The options that say how it speaks TLS, as they stand on its command line. */
  readonly tls: readonly string[]
}

export interface ControllerOptions extends TlsOptions {
  readonly listen?: string | undefined
  /** The unit's own state directory where absent. */
  readonly data?: string | undefined
}

/**
 * The settings of a first installation.
 * @throws LockstepError `bad-usage` without an address, `bad-configuration`
 */
export function controllerSettingsOf(options: ControllerOptions): ControllerSettings {
  if (options.listen === undefined) {
    throw new LockstepError('bad-usage', 'the first installation needs --listen HOST:PORT', {
      hint: 'Such as --listen 127.0.0.1:7400 behind a proxy. Nothing was changed.',
    })
  }
  const settings = {
    listen: options.listen,
    data: options.data ?? services.controller.stateDirectory,
    tls: wordsOf(options),
  }
  return checked(settings, 'the options')
}

export function renderControllerSettings(settings: ControllerSettings): string {
  return [
    '# The Lockstep controller of this machine. After a change: `lockstep controller install`, which',
    '# opens the data directory and the port to the service and restarts it.',
    `LOCKSTEP_LISTEN=${quoted(settings.listen)}`,
    `LOCKSTEP_DATA=${quoted(settings.data)}`,
    '# How it speaks TLS, such as --tls-name deploy.example.com; docs/configuration.md, "TLS".',
    `LOCKSTEP_TLS=${quoted(settings.tls.join(' '))}`,
    '',
  ].join('\n')
}

/**
 * Reads what the file says, as far as the installer writes it.
 * @throws LockstepError `bad-configuration` with every mistake
 */
export function parseControllerSettings(text: string, file: string): ControllerSettings {
  const found = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, name, value] = /^\s*([A-Z_]+)=(.*?)\s*$/.exec(line) ?? []
    if (name !== undefined && value !== undefined) found.set(name, unquoted(value))
  }
  return checked(
    {
      listen: found.get('LOCKSTEP_LISTEN') ?? '',
      data: found.get('LOCKSTEP_DATA') ?? '',
      tls: (found.get('LOCKSTEP_TLS') ?? '').split(/\s+/).filter(Boolean),
    },
    file,
  )
}

/** Each option that the file contradicts, as `--listen A (the file says B)`. */
export function differingControllerOptions(
  options: ControllerOptions,
  settings: ControllerSettings,
): string[] {
  const pairs: [string, string | undefined, string][] = [
    ['--listen', options.listen, settings.listen],
    ['--data', options.data?.replace(/(?<=.)\/+$/, ''), settings.data],
    ['', wordsOf(options).join(' ') || undefined, settings.tls.join(' ')],
  ]
  return pairs.flatMap(([flag, given, kept]) =>
    given === undefined || given === kept
      ? []
      : [`${flag} ${given} (the file says ${kept || 'nothing'})`.trim()],
  )
}

export function portOf(settings: ControllerSettings): number {
  return Number(/:(\d+)$/.exec(settings.listen)?.[1])
}

/** Whether the controller itself does, and not a proxy before it or nobody at all. */
export function speaksTls({ listen, tls }: ControllerSettings): boolean {
  if (tls.includes('--plain-http') || tls.includes('--behind-proxy')) return false
  return tls.length > 0 || !isLoopback(hostOf(listen))
}

function hostOf(listen: string): string {
  return /^(.*):\d+$/.exec(listen)?.[1] ?? ''
}

/** @throws LockstepError `bad-usage` for options that contradict each other */
function wordsOf(options: ControllerOptions): string[] {
  chooseTls(hostOf(options.listen ?? ''), options)
  return tlsFlags.flatMap((flag) => {
    const value = options[flag]
    if (value === undefined || value === false) return []
    if (value === true) return [`--${flag}`]
    return [value].flat().flatMap((word) => [`--${flag}`, word])
  })
}

const tlsFlags = ['tls', 'tls-name', 'tls-cert', 'tls-key', 'behind-proxy', 'plain-http'] as const

function checked(settings: ControllerSettings, source: string): ControllerSettings {
  const data = settings.data.replace(/(?<=.)\/+$/, '')
  const mistakes: string[] = []
  if (!/^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):\d{1,5}$/.test(settings.listen)) {
    mistakes.push(`"${settings.listen}" is no HOST:PORT to listen on`)
  } else if (portOf(settings) > 65_535) mistakes.push(`there is no port ${portOf(settings)}`)
  if (!posix.isAbsolute(data) || posix.normalize(data) !== data || data === '/') {
    mistakes.push(`"${data}" is no absolute path of a data directory`)
  } else if (/\p{Cc}/u.test(data)) mistakes.push('the data directory has a control character')
  for (const word of settings.tls) {
    // systemd would take more of it for its own: quotes, variables, specifiers.
    if (!/^[0-9A-Za-z/._:@*[\]=+,-]+$/.test(word)) mistakes.push(`"${word}" is no option of TLS`)
  }
  for (const flag of ['--tls-cert', '--tls-key']) {
    const file = settings.tls[settings.tls.indexOf(flag) + 1] ?? ''
    if (settings.tls.includes(flag) && !posix.isAbsolute(file)) {
      mistakes.push(`${flag} needs an absolute path`)
    }
  }
  if (mistakes.length === 0) return { ...settings, data }
  throw new LockstepError('bad-configuration', `${source}: ${mistakes.join('; ')}`, {
    hint: 'Correct this and install again. Nothing was changed.',
    details: { mistakes },
  })
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\$`]/g, '\\$&')}"`
}

function unquoted(value: string): string {
  const inner = /^"(.*)"$/.exec(value)?.[1]
  return inner === undefined ? value : inner.replaceAll(/\\(["\\$`])/g, '$1')
}
