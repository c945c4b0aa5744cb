// The keys of agent.toml that say where the controller is, and from where else content may come. They
// are the only addresses that an agent ever talks to: no message names one.

import { isLoopback } from '#shared/loopback.ts'
import { limits } from '#shared/limits.ts'
import { type MistakeList, shownValue, type Table } from './config-mistakes.ts'

export interface ControllerConfig {
  /** The controller's origin, with a path where a proxy wants one, without a slash at its end. */
  readonly controller: string
  /** Of the controller's keys; none: those of the join token, and what the controller says after it. */
  readonly pins: readonly string[]
  /** `off` where a proxy ends TLS, so that there is nothing to bind to. */
  readonly channelBinding: 'on' | 'off'
  /** Origins that content may come from when the controller points to them: `https://host`. */
  readonly redirects: readonly string[]
}

export const controllerKeys = ['controller', 'pin', 'channel-binding', 'plain-http', 'redirects']

export function controllerConfigOf(table: Table, mistakes: MistakeList): ControllerConfig {
  const controller = controllerOf(table, mistakes)
  const pins = pinsOf(table, mistakes)
  if (pins.length > 0 && controller.startsWith('http:')) {
    const problem = 'is never looked at: plain HTTP shows no key'
    mistakes.add('pin', problem, 'https:// in `controller`, or no `pin`')
  }
  return {
    controller,
    pins,
    channelBinding: channelBindingOf(table, mistakes),
    redirects: redirectsOf(table, mistakes),
  }
}

function controllerOf(table: Table, mistakes: MistakeList): string {
  const write = 'the address of the controller, such as "https://deploy.example.com"'
  // Loopback is on no network; whoever wants it elsewhere has to say so.
  const isPlainAllowed = mistakes.flag(table, 'plain-http', '', false)
  const text = mistakes.text(table, 'controller', '', write)
  if (text === undefined) return ''
  const url = URL.canParse(text) ? new URL(text) : null
  const wrong =
    url === null || !['http:', 'https:'].includes(url.protocol)
      ? 'is no http or https address'
      : url.username !== '' || url.password !== ''
        ? 'holds credentials, which belong to the agent’s own key'
        : url.search !== '' || url.hash !== ''
          ? 'has a query or fragment'
          : url.protocol === 'http:' && !isPlainAllowed && !isLoopback(url.hostname)
            ? 'is plain HTTP to another machine, where anybody on the way reads and changes it'
            : null
  if (wrong !== null) mistakes.add('controller', `${shownValue(text)} ${wrong}`, write)
  return url === null ? '' : `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

/** Origins alone: what is below them, the redirect itself says. */
function redirectsOf(table: Table, mistakes: MistakeList): string[] {
  const write = 'origins, such as ["https://releases.example.com"]'
  return mistakes.texts(table, 'redirects', '', write).flatMap(({ text, key }) => {
    const url = URL.canParse(text) ? new URL(text) : null
    const isOrigin = url !== null && ['http:', 'https:'].includes(url.protocol)
    if (isOrigin && url.href === `${url.origin}/`) return [url.origin]
    mistakes.add(key, `${shownValue(text)} is no origin`, write)
    return []
  })
}

function pinsOf(table: Table, mistakes: MistakeList): string[] {
  const write = 'one pin or two, as `lockstep status` shows them, such as ["47DEQpj8HBSa-_TImW…"]'
  const pins = mistakes.texts(table, 'pin', '', write).flatMap(({ text, key }) => {
    if (/^[0-9A-Za-z_-]{43}$/.test(text)) return [text]
    mistakes.add(key, `${shownValue(text)} is no pin`, write)
    return []
  })
  if (pins.length > limits.pinsMax) mistakes.add('pin', `names ${pins.length}`, write)
  return pins
}

function channelBindingOf(table: Table, mistakes: MistakeList): 'on' | 'off' {
  if (!Object.hasOwn(table, 'channel-binding')) return 'on'
  const write = '"off" where a proxy ends TLS before the controller, "on" everywhere else'
  const binding = mistakes.text(table, 'channel-binding', '', write)
  if (binding === 'on' || binding === 'off') return binding
  if (binding !== undefined) {
    mistakes.add('channel-binding', `${shownValue(binding)} is neither`, write)
  }
  return 'on'
}
