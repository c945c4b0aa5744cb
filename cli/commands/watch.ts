// `lockstep watch`: every rollout of an environment, or of all of them, as it goes, until it is stopped.

import type { Command } from 'commander'
import type { HookOutputView } from '#shared/api/output-schemas.ts'
import type { EnvironmentView, FactView, RolloutView } from '#shared/api/schemas.ts'
import type { Place } from '../client/api-path.ts'
import { EnvironmentNarrator } from '../follow/environment-narrator.ts'
import { outputLines } from '../follow/output-tail.ts'
import { type Watched, watchEnvironments } from '../follow/watcher.ts'
import { clockText } from '../output/quantities.ts'
import { dim, plain, type Text } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { Interruption } from '../surroundings.ts'
import { checkFilter, optionalAppArgument, optionalEnvironmentOption } from './place.ts'
import { placesOf } from './status.ts'

interface WatchCommandOptions {
  readonly env?: string
  readonly json?: true
}

export function addWatch(program: Command, run: RunJob): void {
  program
    .command('watch')
    .description('follow every rollout, until Ctrl-C')
    .addArgument(optionalAppArgument())
    .addOption(optionalEnvironmentOption())
    .option('--json', 'one JSON object a line: { "event", "data" }')
    .action((app: string | undefined, options: WatchCommandOptions) =>
      run((session) => watch(session, app, options)),
    )
}

async function watch(
  session: Session,
  app: string | undefined,
  { env, json }: WatchCommandOptions,
): Promise<number> {
  checkFilter(app, env)
  const client = session.client()
  const interruptions = session.catchInterruptions()
  const { readerGone } = session.terminal
  const signal = AbortSignal.any([interruptions.signal, readerGone])
  const filter = {
    ...(app === undefined ? {} : { app }),
    ...(env === undefined ? {} : { environment: env }),
  }
  const one = app === undefined || env === undefined ? undefined : { app, environment: env }
  const teller = json ? new JsonTeller(session) : new LineTeller(session, one === undefined)
  try {
    return await watchEnvironments({
      ...session,
      client,
      filter,
      places: async () => (one === undefined ? placesOf(client, app) : [one]),
      signal,
      say: (text) => teller.say(text),
      watched: teller,
    })
  } catch (error) {
    // Stopping is how watching ends; a reader that has enough is another way of it.
    if (error instanceof Interruption || readerGone.aborted) return 0
    throw error
  } finally {
    interruptions.stop()
  }
}

class LineTeller implements Watched {
  readonly #session: Session
  readonly #namesPlace: boolean
  readonly #narrators = new Map<string, EnvironmentNarrator>()

  /** @param namesPlace whether several environments share the lines */
  constructor(session: Session, namesPlace: boolean) {
    this.#session = session
    this.#namesPlace = namesPlace
  }

  say(text: Text, place?: Place): void {
    const { terminal, clock } = this.#session
    const prefix =
      place === undefined || !this.#namesPlace ? '' : `${place.app} ${place.environment}  `
    terminal.line([dim(`${clockText(clock.now())}  ${prefix}`), text])
  }

  onEnvironment(view: EnvironmentView): void {
    this.#tell(view, (narrator) => narrator.next(view, this.#session.clock.now()))
  }

  onRollout(view: RolloutView): void {
    this.#tell(view, (narrator) => narrator.rollout(view, this.#session.clock.now()))
  }

  onFact(fact: FactView): void {
    this.#tell(fact, (narrator) => narrator.fact(fact))
  }

  onOutput(output: HookOutputView, place: Place): void {
    for (const line of outputLines(output)) this.say(line, place)
  }

  #tell(place: Place, lines: (narrator: EnvironmentNarrator) => Text[]): void {
    const key = `${place.app} ${place.environment}`
    const narrator = this.#narrators.get(key) ?? new EnvironmentNarrator()
    this.#narrators.set(key, narrator)
    for (const line of lines(narrator)) this.say(line, place)
  }
}

/** What changes at every look and says nothing. */
const noise = new Set(['lastSeenAt', 'roundTripMs', 'clockErrorMs'])

class JsonTeller implements Watched {
  readonly #session: Session
  readonly #last = new Map<string, string>()

  constructor(session: Session) {
    this.#session = session
  }

  say(text: Text): void {
    this.#print('silence', { message: plain(text) })
  }

  onEnvironment(view: EnvironmentView): void {
    const key = `${view.app} ${view.environment}`
    const telling = JSON.stringify(view, (name, value) => (noise.has(name) ? undefined : value))
    if (this.#last.get(key) === telling) return
    this.#last.set(key, telling)
    this.#print('environment', view)
  }

  onRollout(view: RolloutView): void {
    this.#print('rollout', view)
  }

  onFact(fact: FactView): void {
    this.#print('fact', fact)
  }

  onOutput(output: HookOutputView, place: Place): void {
    this.#print('output', { ...place, ...output })
  }

  #print(event: string, data: unknown): void {
    this.#session.terminal.jsonLine({ event, data })
  }
}
