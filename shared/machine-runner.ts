// Runs one machine: one event at a time, saved before anything acts on it. The daemons and the
// simulator use this same loop; clock, disk and network are the ports that it is given.

/** A step of any machine: the next state and whatever else its transition gives. */
export interface MachineStep<State> {
  readonly state: State
}

export interface MachinePorts<State, Event, Step extends MachineStep<State>> {
  transition: (state: State, event: Event) => Step
  /** Makes the step durable, or throws and leaves what was durable before. */
  save: (step: Step, before: State, event: Event) => Promise<void>
  /** Starts the effects; long work goes on by itself and comes back as an event. */
  perform: (step: Step) => void
  /** The event did not happen: it could not be saved. */
  onUnsaved: (event: Event, error: unknown) => void
}

export class MachineRunner<State, Event, Step extends MachineStep<State>> {
  #state: State
  readonly #ports: MachinePorts<State, Event, Step>
  readonly #queue: Event[] = []
  #draining: Promise<void> | null = null
  #stopped = false

  constructor(state: State, ports: MachinePorts<State, Event, Step>) {
    this.#state = state
    this.#ports = ports
  }

  /** The last state that is durable. */
  get state(): State {
    return this.#state
  }

  enqueue(event: Event): void {
    if (this.#stopped) return
    this.#queue.push(event)
    this.#draining ??= this.#drain()
  }

  /** Resolves when every event that was enqueued so far has been handled. */
  async idle(): Promise<void> {
    while (this.#draining !== null) await this.#draining
  }

  /** No further event is handled; one whose save is under way is finished, without effects. */
  stop(): void {
    this.#stopped = true
    this.#queue.length = 0
  }

  async #drain(): Promise<void> {
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      await this.#handle(event)
    }
    this.#draining = null
  }

  async #handle(event: Event): Promise<void> {
    const before = this.#state
    const step = this.#ports.transition(before, event)
    try {
      await this.#ports.save(step, before, event)
    } catch (error) {
      if (!this.#stopped) this.#ports.onUnsaved(event, error)
      return
    }
    if (this.#stopped) return
    this.#state = step.state
    this.#ports.perform(step)
  }
}
