// Runs one configured hook for one release, as a program or as a unit, and says how it ended.
// docs/configuration.md, "Hooks".

import { createHash, randomBytes } from 'node:crypto'
import type { StepOutcome } from '#shared/activation/events.ts'
import type { Clock } from '#shared/clock.ts'
import type { ErrorCode } from '#shared/errors.ts'
import type { Fence } from '#shared/fence.ts'
import { unitInstance } from '#shared/unit-instance.ts'
import type { Systemctl } from '../adapters/systemctl.ts'
import type { HookConfig, HookName, ProgramCommand } from '../config-hooks.ts'
import { type AppLayout, versionPath } from '../layout/app-layout.ts'
import type { HookScene } from '../runtime/ports.ts'
import { hookEnvironment } from './hook-environment.ts'
import { OutputBatch, type OutputText } from './output-batch.ts'
import { OutputLines } from './output-lines.ts'
import { findProgram } from './program-file.ts'
import { type ProcessEnd, runProcess } from './run-process.ts'
import { readSecrets } from './secrets.ts'
import { runUnit } from './run-unit.ts'

export interface HookOutput extends OutputText {
  readonly hook: Exclude<HookLabel, 'health'>
  readonly fence: Fence
}

/** `health` is the command of a probe. */
export type HookLabel = HookName | 'once' | 'health'

export interface HookPorts {
  readonly app: string
  readonly environment: string
  readonly layout: AppLayout
  readonly clock: Clock
  readonly systemctl: Systemctl
  /** The agent's own environment, of which hooks get a part. */
  readonly ownEnvironment: Readonly<Record<string, string | undefined>>
  /** Files of the app whose secrets are kept out of what hooks say. */
  readonly secretFiles: readonly string[]
  /** The control group below which each run gets its own; null: none. */
  readonly controlGroupParent: string | null
  readonly onOutput: (output: HookOutput) => void
}

export interface HookOptions {
  readonly signal?: AbortSignal | undefined
  /** See `ProcessRequest`. */
  readonly leaveTo?: AbortSignal | undefined
}

/** How a hook failed, before it has a code. */
interface Flaw {
  readonly kind: 'failed' | 'timed-out'
  readonly reason: string
}

export class HookRunner {
  readonly #ports: HookPorts
  /** Of this app's root, which no other agent has. */
  readonly #place: string

  constructor(ports: HookPorts) {
    this.#ports = ports
    this.#place = createHash('sha256').update(ports.layout.root).digest('hex').slice(0, 16)
  }

  /** Never rejects for what the hook does. */
  async run(
    hook: HookLabel,
    config: HookConfig,
    scene: HookScene,
    options: HookOptions = {},
  ): Promise<StepOutcome> {
    const flaw =
      config.command.kind === 'run'
        ? await this.#runProgram(hook, config.command, config.timeoutMs, scene, options)
        : await this.#runUnit(config.command.template, config.timeoutMs, scene, options)
    if (flaw === null) return { kind: 'done' }
    const code: ErrorCode =
      hook === 'once' ? 'once-failed' : flaw.kind === 'failed' ? 'hook-failed' : 'hook-timeout'
    const where = config.command.kind === 'run' ? 'the agent’s log' : '`journalctl -u` of the unit'
    const hint = `See ${where} on the host; [apps.${this.#ports.app}] says what runs.`
    return { kind: 'failed', failure: { code, message: `${hook}: ${flaw.reason}`, hint } }
  }

  /**
   * The same for every run of the once hook under one fence, so that an agent that starts anew finds
   * what is left of it; it names the app's root, since agents may share a machine.
   */
  markOf(hook: HookLabel, { term, epoch }: Fence): string {
    const mark = `${this.#place}-${hook}-${term}.${epoch}`
    return hook === 'once' ? mark : `${mark}-${randomBytes(6).toString('hex')}`
  }

