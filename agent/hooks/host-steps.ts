// What one app's configuration makes of a rollout on this host, in its order: hooks, steps after a
// swap, the health gate, the once run. Implements the port that the app's runner knows.

import type { StepOutcome } from '#shared/activation/events.ts'
import type { Fence } from '#shared/fence.ts'
import { limits } from '#shared/limits.ts'
import type { Failure } from '#shared/report.ts'
import { instancesBeginning } from '#shared/unit-instance.ts'
import { changeUnits } from '../adapters/reload-units.ts'
import type { AppConfig } from '../config.ts'
import type { HealthConfig } from '../config-health.ts'
import type { HookName } from '../config-hooks.ts'
import { passGate, type Probe } from '../health/health-gate.ts'
import { probeTcp, probeUrl } from '../health/probe.ts'
import type { HookScene, HostSteps as HostStepsPort, StepsScene } from '../runtime/ports.ts'
import { ControlGroup } from './control-group.ts'
import { type HookPorts, HookRunner } from './hook-runner.ts'
import { resetOpcache } from './opcache-reset.ts'
import { ProcessTree } from './process-tree.ts'
import { endUnit, runningUnits } from './run-unit.ts'

export type HostStepsConfig = Pick<
  AppConfig,
  'reload' | 'restart' | 'opcache' | 'hooks' | 'once' | 'health'
>

export interface HostStepsPorts extends HookPorts {
  /** Whether host and release fit. Never rejects. */
  readonly checkFit: (scene: HookScene, signal: AbortSignal) => Promise<StepOutcome>
  /** A hook whose failure changes nothing has failed. */
  readonly onIgnored: (failure: Failure) => void
}

type Options = Readonly<{ signal: AbortSignal }>

const done: StepOutcome = { kind: 'done' }

export class HostSteps implements HostStepsPort {
  readonly #config: HostStepsConfig
  readonly #ports: HostStepsPorts
  readonly #runner: HookRunner
  readonly #stopping = new AbortController()

  constructor(config: HostStepsConfig, ports: HostStepsPorts) {
    this.#config = config
    this.#ports = ports
    this.#runner = new HookRunner(ports)
  }

  /**
   * Ends what runs, as an abort does, but for a once run: that is left to itself, and found again by
   * the next start.
   */
  stop(): void {
    this.#stopping.abort()
  }

  /**
   * Ends what an agent that was killed left running, before any of it is begun again; but for a once
   * run, which nothing ends but its own time.
   */
  async endLeftovers(): Promise<void> {
    const tree = new ProcessTree((mark) => this.#runner.isLeftover(mark), null, null)
    await tree.end(this.#ports.clock)
  }

  async preflight(
    scene: HookScene,
    { signal, runHook }: Options & { runHook: boolean },
  ): Promise<StepOutcome> {
    const fit = await this.#ports.checkFit(scene, this.#until(signal))
    return fit.kind === 'failed' || !runHook ? fit : this.#hook('after-stage', scene, signal)
  }

  beforeActivate(scene: HookScene, { signal }: Options): Promise<StepOutcome> {
    return this.#hook('before-activate', scene, signal)
  }

  async steps(scene: StepsScene, { signal }: Options): Promise<StepOutcome> {
    const { reload, restart, opcache } = this.#config
    const { layout, clock, systemctl } = this.#ports
    const until = this.#until(signal)
    const reloaded = await changeUnits('reload', reload, systemctl, until)
    if (reloaded.kind === 'failed') return reloaded
    const restarted = await changeUnits('restart', restart, systemctl, until)
    if (restarted.kind === 'failed') return restarted
    if (opcache !== null) {
      const reset = await resetOpcache({ socket: opcache, layout, clock, signal: until })
      if (reset.kind === 'failed') return reset
    }
    const { release } = scene
    // Back on a link that is none of ours, there is no release that a hook could be run for.
    if (release === null) return done
    const activated = await this.#hook('after-activate', { ...scene, release }, signal)
    if (activated.kind === 'failed' || !scene.rollingBack) return activated
    return this.#hook('on-rollback', { ...scene, release }, signal)
  }

  onFailure(scene: HookScene, _failure: Failure): void {
    void this.#hook('on-failure', scene, this.#stopping.signal).then((outcome) => {
      if (outcome.kind === 'failed') this.#ports.onIgnored(outcome.failure)
    })
  }

  async probe(
    scene: HookScene,
    { mode, signal }: Options & { mode: 'whole' | 'confirm' },
  ): Promise<StepOutcome> {
    const { health } = this.#config
    if (health === null) return done
    const { clock } = this.#ports
    const probe = this.#probeOf(health, scene)
    return passGate({ health, mode, probe, clock, signal: this.#until(signal) })
  }

  async runOnce(scene: HookScene): Promise<StepOutcome> {
    const { once } = this.#config
    if (once === null) {
      const message = 'once: the host’s configuration has no once hook any more'
      return { kind: 'failed', failure: { code: 'once-failed', message } }
    }
    return this.#runner.run('once', once, scene, { leaveTo: this.#stopping.signal })
  }

  /** Its time began in an earlier process: it gets the whole of it once more, and then an end. */
  async onceGone(fence: Fence): Promise<void> {
    const { once } = this.#config
    const { clock, controlGroupParent } = this.#ports
    const mark = this.#runner.markOf('once', fence)
    const controlGroup = ControlGroup.existing(controlGroupParent, mark)
    const tree = new ProcessTree((found) => found === mark, null, controlGroup)
    const endAt = clock.now() + (once?.timeoutMs ?? limits.onceDeadlineMs)
    for (;;) {
      const units = await this.#onceUnits()
      if (units?.length === 0 && (await tree.members()).length === 0) break
      if (clock.now() >= endAt) {
        await tree.end(clock)
        for (const unit of units ?? []) await endUnit(unit, this.#ports.systemctl)
      }
      await this.#pause(limits.onceSweepEveryMs)
    }
    controlGroup?.remove()
  }

  /** Those of it that run; null when systemd does not say. */
  async #onceUnits(): Promise<readonly string[] | null> {
    const { once } = this.#config
    const { app, systemctl } = this.#ports
    if (once?.command.kind !== 'unit') return []
    return runningUnits(instancesBeginning(once.command.template, app), systemctl)
  }

  /** After a stop it never ends: nothing is to be said any more, and nothing keeps the process. */
  async #pause(durationMs: number): Promise<void> {
    const { clock } = this.#ports
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#stopping.signal.aborted) return promise
    const cancel = clock.timer(clock.now() + durationMs, resolve)
    this.#stopping.signal.addEventListener('abort', cancel, { once: true })
    await promise
    this.#stopping.signal.removeEventListener('abort', cancel)
  }

  async #hook(name: HookName, scene: HookScene, signal: AbortSignal): Promise<StepOutcome> {
    const hook = this.#config.hooks[name]
    if (hook === undefined) return done
    return this.#runner.run(name, hook, scene, { signal: this.#until(signal) })
  }

  #probeOf({ target, timeoutMs }: HealthConfig, scene: HookScene): Probe {
    if (target.kind === 'url') return (signal) => probeUrl(target, signal)
    if (target.kind === 'tcp') return (signal) => probeTcp(target, signal)
    const config = { command: target, timeoutMs }
    return async (signal) => {
      const outcome = await this.#runner.run('health', config, scene, { signal })
      return outcome.kind === 'done'
        ? { kind: 'passed' }
        : { kind: 'failed', reason: outcome.failure.message }
    }
  }

  #until(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#stopping.signal])
  }
}
