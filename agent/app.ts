// The agent put together: every adapter is built here and nowhere else.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { AuditHead } from '#shared/audit/audit-entry.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Failure } from '#shared/report.ts'
import { ownGroupId } from './adapters/group-id.ts'
import { monotonicClock } from './adapters/monotonic-clock.ts'
import { systemctl } from './adapters/systemctl.ts'
import { withUnitRequests } from './adapters/unit-request.ts'
import { askRootWhoUses } from './adapters/usage-unit.ts'
import { AppDisk } from './app-disk.ts'
import { anchorLogOf, diskLogOf, trustLogOf } from './app-log.ts'
import { AppStarts } from './app-starts.ts'
import { RegularDeepAttest } from './attest/regular-deep-attest.ts'
import type { AgentConfig, AppConfig } from './config.ts'
import { declaresOf } from './declares.ts'
import { AppJournal } from './journal/app-journal.ts'
import { checkFit } from './fit/check-fit.ts'
import { clearControlGroups, ownControlGroup } from './hooks/control-group.ts'
import { HostSteps } from './hooks/host-steps.ts'
import { layoutOf, versionPath } from './layout/app-layout.ts'
import type { ControllerChannel } from './link/controller-channel.ts'
import { AuditAnchors } from './link/audit-anchors.ts'
import { ControllerLink } from './link/controller-link.ts'
import { Identity } from './link/identity.ts'
import { channelTo, joinWhereDue } from './link/joining.ts'
import { AppRunner } from './runtime/app-runner.ts'
import { AppTrust } from './trust/app-trust.ts'
import { TrustFile } from './trust/trust-file.ts'
import type { ControllerClock, HostSteps as HostStepsPort } from './runtime/ports.ts'

export interface AgentOptions {
  config: AgentConfig
  version: string
  log: Logger
  /** Reads the join token; null when there is none. */
  joinToken: () => Promise<string | null>
  /** A line about how the agent is, for `systemctl status`. */
  onStatus: (text: string) => void
}

export interface Agent {
  stop(): void
  /** When the join token is not needed any more. */
  readonly joined: Promise<void>
  /** Ends when `stop` was called. */
  readonly ended: Promise<void>
}

const askSystemd = withUnitRequests(systemctl)

interface ServedApp {
  readonly config: AppConfig
  readonly runner: AppRunner
  readonly steps: HostSteps
  readonly deepAttest: RegularDeepAttest
}

