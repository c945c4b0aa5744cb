// The port to the machine that a service is installed on, and the names of everything that an
// installation makes there. Does nothing itself; this-host.ts is the real machine.

import { join } from 'node:path'

export interface CommandResult {
  /** 127 where there is no such program, as a shell says it. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface Host {
  /** Where this machine's file system begins: `/`, except in tests. */
  readonly rootDirectory: string
  readonly platform: string
  readonly arch: string
  readonly hostname: string
  /** The effective user of this process. */
  readonly uid: number
  /** Runs a program to its end; never rejects for what the program does. */
  run(program: string, args: readonly string[]): Promise<CommandResult>
}

export type Role = 'agent' | 'controller'

export interface ServiceNames {
  readonly unit: string
  /** The system account that it runs as, alone: the other one's files and processes are closed to it. */
  readonly account: string
  /** The unit's StateDirectory. */
  readonly stateDirectory: string
  readonly configurationFile: string
}

export const services: Readonly<Record<Role, ServiceNames>> = {
  agent: {
    unit: 'lockstep-agent.service',
    account: 'lockstep',
    stateDirectory: '/var/lib/lockstep',
    configurationFile: '/etc/lockstep/agent.toml',
  },
  controller: {
    unit: 'lockstep-controller.service',
    account: 'lockstep-controller',
    stateDirectory: '/var/lib/lockstep-controller',
    configurationFile: '/etc/lockstep/controller.env',
  },
}

export const installed = {
  programDirectory: '/opt/lockstep',
  configurationDirectory: '/etc/lockstep',
  unitDirectory: '/etc/systemd/system',
  polkitDirectory: '/etc/polkit-1/rules.d',
  unitRights: '/etc/polkit-1/rules.d/50-lockstep.rules',
  joinToken: '/var/lib/lockstep/join-token',
  /** Root's look at who uses a release, one instance for each app, and where it leaves its lists. */
  usageUnit: 'lockstep-inuse@.service',
  usageDirectory: '/run/lockstep-inuse',
} as const

/** Both services' accounts enter the directory; each file in it is one service's to read. */
export const configurationMode = 0o755

/** Where a path of the machine lies for this process. */
export function at(host: Host, path: string): string {
  return join(host.rootDirectory, path)
}
