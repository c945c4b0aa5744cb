// `lockstep doctor`: looks at this host and judges, one thing after another, what a swap depends on. Changes
// nothing; what cannot be looked at is said to be unknown.

import { join } from 'node:path'
import {
  isReadOnly,
  measureRelease,
  ownersAbove,
  ownersOf,
  readLayout,
  readMount,
  readSpace,
} from './disk-facts.ts'
import {
  type AgentService,
  countUnitSockets,
  firstLineOf,
  readClock,
  readProcesses,
  readService,
  readUser,
} from './host-facts.ts'
import {
  judgeClock,
  judgeCurrent,
  judgePolkit,
  judgeProcesses,
  judgeService,
  judgeSystemd,
} from './host-judgements.ts'
import { judgeInstalledFiles, readInstalledFiles } from './installed-files.ts'
import { type Machine, thisMachine } from './machine.ts'
import type { Directive } from './nginx-configuration.ts'
import { judgeNginx, passesRealPath, servedApp } from './nginx-judgement.ts'
import { judgePhp } from './php-judgement.ts'
import type { PhpSettings } from './php-settings.ts'
import {
  type AgentUser,
  judgeLayout,
  judgeMount,
  judgeRights,
  judgeSpace,
} from './root-judgements.ts'
import { judgeTrust } from './trust-judgement.ts'
import { readNginx, readPhp } from './web-facts.ts'
import { readAgentConfig } from '../config-file.ts'
import type { AgentConfig, AppConfig } from '../config.ts'
import { layoutOf } from '../layout/app-layout.ts'
import { observeCurrent } from '../layout/current-link.ts'
import { pinsIn } from '../link/identity.ts'
import { channelTo } from '../link/joining.ts'
import { TrustFile } from '../trust/trust-file.ts'
import { LockstepError } from '#shared/errors.ts'
import {
  type ExamineHost,
  fail,
  type Finding,
  type Judgement,
  ok,
  unknown,
} from '#shared/finding.ts'

/** What is read once and judged for each app. */
interface Surroundings {
  readonly machine: Machine
  readonly service: AgentService | null
  readonly user: AgentUser | null
  readonly trust: TrustFile
  readonly nginx: readonly Directive[] | null
  readonly php: readonly PhpSettings[]
}

export const examineHost: ExamineHost = ({ configFile }) => examine(configFile, thisMachine())

export async function examine(configFile: string, machine: Machine): Promise<Finding[]> {
  const config = readConfiguration(configFile)
  const service = await readService(machine)
  const findings: Finding[] = [
    ...ofHost('configuration', config.judgement),
    ...ofHost('systemd', judgeSystemd(await firstLineOf(machine, 'systemctl', ['--version']))),
    ...ofHost('service', judgeService(service)),
  ]
  if (config.read === null) return findings
  const polkit = await firstLineOf(machine, 'pkaction', ['--version'])
  const sockets = await countUnitSockets(machine)
  findings.push(...ofHost('polkit', judgePolkit(polkit, unitsOf(config.read), sockets)))
  const user = await readUser(service, machine)
  const { state, trust } = config.read
  const files = await readInstalledFiles(machine.top, { state, trust: trust.file })
  findings.push(...ofHost('files', judgeInstalledFiles(files, user)))
  findings.push(...(await findController(config.read)))
  const surroundings = {
    machine,
    service,
    user,
    trust: new TrustFile(trust, user?.uid ?? 0),
    nginx: await readNginx(machine),
    php: await readPhp(machine),
  }
  for (const app of config.read.apps) findings.push(...(await examineApp(app, surroundings)))
  return findings
}

function readConfiguration(file: string): { read: AgentConfig | null; judgement: Judgement } {
  try {
    const read = readAgentConfig(file)
    return { read, judgement: ok(`${file}, ${read.apps.map(({ app }) => app).join(', ')}`) }
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    const found = error.message.replaceAll(/\s*\n\s*/g, '; ')
    return { read: null, judgement: fail(found, error.hint ?? `Correct ${file}.`) }
  }
}

