// The real installation of the daemons: systemd/ on this machine, with the program that this command is
// part of.

import type { Readable } from 'node:stream'
import type { ParseAgentSettings } from '#systemd/agent-settings.ts'
import { installAgent } from '#systemd/install-agent.ts'
import { installController } from '#systemd/install-controller.ts'
import { thisHost } from '#systemd/this-host.ts'
import { uninstallAgent, uninstallController } from '#systemd/uninstall.ts'
import type { Services } from './services.ts'

export interface HostServicesParts {
  /** The checkout or installed program that this runs from. */
  readonly programDirectory: string
  /** The agent's own parser, which the command must not know. */
  readonly loadAgentSettings: () => Promise<ParseAgentSettings>
  readonly stdin: Readable
}

export function hostServices(parts: HostServicesParts): Services {
  const { programDirectory, stdin } = parts
  const host = thisHost()
  return {
    async installAgent(options) {
      const parseSettings = await parts.loadAgentSettings()
      return installAgent(options, { host, programDirectory, parseSettings, stdin })
    },
    installController: (options) => installController(options, { host, programDirectory }),
    uninstallAgent: (options) => uninstallAgent(options, { host }),
    uninstallController: (options) => uninstallController(options, { host }),
  }
}
