// How far a stage is: counts bytes that stand on the disk proven, and tells so now and then.

export type StagePhase = 'preparing' | 'reusing' | 'fetching' | 'finishing'

export interface StageProgress {
  readonly phase: StagePhase
  /** Bytes of files that are on the disk and proven. */
  readonly bytes: number
  readonly bytesTotal: number
}

/** More often is of no use to anybody who watches. */
const tellEveryMs = 100

export class ProgressMeter {
  readonly #tell: (progress: StageProgress) => void
  #phase: StagePhase = 'preparing'
  #bytes = 0
  #bytesTotal = 0
  #toldMs = 0

  constructor(tell: (progress: StageProgress) => void) {
    this.#tell = tell
  }

  expect(bytesTotal: number): void {
    this.#bytesTotal = bytesTotal
  }

  enter(phase: StagePhase): void {
    this.#phase = phase
    this.#send()
  }

  add(bytes: number): void {
    this.#bytes += bytes
    if (performance.now() - this.#toldMs >= tellEveryMs) this.#send()
  }

  #send(): void {
    this.#toldMs = performance.now()
    this.#tell({ phase: this.#phase, bytes: this.#bytes, bytesTotal: this.#bytesTotal })
  }
}
