// The operator's command as a process: gives command-line.ts the real terminal, clock, network and signals.
// The one place of cli/ that reaches for them.

import { randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { styleText } from 'node:util'
import type { ExamineHost } from '#shared/finding.ts'
import type { HostApps, HostAppsContext } from '#shared/host-apps.ts'
import type { ParseAgentSettings } from '#systemd/agent-settings.ts'
import manifest from '../package.json' with { type: 'json' }
import { runCommandLine } from './command-line.ts'
import { hostServices } from './host-services.ts'
import { thisMachine } from './this-machine.ts'
import { Terminal } from './output/terminal.ts'
import type { Paint } from './output/text.ts'
import { type Clock, Interruption, type Interruptions } from './surroundings.ts'

export interface ProgramParts {
  /** Loads the agent's parser of agent.toml, for `agent install`. */
  readonly loadAgentSettings: () => Promise<ParseAgentSettings>
  /** Loads what the agent does to an app when it is told to on its own host. */
  readonly loadHostApps: () => Promise<(context: HostAppsContext) => HostApps>
  /** Loads what looks at this host for `doctor`. */
  readonly loadDoctor: () => Promise<ExamineHost>
}

/**
 * @param argv the words after `lockstep`
 * @returns the exit code, as docs/cli.md lists them
 */
export function main(argv: readonly string[], parts: ProgramParts): Promise<number> {
  const { stdin, stdout, stderr, env } = process
  const terminal = new Terminal({
    out: stdout,
    err: stderr,
    paintOut: painterOf(stdout),
    paintErr: painterOf(stderr),
    canRedraw: stderr.isTTY === true,
  })
  return runCommandLine(argv, {
    env,
    terminal,
    clock: systemClock,
    random: Math.random,
    newKey: randomUUID,
    stdin,
    version: manifest.version,
    catchInterruptions,
    openHostApps: async () => (await parts.loadHostApps())(thisMachine(env)),
    examineHost: async (request) => (await parts.loadDoctor())(request),
    services: hostServices({ ...parts, stdin, programDirectory: dirname(import.meta.dirname) }),
  })
}

/** Colours on a terminal only, and not against NO_COLOR: styleText looks at both. */
function painterOf(stream: NodeJS.WriteStream): Paint {
  return (style, text) => styleText(style, text, { stream })
}

const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    try {
      await sleepFor(ms, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      if (signal?.aborted !== true) throw error
    }
  },
}

/** The second Ctrl-C kills as it always does. */
function catchInterruptions(): Interruptions {
  const aborter = new AbortController()
  const onInterrupt = () => aborter.abort(new Interruption('SIGINT'))
  const onTerminate = () => aborter.abort(new Interruption('SIGTERM'))
  process.once('SIGINT', onInterrupt)
  process.once('SIGTERM', onTerminate)
  return {
    signal: aborter.signal,
    stop() {
      process.off('SIGINT', onInterrupt)
      process.off('SIGTERM', onTerminate)
    },
  }
}
