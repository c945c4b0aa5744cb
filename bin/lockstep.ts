// The program's one entry, and the only place where its parts meet: one of the two daemons, or the
// operator's command. Loads the part that is asked for and nothing else.

import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// First of all, so that every other file is stripped of its types and compiled only once. Beside the
// program, where whoever can write can change the program anyway; a service, which cannot write
// there, has its own state directory (systemd.exec(5), STATE_DIRECTORY).
const state = process.env['STATE_DIRECTORY']
enableCompileCache(
  state === undefined
    ? join(import.meta.dirname, '../node_modules/.cache/lockstep')
    : join(state, 'compile-cache'),
)

const argv = process.argv.slice(2)
const { programPartOf } = await import('#cli/program-part.ts')
process.exitCode = await start()

async function start(): Promise<number> {
  switch (programPartOf(argv)) {
    case 'controller': {
      const { main } = await import('#controller/main.ts')
      return main(argv.slice(1))
    }
    case 'agent': {
      const { main } = await import('#agent/main.ts')
      return main(argv.slice(1))
    }
    case 'command': {
      const { main } = await import('#cli/main.ts')
      return main(argv, { loadHostApps, loadAgentSettings, loadDoctor })
    }
  }
}

async function loadAgentSettings() {
  const { parseAgentConfig } = await import('#agent/config.ts')
  return parseAgentConfig
}

async function loadHostApps() {
  const { hostApps } = await import('#agent/host-apps.ts')
  return hostApps
}

async function loadDoctor() {
  const { examineHost } = await import('#agent/doctor/examine-host.ts')
  return examineHost
}
