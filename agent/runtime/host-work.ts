// The host's own work that is under way for one app: hooks, reload steps, probes and the once run.
// Starts and stops what the machine asks for; what it comes to goes back as an event.

import type { ActivationEvent, EffectOf, StepOutcome } from '#shared/activation/events.ts'
import type { TrialKind } from '#shared/activation/state.ts'
import type { HookScene, HostSteps } from './ports.ts'

export class HostWork {
  readonly #steps: HostSteps
  readonly #tell: (event: ActivationEvent) => void
  #reloading: AbortController | null = null
  #trying: AbortController | null = null

  constructor(steps: HostSteps, tell: (event: ActivationEvent) => void) {
    this.#steps = steps
    this.#tell = tell
  }

  reload(effect: EffectOf<'reload'>): void {
    const { type: _, ...scene } = effect
    const reloading = new AbortController()
    this.#reloading = reloading
    this.#run(async () => {
      const outcome = await this.#steps.steps(scene, { signal: reloading.signal })
      this.#reloading = null
      this.#tell({ type: 'reload-ended', fence: scene.fence, outcome })
    })
  }

  stopReload(): void {
    this.#reloading?.abort()
  }

  preflight(effect: EffectOf<'preflight'>): void {
    const { runHook } = effect
    this.#try('preflight', effect, (scene, signal) =>
      this.#steps.preflight(scene, { signal, runHook }),
    )
  }

  beforeActivate(effect: EffectOf<'before-activate'>): void {
    this.#try('before-activate', effect, (scene, signal) =>
      this.#steps.beforeActivate(scene, { signal }),
    )
  }

  probe(effect: EffectOf<'probe'>): void {
    const { mode } = effect
    this.#try('gate', effect, (scene, signal) => this.#steps.probe(scene, { mode, signal }))
  }

  stopTrial(): void {
    this.#trying?.abort()
  }

  runOnce(effect: EffectOf<'run-once'>): void {
    this.#run(async () => {
      const outcome = await this.#steps.runOnce(sceneOf(effect))
      this.#tell({ type: 'once-ended', fence: effect.fence, outcome })
    })
  }

  awaitOnce({ fence }: EffectOf<'await-once'>): void {
    this.#run(async () => {
      await this.#steps.onceGone(fence)
      this.#tell({ type: 'once-gone', fence })
    })
  }

  tellFailure(effect: EffectOf<'tell-failure'>): void {
    this.#steps.onFailure(sceneOf(effect), effect.failure)
  }

  /** Everything but the once run, which only its own time ends. */
  stop(): void {
    this.stopReload()
    this.stopTrial()
  }

  #try(
    trial: TrialKind,
    effect: HookScene,
    start: (scene: HookScene, signal: AbortSignal) => Promise<StepOutcome>,
  ): void {
    const trying = new AbortController()
    this.#trying = trying
    this.#run(async () => {
      const { fence, release } = effect
      const outcome = await start(sceneOf(effect), trying.signal)
      this.#trying = null
      this.#tell({ type: 'trial-ended', trial, fence, release, outcome })
    })
  }

  /** A rejection here is a fault of the program: it is left to end the process. */
  #run(work: () => Promise<void>): void {
    void work()
  }
}

function sceneOf({ fence, release, previous }: HookScene): HookScene {
  return { fence, release, previous }
}
