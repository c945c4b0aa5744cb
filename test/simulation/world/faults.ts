// What may go wrong, how often and how much: probabilities per act, and ranges of milliseconds.

import type { Between, RolloutReason } from '#shared/environment/rollout.ts'
import type { OnceStage } from '../oracle/once-watch.ts'

export type Range = readonly [number, number]

export interface Faults {
  /** Of every frame between an agent and the controller. */
  readonly drop: number
  readonly duplicate: number
  readonly reorder: number
  readonly delay: number
  readonly latencyMs: Range
  readonly delayMs: Range
  /** Of every stage, swap and run of the reload steps. */
  readonly stageFails: number
  readonly swapFails: number
  readonly reloadFails: number
  /** Of every preflight, hook before the rename, and health gate. */
  readonly preflightFails: number
  readonly beforeFails: number
  readonly gateFails: number
  readonly hookMs: Range
  /** Of every once run: it fails, or it hangs until its timeout. */
  readonly onceFails: number
  readonly onceHangs: number
  readonly onceMs: Range
  readonly stageMs: Range
  readonly attestMs: Range
  readonly reloadMs: Range
  readonly cleanUpMs: Range
  /** Reading the link. */
  readonly lookMs: Range
  /** Of every swap: the process dies right after the rename. */
  readonly swapCrash: number
  /** Of every save of the journal, and of the controller's store. */
  readonly journalFails: number
  readonly journalCrash: number
  readonly journalMs: Range
  readonly storeFails: number
  readonly storeCrash: number
  /** Of every save with which a once run is told. */
  readonly onceSaveCrash: number
  readonly storeMs: Range
}

export const calm: Faults = {
  drop: 0,
  duplicate: 0,
  reorder: 0,
  delay: 0,
  latencyMs: [1, 5],
  delayMs: [0, 0],
  stageFails: 0,
  swapFails: 0,
  reloadFails: 0,
  preflightFails: 0,
  beforeFails: 0,
  gateFails: 0,
  hookMs: [0, 20],
  onceFails: 0,
  onceHangs: 0,
  onceMs: [500, 2000],
  stageMs: [200, 2000],
  attestMs: [5, 50],
  reloadMs: [5, 50],
  cleanUpMs: [5, 500],
  lookMs: [0, 1],
  swapCrash: 0,
  journalFails: 0,
  journalCrash: 0,
  journalMs: [0.2, 4],
  storeFails: 0,
  storeCrash: 0,
  onceSaveCrash: 0,
  storeMs: [0.2, 4],
}

/** Everything that is counted, so that a run can show that it met them all. */
export type Counted =
  | 'drop'
  | 'duplicate'
  | 'reorder'
  | 'delay'
  | 'disconnect'
  | 'partition'
  | 'agent crash'
  | 'controller crash'
  | 'save lost in a crash'
  | 'save kept in a crash'
  | 'stage failure'
  | 'swap failure'
  | 'reload failure'
  | 'hook failure'
  | 'on-failure hook'
  | 'unhealthy'
  | 'once hang'
  | 'drift'
  | 'tampering'
  | 'obstacle'
  | 'clock step'
  | 'restore'
  | 'recovery'
  | 'join'
  | 'removal'
  | 'rollout'
  | 'drained'
  | 'let in'
  | `${'agent' | 'controller'} dies, once run ${OnceStage | 'unrecorded'}`
  | 'once told'
  | `once ${'done' | 'failed' | 'unknown'}`
  | 'next wave'
  | `wave rests: ${Between['step']}`
  | `ended: ${RolloutReason}`
  | 'committed'
  | 'committed without all'
  | `committed, some ${'dropped' | 'left behind' | 'excluded'}`
  | 'rolled-back'
  | 'aborted'
  | 'failed'
  | 'ended with unknown'

export class Counts {
  readonly #counts = new Map<string, number>()

  add(what: Counted, times = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + times)
  }

  get all(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts)
  }
}
