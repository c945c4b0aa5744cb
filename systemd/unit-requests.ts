// The units by which the agent asks root for what its configuration names, where polkit cannot grant it:
// a socket for each verb and unit, which only the agent can open, and what answers on it. The texts are
// pure; grant-rights.ts writes them.

import { type UnitVerb, unitRequestDirectory, unitRequestName } from '#shared/unit-request.ts'
import { installed, services } from './host.ts'
import type { UnitRights } from './unit-rights.ts'

export interface UnitRequest {
  readonly verb: UnitVerb
  /** A unit, or what the names of a hook's instances begin with. */
  readonly unit: string
  /** The agent completes the name with a version. */
  readonly isBeginning: boolean
}

const unitRequestPrefix = 'lockstep-ask-'

export function unitRequestsOf({ reload, restart, hooks, looks }: UnitRights): UnitRequest[] {
  const exactly = (verb: UnitVerb, units: readonly string[]): UnitRequest[] =>
    units.map((unit) => ({ verb, unit, isBeginning: false }))
  const verbs = ['start', 'stop', 'kill'] as const
  return [
    ...exactly('reload', reload),
    ...exactly('restart', restart),
    ...exactly('start', looks),
    ...hooks.flatMap((unit) => verbs.map((verb) => ({ verb, unit, isBeginning: true }))),
  ]
}

/** Names and texts of both units of a request. */
export function unitRequestFiles(request: UnitRequest): { unit: string; text: string }[] {
  const { verb, unit } = request
  const name = unitRequestName(verb, unit)
  return [
    { unit: `${unitRequestPrefix}${name}.socket`, text: socketText(request, name) },
    { unit: `${unitRequestPrefix}${name}@.service`, text: serviceText(request) },
  ]
}

const header = '# Written at every `lockstep agent install` from /etc/lockstep/agent.toml.'

function socketText(request: UnitRequest, name: string): string {
  return `${header}
[Unit]
Description=Lockstep: the agent may ${inWords(request)}

[Socket]
ListenStream=${unitRequestDirectory}/${name}
SocketUser=${services.agent.account}
SocketMode=0600
DirectoryMode=0755
Accept=yes
MaxConnections=4
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`
}

function serviceText(request: UnitRequest): string {
  const { verb, unit, isBeginning } = request
  const script = `${installed.programDirectory}/current/systemd/unit-request.sh`
  return `${header}
[Unit]
Description=Lockstep: ${inWords(request)}
CollectMode=inactive-or-failed

[Service]
Type=oneshot
ExecStart=/bin/sh ${script} ${verb} ${quoted(unit)}${isBeginning ? ' any' : ''}
StandardInput=socket
StandardOutput=socket
StandardError=journal
TimeoutStartSec=infinity
UMask=0077

# systemd does as it is asked for whoever has this capability.
CapabilityBoundingSet=CAP_SYS_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateIPC=yes
DevicePolicy=closed
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @obsolete
SystemCallErrorNumber=EPERM
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
`
}

function inWords({ verb, unit, isBeginning }: UnitRequest): string {
  return `${verb} ${unit.replaceAll('%', '%%')}${isBeginning ? '…' : ''}`
}

/** systemd.service(5), "Command lines": a word in quotes, of which nothing is expanded. */
function quoted(word: string): string {
  const literal = word.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')
  return `"${literal}"`
}
