// The deep attest on a timer: once a day every file of what runs is hashed anew. What it finds is
// distrusted, so that the next quick attest says so and the release is repaired or reported.

import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { AppLayout } from '../layout/app-layout.ts'
import { observeCurrent } from '../layout/current-link.ts'
import { deepAttest } from './attest-version.ts'
import type { Attest } from './quick-attest.ts'
import { distrust } from './record.ts'

export interface RegularDeepAttestPorts {
  readonly layout: AppLayout
  readonly clock: Clock
  /** In [0, 1): hosts that start together do not read their disks together. */
  readonly random: () => number
  readonly onDrift: (attest: Attest) => void
  readonly onProblem: (error: LockstepError) => void
  /** A look of the timer is over. */
  readonly onLooked: () => void
}

export class RegularDeepAttest {
  readonly #ports: RegularDeepAttestPorts
  readonly #stopping = new AbortController()
  #cancel: (() => void) | null = null

  constructor(ports: RegularDeepAttestPorts) {
    this.#ports = ports
    this.#later(ports.random() * limits.deepAttestEveryMs)
  }

  stop(): void {
    this.#stopping.abort()
    this.#cancel?.()
  }

  /** Looks now. Never rejects for what the disk says. */
  async look(): Promise<void> {
    const { layout, onDrift, onProblem } = this.#ports
    const { signal } = this.#stopping
    try {
      const current = observeCurrent(layout)
      if (current.kind !== 'release') return
      const { version } = current
      const attest = await deepAttest(layout, version, { signal, named: limits.entriesMax })
      if (attest.outcome === 'whole') return
      onDrift(attest)
      distrust(layout, version, new Set(attest.differences.map(({ path }) => path)))
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof LockstepError)) throw error
      onProblem(error)
    }
  }

  #later(inMs: number): void {
    const { clock, onLooked } = this.#ports
    this.#cancel = clock.timer(clock.now() + inMs, () => {
      void this.look().then(() => {
        if (!this.#stopping.signal.aborted) this.#later(limits.deepAttestEveryMs)
        onLooked()
      })
    })
  }
}
