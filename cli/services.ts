// Installing and removing the daemons on this machine, as the commands see it; main.ts gives the real one.

import type { InstallAgentOptions } from '#systemd/install-agent.ts'
import type { InstallControllerOptions } from '#systemd/install-controller.ts'
import type { InstallReport } from '#systemd/report.ts'
import type { UninstallOptions } from '#systemd/uninstall.ts'

export interface Services {
  installAgent(options: InstallAgentOptions): Promise<InstallReport>
  installController(options: InstallControllerOptions): Promise<InstallReport>
  uninstallAgent(options: UninstallOptions): Promise<InstallReport>
  uninstallController(options: UninstallOptions): Promise<InstallReport>
}