  /** Of a hook that an earlier process of this app's agent started, and that may be begun again. */
  isLeftover(mark: string): boolean {
    return mark.startsWith(`${this.#place}-`) && !mark.startsWith(`${this.#place}-once-`)
  }

  async #runProgram(
    hook: HookLabel,
    command: ProgramCommand,
    timeoutMs: number,
    scene: HookScene,
    options: HookOptions,
  ): Promise<Flaw | null> {
    const { app, environment, layout, clock } = this.#ports
    const releaseDirectory = versionPath(layout, scene.release.version)
    const stage = { app, environment, releaseDirectory, scene }
    const environ = hookEnvironment(stage, this.#ports.ownEnvironment)
    const program = findProgram(command.program, releaseDirectory, environ['PATH'] ?? '')
    if (program.kind === 'refused') return { kind: 'failed', reason: program.reason }
    const batch = new OutputBatch(clock, (text) => {
      // A probe's words would drown all others: those of the last one are in the reason.
      if (hook !== 'health') this.#ports.onOutput({ hook, fence: scene.fence, ...text })
    })
    const lines = new OutputLines((line) => batch.add(line), readSecrets(this.#ports.secretFiles))
    const end = await runProcess({
      file: program.file,
      args: command.args,
      directory: releaseDirectory,
      environment: environ,
      mark: this.markOf(hook, scene.fence),
      timeoutMs,
      controlGroupParent: this.#ports.controlGroupParent,
      clock,
      ...options,
      onOutput: (stream, bytes) => {
        lines.push(stream, bytes)
        return lines.isFull ? 'enough' : 'more'
      },
    })
    lines.end()
    const remark = remarkOf(end)
    if (remark !== null) batch.add({ stream: 'err', text: remark, truncated: false })
    batch.flush()
    return flawOf(end, { program: command.program, timeoutMs, lastText: lines.lastText })
  }

  async #runUnit(
    template: string,
    timeoutMs: number,
    scene: HookScene,
    { signal, leaveTo }: HookOptions,
  ): Promise<Flaw | null> {
    const { app, clock, systemctl } = this.#ports
    const unit = unitInstance(template, app, scene.release.version)
    const end = await runUnit({ unit, timeoutMs, signal, leaveTo, clock, systemctl })
    switch (end.kind) {
      case 'done':
        return null
      case 'failed':
        return { kind: 'failed', reason: `${unit}: ${end.reason}` }
      case 'timed-out':
        return { kind: 'timed-out', reason: `${unit} was stopped after ${timeoutMs / 1000} s` }
      case 'aborted':
        return { kind: 'failed', reason: `${unit} was stopped: nobody waits for it any more` }
    }
  }
}

function remarkOf({ outcome, killed, stuck }: ProcessEnd): string | null {
  if (stuck > 0) return `(${processes(stuck)} could not be ended and hang in the kernel)`
  if (outcome.kind !== 'exited' || killed === 0) return null
  return `(${processes(killed)} that it left running ended: what has to stay is a unit's to start)`
}

function processes(count: number): string {
  return count === 1 ? 'one process' : `${count} processes`
}

function flawOf(
  { outcome }: ProcessEnd,
  { program, timeoutMs, lastText }: { program: string; timeoutMs: number; lastText: string },
): Flaw | null {
  const said = lastText === '' ? '' : `; its last words: ${lastText.slice(0, 300)}`
  switch (outcome.kind) {
    case 'exited':
      if (outcome.code === 0) return null
      return { kind: 'failed', reason: `${program} exited with ${outcome.code}${said}` }
    case 'signalled':
      return { kind: 'failed', reason: `${program} was ended by ${outcome.signal}${said}` }
    case 'timed-out':
      return {
        kind: 'timed-out',
        reason: `${program} was killed after ${timeoutMs / 1000} s${said}`,
      }
    case 'aborted':
      return { kind: 'failed', reason: `${program} was killed: nobody waits for it any more` }
    case 'unstartable':
      return { kind: 'failed', reason: `${program} could not be started (${outcome.reason})` }
  }
}
