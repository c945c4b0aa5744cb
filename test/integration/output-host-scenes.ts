// What the commands of a host are told by the code that they load, with hostile text wherever a file, a
// process or systemd could put it. None of it asks a controller.

import type { Services } from '#cli/services.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ExamineHost, Finding } from '#shared/finding.ts'
import type { HoldReport, HostApps } from '#shared/host-apps.ts'
import type { InstallReport } from '#systemd/report.ts'

/** The code behind the commands, which tells hostile text, or fails with it. */
export interface Host {
  readonly hostApps: HostApps
  readonly services: Services
  readonly examineHost: ExamineHost
}

export const hostCommands: readonly string[] = [
  'adopt shop',
  'adopt shop --dry-run',
  'agent hold shop --reason x',
  'agent unhold shop',
  'agent attest shop --deep',
  'agent in-use shop',
  'link shop /srv/shop',
  'link shop --undo',
  'agent install --config /etc/lockstep/agent.toml',
  'agent uninstall',
  'controller install --listen 127.0.0.1:7400',
  'controller uninstall --purge',
  'doctor',
]

export function hostileHost(text: string): Host {
  const held = { app: text, hold: text, before: text, agentRuns: true }
  const freed: HoldReport = { ...held, hold: null, agentRuns: false }
  const place = { app: text, root: text, current: text }
  const installed = (role: InstallReport['role'], program: string | null) => () =>
    Promise.resolve({ role, program, steps: [text, text], notes: [text] })
  const linked = { ...held, ...place, replaced: text }
  const outcomes = ['whole', 'drifted', 'unrecorded'] as const
  return {
    hostApps: {
      adopt: async ({ dryRun }) => ({
        ...place,
        found: 'capistrano',
        dryRun,
        shared: [{ path: text, type: 'file', target: text }],
        sharedLine: text,
        steps: [text],
        todo: [text],
        undo: [text],
        gapMs: 1,
      }),
      hold: async () => held,
      unhold: async () => freed,
      link: async () => linked,
      unlink: async () => ({ ...linked, ...freed, current: null }),
      attest: async () => ({
        ...place,
        deep: true,
        releases: outcomes.map((outcome) => ({
          version: text,
          tree: text,
          isCurrent: outcome === 'whole',
          outcome,
          differences: [{ path: text, kind: text }],
          extras: [text],
        })),
      }),
      listUsage: async () => ({
        ...place,
        file: text,
        directories: [text],
        used: [{ path: text, pid: 1, how: text }],
        unseenCount: 1,
      }),
    },
    services: {
      installAgent: installed('agent', text),
      installController: installed('controller', text),
      uninstallAgent: installed('agent', null),
      uninstallController: installed('controller', null),
    },
    examineHost: async () => (['ok', 'warn', 'fail', 'unknown'] as const).map(finding(text)),
  }
}

/** Every call fails, with a message and a hint that quote what was found. */
export function failingHost(text: string): Host {
  const fail = () => {
    throw new LockstepError('bad-configuration', `${text}: ${text}`, { hint: text })
  }
  const calls = ['adopt', 'hold', 'unhold', 'link', 'unlink', 'attest', 'listUsage'] as const
  const services = ['installAgent', 'installController', 'uninstallAgent', 'uninstallController']
  const failing = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, async () => fail()]))
  return {
    hostApps: { ...hostileHost(text).hostApps, ...failing(calls) },
    services: { ...hostileHost(text).services, ...failing(services) },
    examineHost: async () => fail(),
  }
}

function finding(text: string): (outcome: Finding['outcome']) => Finding {
  return (outcome) => ({ check: 'nginx', app: text, found: text, remedy: text, outcome })
}
