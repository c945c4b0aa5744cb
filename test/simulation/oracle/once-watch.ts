// Follows every run that a fleet makes once per release, from the decision that tells it to the word
// that resolves it, and knows of each process whether it lives: none may be started twice.

import type { Decision } from '#shared/environment/decision.ts'
import type { OnceRecord } from '#shared/environment/once.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentSave } from '#controller/runtime/environment-store.ts'
import type { AgentHost } from '../world/agent-host.ts'
import type { OnceMoment, OnceProcess } from '../world/virtual-steps.ts'
import type { Seen } from './seen.ts'
import { require } from './violation.ts'

/** How far a run has come; of its process, whatever anybody knows of it. */
export type OnceStage = 'recorded' | 'told' | 'running' | 'exited' | 'journalled' | 'heard'

interface Run {
  readonly decision: Decision
  readonly tree: string
  readonly host: string
  readonly isForced: boolean
  stage: OnceStage
  process: OnceProcess | null
  /** What the controller has recorded of its end. */
  known: OnceRecord['state']
  /** The controller's store was put back since. */
  isForgotten: boolean
  /** Its host was taken out of the fleet since. */
  isRemoved: boolean
}

export class OnceWatch {
  readonly #seen: Seen
  /** By the hash of the decision that told it, oldest first. */
  readonly #runs = new Map<string, Run>()
  /** Trees of which somebody said that it was done otherwise. */
  readonly #saidDone = new Set<string>()
  /** The same, though the store was put back since: a backup taken after it still knows it. */
  readonly #everSaidDone = new Set<string>()

  constructor(seen: Seen) {
    this.#seen = seen
  }

