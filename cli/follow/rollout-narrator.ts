// Tells a rollout in lines as it goes: what changed since the last look, each thing once. Pure but for what
// it has told already.

import type { ParticipantView, RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { clockText, countText, durationText, namesText } from '../output/quantities.ts'
import { bad, bold, good, type Text, warning } from '../output/text.ts'
import { askedOf, isAtWaveBarrier, isDone, stagingText, waitingText } from './participants.ts'
import { whyText } from './reasons.ts'
import { rolloutEnd } from './rollout-end.ts'
import { RolloutWitness } from './rollout-witness.ts'
import { skewText } from './skew.ts'
import { betweenText, waveHosts, waveName } from './wave-words.ts'

export class RolloutNarrator {
  readonly #told = new Set<string>()
  readonly #witness = new RolloutWitness()
  /** Of the last line on the open phase: what it counted, what it said, and when. */
  #countedLine = ''
  #lastLine = ''
  #lastLineAt = 0

  /** @param at epoch milliseconds of this look */
  next(view: RolloutView, at: number): Text[] {
    this.#witness.see(view)
    return [
      ...this.#once('introduction', () => introductionOf(view)),
      ...this.#failures(view),
      ...this.#milestones(view, at),
      ...this.#progress(view, at),
    ]
  }

  /** How it ended, with what was seen on the way. */
  end(view: RolloutView): Text[] {
    return rolloutEnd(view, this.#witness)
  }

  /** A host may fail, go on and fail again: each new text is told. */
  #failures(view: RolloutView): Text[] {
    return askedOf(view).flatMap((participant) => {
      const { host, failure } = participant
      if (failure === null || view.exitCode !== null) return []
      return this.#once(`failure ${host} ${failure.code} ${failure.message}`, () =>
        failureLines(participant),
      )
    })
  }

  #milestones(view: RolloutView, at: number): Text[] {
    const has = (wanted: string) => view.phases.some(({ phase }) => phase === wanted)
    const { once, wave, between } = view
    const lastOf = (wanted: string) => view.phases.findLastIndex(({ phase }) => phase === wanted)
    // Every wave has both; of the newest one only what has been is told.
    const isSwapped = lastOf('verifying') > lastOf('activating')
    const rest = between === null ? undefined : restLine(view, at)
    return [
      ...(once === null ? [] : this.#once(`once ${once.state}`, () => onceLines(once))),
      ...(has('activating') ? this.#once(`barrier ${wave}`, () => barrierLines(view)) : []),
      ...(isSwapped ? this.#once(`swap ${wave}`, () => swapLines(view)) : []),
      ...(rest === undefined ? [] : this.#once(`rest ${wave} ${between?.step}`, () => [rest])),
      ...(has('rolling-back') ? this.#once('back', () => rollBackLines(view)) : []),
    ]
  }

  #progress(view: RolloutView, at: number): Text[] {
    if (view.exitCode !== null || isResting(view) || view.once?.state === 'told') return []
    const asked = askedOf(view)
    const waiting = asked.filter((participant) => !isDone(view, participant))
    const counts = `${wordOf(view)} ${asked.length - waiting.length}/${asked.length}`
    const line = `${counts}${needText(view)}${waitingText(view, waiting)}`
    // Without percentages, the rest of which changes at every look.
    const counted = `${view.phase} ${view.wave} ${line.replaceAll(/ \d+ %/g, '')}`
    if (line === this.#lastLine) return []
    const isSoon = at - this.#lastLineAt < limits.progressLineEveryMs
    if (counted === this.#countedLine && isSoon) return []
    this.#countedLine = counted
    this.#lastLine = line
    this.#lastLineAt = at
    return [waiting.length === 0 ? good(line) : line]
  }

  #once(key: string, lines: () => Text[]): Text[] {
    if (this.#told.has(key)) return []
    this.#told.add(key)
    return lines()
  }
}

function introductionOf(view: RolloutView): Text[] {
  const { app, environment, target, fallback, participants, excluded } = view
  const from = fallback === null ? '' : ` from ${fallback.version}`
  const hosts = countText(participants.length, 'host')
  return [
    [
      bold(`rollout of ${app}${from} to ${target.version} in ${environment}`),
      `, ${hosts}, by ${view.requestedBy}, ${view.id}`,
    ],
    ...excluded.map(({ name, reason }) => `${name} is excluded: ${reason}`),
  ]
}

function failureLines({ name, failure }: ParticipantView): Text[] {
  if (failure === null) return []
  return [
    [bad(`${name} failed`), `: ${failure.message} (${failure.code})`],
    ...(failure.hint === undefined ? [] : [`  what to do: ${failure.hint}`]),
  ]
}

/** Nothing is waited for but the time, or somebody. */
function isResting({ phase, between }: RolloutView): boolean {
  return phase === 'verifying' && (between?.step === 'soak' || between?.step === 'pause')
}

function restLine(view: RolloutView, at: number): Text {
  const name = waveName(view)
  const words = betweenText(view, at) ?? ''
  return view.between?.step === 'barrier'
    ? `${name} is over; ${words}`
    : [good(`${name} is healthy`), `; ${words}`]
}

function onceLines({ state, name, message }: NonNullable<RolloutView['once']>): Text[] {
  const host = name ?? 'a host'
  switch (state) {
    case 'told':
      return [`${host} makes the once run; no host swaps before it is done`]
    case 'done':
      return [[good('once run done'), ` on ${host}`]]
    case 'failed':
      return [[bad('once run failed'), ` on ${host}: ${message ?? 'no reason given'}`]]
    case 'unknown':
      return [[warning('once run unknown'), `: ${host} did not say how it ended`]]
  }
}

function barrierLines(view: RolloutView): Text[] {
  if (view.waves.length > 1) return waveLines(view)
  const { participants, phases } = view
  const counted = participants.filter((participant) => participant.counted)
  const left = participants.filter(({ state }) => state === 'left-behind')
  const started = phases.find(({ phase }) => phase === 'staging')?.at ?? view.startedAt
  const opened = phases.find(({ phase }) => phase === 'activating')?.at ?? started
  const who =
    left.length === 0 ? `all ${counted.length}` : `${counted.length} of ${participants.length}`
  return [
    [good('barrier open'), `: ${who} ready after ${durationText(opened - started)}; swapping`],
    ...left.map((p) => [warning('left behind'), `: ${p.name} (${stagingText(p)})`]),
  ]
}

/** Each wave has a barrier of its own; the first one says who was left behind. */
function waveLines(view: RolloutView): Text[] {
  const left = view.participants.filter(({ state }) => state === 'left-behind')
  return [
    [good(`${waveName(view)} open`), `: swapping ${waveHosts(view, view.wave)}`],
    ...(view.wave > 0
      ? []
      : left.map((p): Text => [warning('left behind'), `: ${p.name} (${stagingText(p)})`])),
  ]
}

function swapLines(view: RolloutView): Text[] {
  const swapped = view.participants.filter(
    ({ counted, activatedAt, wave }) => counted && activatedAt !== null && wave === view.wave,
  )
  const onReceipt = swapped.flatMap(({ name, activationMode }) =>
    activationMode === 'on-receipt' ? [name] : [],
  )
  return [
    [good('swapped'), `: ${countText(swapped.length, 'host')}${skewText(view)}`],
    ...(onReceipt.length === 0
      ? []
      : [
          `on receipt, their clocks not being sure enough: ${namesText(onReceipt, limits.namesShown)}`,
        ]),
  ]
}

function rollBackLines(view: RolloutView): Text[] {
  const to = view.fallback === null ? 'what each host ran before' : view.fallback.version
  const why = whyText(view)
  return [[warning(`rolling back to ${to}`), why === undefined ? '' : `: ${why}`]]
}

function wordOf(view: RolloutView): string {
  if (isAtWaveBarrier(view)) return 'ready'
  switch (view.phase) {
    case 'staging':
    case 'preparing':
      return 'ready'
    case 'activating':
      return 'swapped'
    case 'rolling-back':
      return 'back'
    case 'verifying':
    case 'committed':
    case 'rolled-back':
    case 'aborted':
    case 'failed':
      return 'healthy'
  }
}

/** Said where fewer than all are enough. */
function needText({ phase, require, deadlineAt }: RolloutView): string {
  if (phase !== 'staging' || require === 'all') return ''
  return ` (${require} needed at ${clockText(deadlineAt)})`
}