/**
 * Opens the identity, enrols where that is due, starts every app that it can and connects; the others
 * follow when they can.
 * @throws LockstepError `bad-identity`; where no app can be served `bad-journal`, `disk-error`, and
 *   while enrolling `bad-join-token`, `join-not-allowed`, `name-taken` and what is retryable:
 *   `unreachable`, `busy`
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { config, log } = options
  const identity = await Identity.open(join(config.state, 'identity.json'))
  const apps = new Map<string, ServedApp>()
  const channel = channelTo(config, () => identity.pins)
  const link = new ControllerLink({
    channel,
    identity,
    agentVersion: options.version,
    instance: randomBytes(16).toString('hex'),
    apps: () =>
      [...apps.values()].map(({ config: { app, environment } }) => ({ app, environment })),
    labels: config.labels,
    clock: monotonicClock,
    random: Math.random,
    onOpened: (session) => {
      log.info({ session }, 'connected')
      options.onStatus(`connected to ${config.controller}`)
      for (const { runner } of apps.values()) runner.openSession(session)
    },
    onClosed: (session) => {
      for (const { runner } of apps.values()) runner.closeSession(session)
    },
    onDesired: (session, message) => {
      const { type: _, app, environment, ...desired } = message
      const there = apps.get(app)
      if (there?.config.environment === environment) there.runner.receive(session, desired)
    },
    onPins: (pins) => storePins(identity, pins, options),
    onAuditHead: anchorKeeperOf(options),
    onReportDue: () => {
      for (const { runner } of apps.values()) void runner.look()
    },
    onTrouble: (error, retryInMs) => {
      log.warn({ code: error.code, hint: error.hint, retryInMs }, error.message)
      options.onStatus(`not connected: ${error.message}`)
    },
  })
  let isStopped = false
  const starts = new AppStarts(config.apps, {
    clock: monotonicClock,
    random: Math.random,
    hasJoined: (app) => identity.isEnrolledFor(app),
    join: () => joinWith(identity, options),
    start: async (app) => {
      const steps = hostStepsOf(app, link, options)
      const runner = await startApp(app, steps, { link, channel }, options)
      apps.set(app.app, { config: app, steps, runner, deepAttest: deepAttestOf(app, options) })
      if (isStopped) stop()
    },
    onLate: () => link.renew(),
    onTrouble: (app, { code, hint, details, message }) => {
      log.error({ app: app?.app, environment: app?.environment, code, hint, details }, message)
    },
  })
  const stop = () => {
    isStopped = true
    starts.stop()
    link.stop()
    for (const app of apps.values()) stopApp(app)
  }
  clearControlGroups(ownControlGroup())
  try {
    await starts.begin()
  } catch (error) {
    // Nothing may be left that keeps the process from ending.
    stop()
    throw error
  }
  return { ended: link.run(), joined: starts.joined, stop }
}

function anchorKeeperOf({ config, log }: AgentOptions): (head: AuditHead) => void {
  const path = join(config.state, 'audit-anchors')
  const anchors = new AuditAnchors({ path, ...anchorLogOf(log) })
  return (head) => anchors.told(head)
}

function stopApp({ runner, steps, deepAttest }: ServedApp): void {
  runner.stop()
  steps.stop()
  deepAttest.stop()
}

async function joinWith(identity: Identity, options: AgentOptions): Promise<void> {
  const { config, joinToken, log } = options
  if (!(await joinWhereDue(identity, config, joinToken))) return
  log.info({ host: identity.host, name: config.name }, 'enrolled')
}

/** What the host's owner configured stays as it is; what cannot be stored is told again. */
async function storePins(
  identity: Identity,
  pins: readonly string[],
  { config, log }: AgentOptions,
): Promise<readonly string[]> {
  try {
    if (config.pins.length === 0) await identity.learnPins(pins)
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    log.warn({ code: error.code, err: error }, 'the controller\u2019s pins could not be stored')
  }
  return identity.pins
}

async function startApp(
  app: AppConfig,
  steps: HostSteps,
  { link, channel }: { link: ControllerLink; channel: ControllerChannel },
  options: AgentOptions,
) {
  await steps.endLeftovers()
  const log = options.log.child({ app: app.app })
  const layout = layoutOf(app.root)
  const journal = new AppJournal(layout.journal, app.environment)
  const saved = await journal.load()
  const unfinished = [saved.told?.stage, saved.told?.run.release]
  const trust = await openTrust(app, layout.trust, log, options)
  const groupId = app.group === null ? null : await ownGroupId(app.app, app.group)
  const disk = await AppDisk.open(
    layout,
    app,
    {
      ...contentSourceOf(options.config, channel),
      contentToken: () => link.contentToken,
      clock: monotonicClock,
      groupId,
      trust,
      whoUses: askRootWhoUses({ app: app.app, systemctl: askSystemd }),
      ...diskLogOf(log),
    },
    unfinished.flatMap((release) => (release ? [release.tree] : [])),
  )
  return AppRunner.start(
    {
      journal,
      disk,
      ...portOf(steps),
      declares: declaresOf(app),
      drift: app.drift,
      clock: monotonicClock,
      controllerClock: controllerClockOf(link),
      random: Math.random,
      report: (observed) => {
        const { app: name, environment } = app
        link.send({
          type: 'observed',
          app: name,
          environment,
          seq: link.nextSeq(),
          clock: clockReportOf(link),
          ...observed,
          failure: observed.failure === null ? null : fitting(observed.failure),
          trust: trust.sight(),
        })
      },
      onConflict: (held, heard) =>
        log.error({ held, heard, code: 'fence-conflict' }, 'two decisions'),
      onUnsaved: (error) => log.error({ err: error }, 'the journal could not be saved'),
      onSwapped: (activation) => log.info({ ...activation }, 'swapped'),
    },
    {
      journal: saved,
      disk: {
        current: await disk.observeCurrent(),
        held: disk.held(),
        hold: await disk.observeHold(),
      },
      serving: existsSync(layout.serving),
    },
  )
}

