// Reads what host-judgements.ts judges: systemd, polkit, the agent's service and user, the controller's
// clock, and which processes work where. Only looks.

import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { seen } from './disk-facts.ts'
import type { ClockFacts, LingeringProcess, ProcessFacts, ServiceFacts } from './host-judgements.ts'
import type { Machine } from './machine.ts'
import type { AgentUser } from './root-judgements.ts'
import type { AppLayout } from '../layout/app-layout.ts'
import type { ControllerChannel } from '../link/controller-channel.ts'
import { exchange } from '../link/json-request.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'

const unit = 'lockstep-agent.service'

/** The first line that a program prints; null where there is no such program. */
export async function firstLineOf(
  { run }: Machine,
  program: string,
  args: readonly string[],
): Promise<string | null> {
  const { exitCode, stdout } = await run(program, args)
  return exitCode === 0 ? (stdout.split('\n')[0] ?? null) : null
}

/** The sockets by which the agent asks for units where polkit cannot grant it; those that listen. */
export async function countUnitSockets({ run }: Machine): Promise<number> {
  const pattern = 'lockstep-ask-*.socket'
  const args = ['list-units', '--plain', '--no-legend', '--type=socket', '--state=active', pattern]
  const { exitCode, stdout } = await run('systemctl', args)
  return exitCode === 0 ? stdout.split('\n').filter(Boolean).length : 0
}

export interface AgentService extends ServiceFacts {
  /** Empty where the unit names none: root. */
  readonly user: string
  /** What the sandbox opens; null where it closes nothing. */
  readonly writablePaths: readonly string[] | null
}

/** Null where systemd does not answer. */
export async function readService({ run }: Machine): Promise<AgentService | null> {
  const names = 'LoadState,ActiveState,StatusText,User,ProtectSystem,ReadWritePaths,BindPaths'
  const { exitCode, stdout } = await run('systemctl', ['show', unit, `--property=${names}`])
  if (exitCode !== 0) return null
  const facts = new Map(
    stdout.split('\n').map((line) => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)]
    }),
  )
  const get = (name: string) => facts.get(name) ?? ''
  const paths = [...pathsOf(get('ReadWritePaths')), ...pathsOf(get('BindPaths'))]
  return {
    loadState: get('LoadState'),
    activeState: get('ActiveState'),
    status: get('StatusText'),
    user: get('User'),
    writablePaths: get('ProtectSystem') === 'strict' ? paths : null,
  }
}

/** Whom the agent runs as: the service's user where it is installed, otherwise who asks. */
export async function readUser(
  service: AgentService | null,
  { run }: Machine,
): Promise<AgentUser | null> {
  const isInstalled = service !== null && service.loadState === 'loaded'
  const name = isInstalled ? service.user || 'root' : null
  const words = name === null ? [] : [name]
  const ids = await Promise.all(['-un', '-u', '-G'].map((flag) => run('id', [flag, ...words])))
  if (ids.some(({ exitCode }) => exitCode !== 0)) return null
  const [own = '', uid = '', gids = ''] = ids.map(({ stdout }) => stdout.trim())
  return { name: own, uid: Number(uid), gids: gids.split(' ').map(Number) }
}

/**
 * By the Date of an answer, which has whole seconds (RFC 9110, 6.6.1).
 * @returns why there was no answer, where there was none
 */
export async function readClock(
  channel: ControllerChannel,
  now: () => number,
): Promise<ClockFacts | { unreachable: LockstepError }> {
  try {
    const startedAt = now()
    const { headers } = await exchange(channel, { method: 'GET', path: '/healthz' })
    const endedAt = now()
    const date = Date.parse(headers.date ?? '')
    if (Number.isNaN(date)) throw noTime(channel.url)
    return {
      offsetMs: date + 500 - (startedAt + endedAt) / 2,
      errorMs: 500 + (endedAt - startedAt) / 2,
    }
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return { unreachable: error }
  }
}

function noTime(url: string): LockstepError {
  return new LockstepError('unreachable', `what answers at ${url} says no time`, {
    hint: 'Look at `controller` in agent.toml.',
  })
}

/** proc_pid_cwd(5): of processes of others only root may know it. */
export async function readProcesses(layout: AppLayout, { procfs }: Machine): Promise<ProcessFacts> {
  const versions = await seen(() => realpath(layout.versions))
  if (versions === null) return { lingering: [], unseen: 0 }
  const current = await seen(() => realpath(layout.current))
  const lingering: LingeringProcess[] = []
  let unseen = 0
  for (const pid of await readdir(procfs)) {
    if (!/^[0-9]+$/.test(pid)) continue
    const directory = await workingDirectory(join(procfs, pid, 'cwd'))
    if (directory === 'closed') unseen += 1
    const version = versionIn(directory, versions)
    if (version === null || current === join(versions, version)) continue
    lingering.push({ ...(await processAt(procfs, pid)), version })
  }
  return { lingering, unseen }
}

/** Empty for who has none any more: a process that ended and was not waited for. */
async function workingDirectory(link: string): Promise<string> {
  try {
    return await readlink(link)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'EACCES' || code === 'EPERM') return 'closed'
    if (code === 'ENOENT' || code === 'ESRCH') return ''
    throw error
  }
}

/** `(deleted)` is added where the directory has gone. */
function versionIn(directory: string, versions: string): string | null {
  if (!directory.startsWith(`${versions}/`)) return null
  const [name = ''] = directory.slice(versions.length + 1).split('/')
  return name.replace(/ \(deleted\)$/, '')
}

async function processAt(procfs: string, pid: string): Promise<Omit<LingeringProcess, 'version'>> {
  const name = (await seen(() => readFile(join(procfs, pid, 'comm'), 'utf8'))) ?? ''
  const groups = (await seen(() => readFile(join(procfs, pid, 'cgroup'), 'utf8'))) ?? ''
  // cgroups(7): `0::/system.slice/shop.service`, perhaps with groups of the unit's own below it.
  const service = /\/([^/\n]+\.service)(?:\/|$)/m.exec(groups)?.[1] ?? null
  return { pid: Number(pid), name: name.trim(), unit: service }
}

/** As `systemctl show` prints paths: quoted where need be, `-` before what may be missing. */
function pathsOf(value: string): string[] {
  const words = value.match(/"(?:\\.|[^"\\])*"|\S+/g) ?? []
  return words
    .map((word) => word.replaceAll(/^"|"$/g, '').replaceAll(/\\(.)/g, '$1'))
    .map((word) => word.replace(/^[-+]+/, '').replace(/:.*$/, ''))
}