  /** How far the newest run has come; null when nothing is awaited of it. */
  get present(): { readonly host: string; readonly stage: OnceStage } | null {
    const run = [...this.#runs.values()].at(-1)
    return run === undefined || run.stage === 'heard' ? null : run
  }

  restored(): void {
    for (const run of this.#runs.values()) run.isForgotten = true
    this.#saidDone.clear()
  }

  /** A recovery believes nothing but what is done, and that is asked of people again. */
  recovered(): void {
    this.#saidDone.clear()
    for (const run of this.#runs.values()) if (run.known !== 'done') run.known = 'unknown'
  }

  removed(host: string): void {
    for (const run of this.#runs.values()) if (run.host === host) run.isRemoved = true
  }

  began({ once, target }: Rollout): void {
    if (once !== 'done') return
    this.#saidDone.add(target.tree)
    this.#everSaidDone.add(target.tree)
  }

  /** The decision that tells it is durable. */
  recorded({ after }: EnvironmentSave, decision: Decision): void {
    const { rollout } = after
    const [host = ''] = decision.counted
    const tree = decision.stage?.tree ?? ''
    require(rollout?.id === decision.rollout, 'a rule of the protocol', 'a once run of no rollout')
    const policy = rollout?.once ?? null
    const isForced = this.#seen.parts.isForced(rollout?.id ?? '')
    const last = this.#lastKnown(tree, rollout)
    if (policy !== 'run') {
      require(!this.#saidDone.has(tree), 'made once', 'told again, though it was said to be done')
      const isFree = last === undefined || last.known === 'failed'
      require(isFree, 'made once', `told again, and it was ${wordOf(last)}`)
    } else if (last !== undefined && !isForced && !last.isRemoved) {
      require(!isAlive(last), 'made once', 'told again while the last one runs')
    }
    const run: Run = {
      decision,
      tree,
      host,
      isForced,
      stage: 'recorded',
      process: null,
      known: 'told',
      isForgotten: false,
      isRemoved: false,
    }
    this.#runs.set(decision.fence.hash, run)
  }

  /** A host is about to be told to make the run. */
  told(host: string, hash: string): void {
    const run = this.#runs.get(hash)
    const isElected = run?.host === host
    require(isElected, 'made once', `${this.#seen.nameOf(host)} is told a run that it is not elected for`)
    if (run?.stage === 'recorded') run.stage = 'told'
  }

  happened(host: AgentHost, what: OnceMoment, process: OnceProcess): void {
    const run = this.#runs.get(process.fence.hash)
    require(run !== undefined, 'made once', `${host.name} begins a run that nobody recorded`)
    if (what === 'started') {
      this.#checkStart(host, run, process)
      run.process = process
      if (run.stage !== 'heard') run.stage = 'running'
    } else if (run.stage === 'running') run.stage = 'exited'
  }

  /** The host has journalled how it ended. */
  journalled(hash: string): void {
    const run = this.#runs.get(hash)
    if (run?.stage === 'exited') run.stage = 'journalled'
  }

  /** The controller knows how it ended, or has given it up. */
  ended(record: OnceRecord): void {
    const run = this.#runs.get(record.fence?.hash ?? '')
    if (run === undefined) return
    const { process } = run
    const isOver = process !== null && !process.isAlive
    if (record.state === 'done' || record.state === 'failed') {
      const isTrue = isOver && process.ends === record.state
      require(isTrue, 'no lies', `a run is ${record.state}, and it was ${wordOf(run)}`)
    }
    run.stage = 'heard'
    run.known = record.state
  }

  /** Nobody swaps before what is due has been made. */
  activated({ before, after }: EnvironmentSave, decision: Decision): void {
    const tree = decision.run?.tree ?? ''
    const own = [...this.#runs.values()].filter(
      (run) => run.decision.rollout === decision.rollout && !run.isForgotten,
    )
    for (const run of own)
      require(isDone(run), 'made once', `activated, and the run was ${wordOf(run)}`)
    const isSaid = this.#everSaidDone.has(tree) && isSaidDone(before.once[tree])
    if (own.length > 0 || isSaid || after.rollout?.once === 'done') return
    const isDoneBefore = [...this.#runs.values()].some((run) => run.tree === tree && isDone(run))
    const isReturn = before.history.some((release) => release.tree === tree)
    const declares = decision.counted.find((host) => {
      const report = this.#seen.heardOf(host).at(-1)?.report
      return (report?.declares.once ?? null) !== null
    })
    const isRight = declares === undefined || isDoneBefore || isReturn
    require(isRight, 'made once', `activated without the run of ${this.#seen.nameOf(declares ?? '')}`)
  }

  /** The end of a rollout that was preparing. */
  rolloutEnded({ id, reason }: Rollout): void {
    const run = [...this.#runs.values()].findLast((one) => one.decision.rollout === id)
    if (run === undefined || run.isForgotten) return
    if (reason === 'once-failed') {
      require(run.process?.ends === 'failed', 'no lies', `once-failed, and it was ${wordOf(run)}`)
    }
    run.stage = 'heard'
    if (run.known === 'told') run.known = 'unknown'
  }

  #checkStart(host: AgentHost, run: Run, process: OnceProcess): void {
    const { name } = host
    require(run.host === host.id, 'made once', `${name} begins a run that it is not elected for`)
    require(run.process === null, 'made once', `${name} begins the same run a second time`)
    const { fence } = host.disk.journal
    const isNewest = fence?.hash === process.fence.hash
    require(isNewest, 'fencing', `${name} begins a run under a fence that is not its highest`)
    let isNewer = false
    for (const other of this.#runs.values()) {
      if (other === run) isNewer = true
      if (other === run || other.tree !== run.tree || (!isNewer && !isAlive(other))) continue
      const [old, late] = isNewer ? [run, other] : [other, run]
      const isAccepted = late.isForced || old.isRemoved || old.isForgotten
      require(isAccepted, 'made once', `${name} begins a run, and there is another for that tree`)
    }
  }

  /** The newest run of the tree that the controller has recorded, or that somebody witnesses. */
  #lastKnown(tree: string, rollout: Rollout | null): Run | undefined {
    return [...this.#runs.values()].findLast((run) => {
      if (run.tree !== tree) return false
      if (!run.isForgotten) return true
      const isHere = rollout?.participants[run.host]?.state === 'participating'
      const last = this.#seen.host(run.host)?.steps.runs.at(-1)
      return isHere && last?.fence.hash === run.decision.fence.hash
    })
  }
}

/** Nobody was told to make it: somebody has said that it was done otherwise. */
function isSaidDone(record: OnceRecord | undefined): boolean {
  return record?.state === 'done' && record.host === null
}

function isAlive({ process }: Run): boolean {
  return process?.isAlive === true
}

function isDone({ process }: Run): boolean {
  return process !== null && !process.isAlive && process.ends === 'done'
}

function wordOf(run: Run | undefined): string {
  if (run === undefined) return 'never told'
  const { process, stage } = run
  if (process === null) return stage === 'recorded' ? 'not told yet' : 'never started'
  return process.isAlive ? 'running' : process.ends
}
