// What of a unit depends on this host's configuration, as the text of a drop-in (systemd.unit(5)). Pure.

import { services } from './host.ts'

const header = [
  '# Written at every `lockstep … install` from the configuration in /etc/lockstep.',
  '# Changes of your own belong in another file of this directory.',
]

/** Trees that ProtectHome=yes hides. */
const homes = ['/home', '/root', '/run/user']

/**
 * Opens the app roots to the agent, and a state directory of its own choice.
 * A root that is missing when the agent starts does not keep it from serving the others.
 */
export function agentDropIn(config: { state: string; roots: readonly string[] }): string {
  const state = isWithin(config.state, services.agent.stateDirectory) ? [] : [config.state]
  return dropIn(openTo([...config.roots, ...state]))
}

/** Opens a data directory of one's own choice, and a port that only root may listen on. */
export function controllerDropIn(config: { data: string; port: number }): string {
  const data = isWithin(config.data, services.controller.stateDirectory) ? [] : [config.data]
  const privileged =
    config.port > 0 && config.port < 1024
      ? [
          'AmbientCapabilities=CAP_NET_BIND_SERVICE',
          'CapabilityBoundingSet=CAP_NET_BIND_SERVICE',
          // A capability over the host's network is none inside a user namespace.
          'PrivateUsers=no',
        ]
      : []
  return dropIn([...openTo(data), ...privileged])
}

function openTo(paths: readonly string[]): string[] {
  const hidden = paths.filter((path) => homes.some((home) => isWithin(path, home)))
  const open = paths.filter((path) => !hidden.includes(path))
  return [
    ...open.map((path) => `ReadWritePaths=-${quoted(path)}`),
    ...(hidden.length === 0 ? [] : ['ProtectHome=tmpfs']),
    ...hidden.map((path) => `BindPaths=-${quoted(path)}`),
  ]
}

function dropIn(settings: readonly string[]): string {
  return [...header, '[Service]', ...settings, ''].join('\n')
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}

/** `%` begins a specifier; a space, a quote and a backslash mean something to systemd.syntax(7). */
function quoted(path: string): string {
  return `"${path.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%')}"`
}