function contentSourceOf({ redirects }: AgentConfig, channel: ControllerChannel) {
  return { controllerUrl: channel.url, redirects, tls: () => channel.trust }
}

function openTrust(
  { app, environment }: AppConfig,
  record: string,
  log: Logger,
  { config }: AgentOptions,
): Promise<AppTrust> {
  return AppTrust.open({
    app,
    environment,
    file: new TrustFile(config.trust, process.getuid?.() ?? 0),
    record,
    now: Date.now,
    ...trustLogOf(log, config.trust.file),
  })
}

function deepAttestOf(app: AppConfig, options: AgentOptions): RegularDeepAttest {
  const log = options.log.child({ app: app.app })
  return new RegularDeepAttest({
    layout: layoutOf(app.root),
    clock: monotonicClock,
    random: Math.random,
    onDrift: (attest) => log.warn({ ...attest }, 'drifted'),
    onProblem: (error) => log.warn({ code: error.code, err: error }, 'the regular deep attest'),
    onLooked: () => log.debug('every file of what runs was hashed'),
  })
}

function hostStepsOf(app: AppConfig, link: ControllerLink, options: AgentOptions): HostSteps {
  const log = options.log.child({ app: app.app })
  const layout = layoutOf(app.root)
  return new HostSteps(app, {
    app: app.app,
    environment: app.environment,
    layout,
    clock: monotonicClock,
    systemctl: askSystemd,
    ownEnvironment: process.env,
    secretFiles: app.shared.flatMap(({ path, type }) =>
      type === 'file' ? [join(layout.shared, path)] : [],
    ),
    controlGroupParent: ownControlGroup(),
    checkFit: ({ release }, signal) =>
      checkFit(versionPath(layout, release.version), app, { signal }),
    onOutput: (output) => {
      log.info({ hook: output.hook, stream: output.stream }, output.text)
      link.send({ type: 'log', app: app.app, environment: app.environment, ...output })
    },
    onIgnored: ({ code, message, hint }) => log.warn({ code, hint }, message),
  })
}

/** The port's members, bound to their object. */
function portOf(steps: HostSteps): HostStepsPort {
  return {
    preflight: (scene, how) => steps.preflight(scene, how),
    beforeActivate: (scene, how) => steps.beforeActivate(scene, how),
    steps: (scene, how) => steps.steps(scene, how),
    onFailure: (scene, failure) => steps.onFailure(scene, failure),
    probe: (scene, how) => steps.probe(scene, how),
    runOnce: (scene) => steps.runOnce(scene),
    onceGone: (fence) => steps.onceGone(fence),
  }
}

/** A message that were over its limit would be refused, and so would every one after it. */
function fitting({ code, message, hint }: Failure): Failure {
  const cut = (text: string) => text.slice(0, limits.messageTextCharsMax)
  return { code, message: cut(message), ...(hint === undefined ? {} : { hint: cut(hint) }) }
}

function clockReportOf({ offset }: ControllerLink) {
  return offset === null ? null : { roundTripMs: offset.roundTripMs, errorMs: offset.errorMs }
}

function controllerClockOf(link: ControllerLink): ControllerClock {
  return {
    toController: (at) => {
      const { offset } = link
      return offset === null ? null : { at: at + offset.offsetMs, errorMs: offset.errorMs }
    },
    toLocal: (controllerAt) => {
      const { offset } = link
      return offset === null
        ? null
        : { at: controllerAt - offset.offsetMs, errorMs: offset.errorMs }
    },
  }
}

/** Removes a join token that was laid into the state directory for this one use. */
export async function discardJoinToken(file: string, stateDirectory: string): Promise<void> {
  if (file.startsWith(`${stateDirectory}/`)) await rm(file, { force: true })
}
