// A host with a trust file, a real agent's process on it, and a world around it that nothing may
// touch. Says what of an attack can be seen there.

import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Identity } from '#agent/link/identity.ts'
import { sha256Of, type TestRelease } from '../../integration/test-release.ts'
import { controllerId } from '../../support/scripted-controller.ts'
import { ann, bob, ci } from '../../unit/shared/trust/signing.ts'
import { Daemon } from '../fleet/daemon.ts'

/** What only a release that nobody signed says. */
export const evilMark = 'EVIL'

const trust = {
  trust: 1,
  version: 1,
  keys: { ci: { key: ci.line }, ann: { key: ann.line }, bob: { key: bob.line } },
  environments: {
    production: { policy: 'require', threshold: 2, keys: ['ci', 'ann', 'bob'] },
  },
}

export class GuardedHost {
  readonly world: string
  readonly root: string
  readonly canary: string
  readonly pwned: string
  readonly #config: string
  readonly #state: string
  readonly #signed = new Map<string, TestRelease>()
  #daemon: Daemon | null = null
  #around = ''

  constructor(world: string, controllerUrl: string) {
    this.world = world
    this.root = join(world, 'host/shop')
    this.#state = join(world, 'host/state')
    this.canary = join(world, 'host/canary')
    this.pwned = join(world, 'host/pwned')
    this.#config = join(world, 'etc/agent.toml')
    for (const path of ['host/state', 'etc', 'other/shop/versions', 'home/.ssh']) {
      mkdirSync(join(world, path), { recursive: true })
    }
    writeFileSync(join(world, 'home/.ssh/authorized_keys'), 'nobody\n')
    writeFileSync(join(world, 'other/shop/versions/file'), 'of another app\n')
    writeFileSync(join(world, 'etc/trust.json'), JSON.stringify(trust))
    chmodSync(join(world, 'etc/trust.json'), 0o644)
    const hooks = ['after-stage', 'before-activate', 'after-activate', 'on-rollback', 'on-failure']
    const tables = [...hooks.map((hook) => `hooks.${hook}`), 'once'].map((table) => {
      const script = `echo "${table} $LOCKSTEP_VERSION $(cat index)" >> ${this.canary}`
      return `[apps.shop.${table}]\nrun = ${JSON.stringify(['/bin/sh', '-c', script])}`
    })
    const lines = [
      `controller = "${controllerUrl}"`,
      'name = "web-1"',
      `state = "${this.#state}"`,
      `trust = "${join(world, 'etc/trust.json')}"`,
      '[apps.shop]',
      'environment = "production"',
      `root = "${this.root}"`,
      'keep = 50',
      ...tables,
      '',
    ]
    writeFileSync(this.#config, lines.join('\n'))
  }

  async start(): Promise<Daemon> {
    const identity = await Identity.open(join(this.#state, 'identity.json'))
    const apps = [{ app: 'shop', environment: 'production' }]
    if (identity.controller === null) {
      await identity.enrolled({ controller: controllerId, name: 'web-1', apps, pins: [] })
    }
    this.#around = this.#snapshot()
    this.#daemon = Daemon.start('web-1', ['agent', '--config', this.#config])
    return this.#daemon
  }

  get daemon(): Daemon {
    if (this.#daemon === null) throw new Error('the agent was not started')
    return this.#daemon
  }

  /** From here on what is in it may run here. */
  allow(release: TestRelease): void {
    this.#signed.set(release.version, release)
  }

  /** The version that `current` leads to; null for none. */
  get current(): string | null {
    const path = join(this.root, 'current')
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return null
    return readlinkSync(path).replace(/^versions\//, '')
  }

  canaryLines(): string[] {
    return existsSync(this.canary) ? readFileSync(this.canary, 'utf8').trim().split('\n') : []
  }

  /** Everything that an attack has brought about and must not; empty when it failed. */
  harm(): string[] {
    return [
      ...this.#harmInCurrent(),
      ...this.#harmInRoot(),
      ...this.canaryLines()
        .filter((line) => line.includes(evilMark) || !this.#signed.has(line.split(' ')[1] ?? ''))
        .map((line) => `a hook ran: ${line}`),
      ...(existsSync(this.pwned) ? ['a program of an unsigned release ran'] : []),
      ...this.#strangeProcesses().map((command) => `a process runs: ${command}`),
      ...(this.#snapshot() === this.#around ? [] : ['something outside the roots was changed']),
      ...(this.daemon.isOver ? [`the agent has ended:\n${this.daemon.tail()}`] : []),
    ]
  }

  #harmInCurrent(): string[] {
    const version = this.current
    if (version === null) return []
    const signed = this.#signed.get(version)
    if (signed === undefined) return [`current leads to ${version}, which nobody signed`]
    const top = join(this.root, 'current/')
    return filesBelow(top)
      .filter((path) => !signed.contents.has(sha256Of(readFileSync(join(top, path)))))
      .map((path) => `current/${path} was not signed`)
  }

  #harmInRoot(): string[] {
    const own = ['.lockstep', 'current', 'shared', 'versions']
    const strangers = readdirSync(this.root).filter((name) => !own.includes(name))
    return strangers.map((name) => `${name} is in the root`)
  }

  /** Of those that came of the agent. */
  #strangeProcesses(): string[] {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    return pids.flatMap((pid) => {
      const command = readProc(pid, 'cmdline').replaceAll('\0', ' ').trim()
      const [, version] = /LOCKSTEP_VERSION=([^\0]*)/.exec(readProc(pid, 'environ')) ?? []
      const isHere = readProc(pid, 'environ').includes(`LOCKSTEP_RELEASE_DIR=${this.root}/`)
      const isUnsigned = isHere && !this.#signed.has(version ?? '')
      const isProgram = command.includes(this.root) && command.includes('evil.sh')
      return isUnsigned || isProgram ? [command] : []
    })
  }

  /** All that is not the app's root, the agent's own state or written by the hooks of this host. */
  #snapshot(): string {
    const lines = readdirSync(this.world, { recursive: true, encoding: 'utf8' })
      .filter((path) => !/^host(?:\/|$)/.test(path))
      .toSorted()
      .map((path) => {
        const { mode, uid, gid, size, mtimeMs, ino } = lstatSync(join(this.world, path))
        const facts = [path, mode, uid, gid, ino]
        return lstatSync(join(this.world, path)).isDirectory()
          ? facts.join(' ')
          : [...facts, size, mtimeMs].join(' ')
      })
    const host = readdirSync(join(this.world, 'host')).filter((name) => name !== 'canary')
    return [...lines, ...host.filter((name) => !['shop', 'state'].includes(name))].join('\n')
  }
}

function filesBelow(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' }).filter((path) =>
    lstatSync(join(top, path)).isFile(),
  )
}

/** A process may be gone by now, or not be ours to look at. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
