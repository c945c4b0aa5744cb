// What was seen of a rollout while it was open: how far hosts were when it was given up, and what failed.
// An ended rollout shows its hosts as they are now, which is another story. Pure but for what it has seen.

import type { ParticipantView, RolloutView } from '#shared/api/schemas.ts'

export class RolloutWitness {
  #staging: RolloutView | undefined
  readonly #failures = new Map<string, ParticipantView['failure']>()

  see(view: RolloutView): void {
    if (view.phase === 'staging' || view.phase === 'preparing') this.#staging = view
    else if (view.exitCode === null) {
      for (const { host, failure } of view.participants) {
        if (failure !== null) this.#failures.set(host, failure)
      }
    }
  }

  /** Who was not ready when it was last looked at; empty where that was not seen. */
  get notReady(): readonly ParticipantView[] {
    const participants = this.#staging?.participants ?? []
    return participants.filter(({ state, phase }) => state === 'participating' && phase !== 'ready')
  }

  /** What the host reports now, or reported after the decision to swap. */
  failureOf({ host, failure }: ParticipantView): ParticipantView['failure'] {
    return failure ?? this.#failures.get(host) ?? null
  }
}