/** What the agent asks systemd to reload or to start. */
function unitsOf({ apps }: AgentConfig): string[] {
  const started = apps.flatMap(({ hooks, once }) =>
    [...Object.values(hooks), once].flatMap((hook) =>
      hook?.command.kind === 'unit' ? [hook.command.template] : [],
    ),
  )
  const changed = apps.flatMap(({ reload, restart }) => [...reload, ...restart])
  return [...new Set([...changed, ...started])]
}

async function findController(config: AgentConfig): Promise<Finding[]> {
  const { controller } = config
  const pins = await joinedPins(config)
  if (pins === null) {
    const remedy = 'Run `lockstep doctor` as root, or as the agent’s user.'
    return ofHost('controller', unknown('the agent’s identity cannot be read', remedy))
  }
  const clock = await readClock(
    channelTo(config, () => pins),
    Date.now,
  )
  if ('unreachable' in clock) {
    const { message, hint } = clock.unreachable
    const remedy =
      hint ?? 'Look at `controller` in agent.toml, at name resolution and the firewall.'
    return ofHost('controller', fail(message, remedy))
  }
  return [
    ...ofHost('controller', ok(`${controller} answers`)),
    ...ofHost('clock', judgeClock(clock)),
  ]
}

/** Null where it is not for this user to read. */
async function joinedPins({ state }: AgentConfig): Promise<readonly string[] | null> {
  try {
    return await pinsIn(join(state, 'identity.json'))
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return null
  }
}

async function examineApp(app: AppConfig, surroundings: Surroundings): Promise<Finding[]> {
  const { machine, nginx, trust } = surroundings
  const layout = layoutOf(app.root)
  const of = (check: Finding['check'], judgement: Judgement): Finding => ({
    check,
    app: app.app,
    ...judgement,
  })
  const devices = await readLayout(layout)
  const release = await measureRelease(layout)
  const served = nginx === null ? null : servedApp(nginx, app.root)
  const findings = [
    of('mount', judgeMount(await readMount(app.root, machine), await isReadOnly(app.root))),
    of('layout', devices === null ? notYet(app.root) : judgeLayout(devices)),
    of('space', judgeSpace(await readSpace(app.root, release))),
    of('rights', await judgeUser(app, surroundings)),
    of('trust', judgeTrust(trust.state(), trust.path, app.environment)),
    of(
      'current',
      seeCurrent(() => judgeCurrent(observeCurrent(layout))),
    ),
    of('processes', judgeProcesses(await readProcesses(layout, machine))),
  ]
  if (served !== null) findings.push(of('nginx', judgeNginx(served)))
  const phpFiles = release?.phpFiles ?? 0
  if (phpFiles === 0 && (served?.php.length ?? 0) === 0) return findings
  const facts = {
    phpFiles,
    passesRealPath: served === null || served.php.length === 0 ? null : passesRealPath(served),
    isReset: isReset(app),
  }
  return [
    ...findings,
    ...surroundings.php.map((settings) => of('php', judgePhp({ ...facts, settings }))),
  ]
}

async function judgeUser(app: AppConfig, { service, user }: Surroundings): Promise<Judgement> {
  if (user === null) {
    return unknown('the agent’s user could not be found', 'Look at `systemctl cat lockstep-agent`.')
  }
  return judgeRights({
    user,
    above: await ownersAbove(app.root),
    own: await ownersOf(layoutOf(app.root)),
    writablePaths: service?.loadState === 'loaded' ? service.writablePaths : null,
  })
}

/** A hook of the host's own may do it as well; what it does cannot be seen. */
function isReset({ opcache, reload, restart, hooks }: AppConfig): boolean {
  const reloadsPhp = [...reload, ...restart].some((unit) => /^php.*fpm/.test(unit))
  return opcache !== null || reloadsPhp || hooks['after-activate'] !== undefined
}

function seeCurrent(look: () => Judgement): Judgement {
  try {
    return look()
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return unknown(error.message, 'Run `lockstep doctor` as root, or as the agent’s user.')
  }
}

function notYet(root: string): Judgement {
  return ok(`${root} is not there yet; the agent makes it`)
}

function ofHost(check: Finding['check'], judgement: Judgement): Finding[] {
  return [{ check, app: null, ...judgement }]
}
