// The run that a fleet makes once per release, a migration say: when it is due, who makes it, and
// what is known of it. Recorded per tree, so that a later rollout of the same tree skips it.

import { compareFence, type Fence, sameFence } from '../fence.ts'
import { limits } from '../limits.ts'
import type { Declares, OnceRun, Report } from '../report.ts'
import type { Release } from '../release.ts'
import type { Participant, Rollout } from './rollout.ts'
import type { EnvironmentRecord, SessionView } from './state.ts'

export interface OnceRecord {
  readonly tree: string
  /**
   * `told`: it may be running; `unknown`: it was told and how it ended was never heard; `failed` is
   * tried again by the next rollout, `unknown` only when somebody says so.
   */
  readonly state: 'told' | 'done' | 'failed' | 'unknown'
  /** Who was elected; null when somebody said that it was done otherwise. */
  readonly host: string | null
  /** Under which it was told; the newest that there was when somebody said that it was done. */
  readonly fence: Fence | null
  readonly rollout: string | null
  /** SHA-256 of how that host declared it; null where nobody was told. */
  readonly declaration: string | null
  /** Whether the host has said, under a higher fence, that nothing of it runs. */
  readonly quiet: boolean
  /** Why it failed. */
  readonly message: string | null
  /** Since when this is so, epoch milliseconds. */
  readonly at: number
}

export type OnceRecords = EnvironmentRecord['once']

/**
 * Whether a host that declares this has it run in this rollout. A release that was activated here
 * before is gone back to: what it needed has run then, unless its last run says otherwise.
 */
function isAskedFor(record: EnvironmentRecord, rollout: Rollout, declares: Declares): boolean {
  if (declares.once === null || rollout.once === 'done') return false
  if (rollout.once === 'run' || isDoneIn(record, rollout)) return true
  const known = record.once[rollout.target.tree]
  if (known !== undefined) return known.state !== 'done'
  const isReturn = record.history.some((release) => release.tree === rollout.target.tree)
  return !isReturn || declares.onceWhenRollingBack
}

function isDoneIn({ once }: EnvironmentRecord, { id, target }: Rollout): boolean {
  const known = once[target.tree]
  return known?.state === 'done' && known.rollout === id
}

/**
 * Whether a run of the target came to light that the request could not know of: how it ended is
 * not known, and nobody has said that it may be made again.
 */
export function isOnceUnsettled({ once }: EnvironmentRecord, rollout: Rollout): boolean {
  const known = once[rollout.target.tree]
  if (known?.state !== 'unknown') return false
  return rollout.once !== 'run' || known.at > (rollout.phases[0]?.at ?? 0)
}

/**
 * The lowest-named of the ready hosts that declare it, while it is still to be run. Those that
 * declare it otherwise are not ready, neither before nor after it: two opinions on a migration are
 * a mistake that somebody has to look at.
 */
export function electedOf(
  record: EnvironmentRecord,
  rollout: Rollout,
  ready: readonly Participant[],
  declaresOf: (host: string) => Declares | null,
): { elected: Participant | null; agreeing: readonly Participant[] } {
  const askedBy = (p: Participant): string | null => {
    const declares = declaresOf(p.host)
    return declares !== null && isAskedFor(record, rollout, declares) ? declares.once : null
  }
  const isDone = isDoneIn(record, rollout)
  const elected = isDone ? null : (ready.find((p) => askedBy(p) !== null) ?? null)
  const made = isDone ? record.once[rollout.target.tree]?.declaration : null
  const wanted = elected === null ? (made ?? null) : askedBy(elected)
  return { elected, agreeing: ready.filter((p) => [null, wanted].includes(askedBy(p))) }
}

/** Whether anybody of these declares a run that is still to be made in this rollout. */
export function isOnceDue(
  record: EnvironmentRecord,
  rollout: Rollout,
  participants: readonly Participant[],
  declaresOf: (host: string) => Declares | null,
): boolean {
  if (isDoneIn(record, rollout)) return false
  return participants.some(({ host }) => {
    const declares = declaresOf(host)
    return declares !== null && isAskedFor(record, rollout, declares)
  })
}

/** What a host's report says of once runs, added to what is known: also long after its rollout. */
export function hearOnce(
  records: OnceRecords,
  host: string,
  { report }: Pick<SessionView, 'report'>,
  at: number,
): OnceRecords {
  const { once } = report
  const others = Object.values(records).map((known) => listened(known, host, report, at))
  const heard = others.some((record) => records[record.tree] !== record)
    ? Object.fromEntries(others.map((record) => [record.tree, record]))
    : records
  if (once === null || !isNews(heard[once.tree], once)) return heard
  return withOnce(heard, witnessed(once, host, at))
}

/** A told run of which nobody will hear in this rollout any more. */
export function onceGivenUp(records: OnceRecords, tree: string, at: number): OnceRecords {
  const known = records[tree]
  return known?.state === 'told' ? withOnce(records, { ...known, state: 'unknown', at }) : records
}

/** After a restore nothing but `done` is believed. */
export function onceAfterRecovery(records: OnceRecords, at: number): OnceRecords {
  return Object.fromEntries(
    Object.values(records).map((known) => [
      known.tree,
      known.state === 'done' ? known : { ...known, state: 'unknown' as const, quiet: false, at },
    ]),
  )
}

/** @param fence the newest: what runs under it or a lower one came to is what was spoken of */
export function onceSaidDone(
  records: OnceRecords,
  { tree }: Release,
  fence: Fence | null,
  at: number,
): OnceRecords {
  const said = { tree, state: 'done' as const, host: null, fence, rollout: null }
  const declaration = null
  return withOnce(records, { ...said, declaration, quiet: true, message: null, at })
}

export function withOnce(records: OnceRecords, record: OnceRecord): OnceRecords {
  return withinLimit({ ...records, [record.tree]: record })
}

/** The oldest that are done go first; what is not done stays. */
function withinLimit(records: OnceRecords): OnceRecords {
  const surplus = Object.keys(records).length - limits.onceRecordsMax
  if (surplus <= 0) return records
  const done = Object.values(records).filter((record) => record.state === 'done')
  const forgotten = new Set(
    done
      .sort((a, b) => a.at - b.at)
      .slice(0, surplus)
      .map((record) => record.tree),
  )
  return Object.fromEntries(Object.entries(records).filter(([tree]) => !forgotten.has(tree)))
}

function listened(known: OnceRecord, host: string, report: Report, at: number): OnceRecord {
  if (known.host !== host || known.fence === null) return known
  const { once } = report
  const own = once !== null && sameFence(once.fence, known.fence) ? once : null
  const isOver = own === null || own.state !== 'running'
  const isHigher = compareFence(report.fence, known.fence) === 'higher'
  const quiet = known.quiet || (isOver && isHigher)
  const { state, message } = own === null ? known : endOf(own, known)
  if (state === known.state && quiet === known.quiet) return known
  return { ...known, state, message, quiet, at: state === known.state ? known.at : at }
}

function endOf(run: OnceRun, known: OnceRecord): Pick<OnceRecord, 'state' | 'message'> {
  if (known.state === 'done' || known.state === 'failed') return known
  switch (run.state) {
    case 'running':
      return known
    case 'done':
    case 'failed':
      return { state: run.state, message: run.message }
    case 'interrupted':
      return { state: 'unknown', message: null }
  }
}

/** A run that this controller never recorded: it was restored from a backup, and here is a witness. */
function isNews(known: OnceRecord | undefined, once: OnceRun): boolean {
  if (known === undefined) return true
  if (known.state === 'told' || known.fence === null) return false
  return compareFence(once.fence, known.fence) === 'higher'
}

function witnessed(once: OnceRun, host: string, at: number): OnceRecord {
  const { tree, fence, message } = once
  const state = once.state === 'done' || once.state === 'failed' ? once.state : 'unknown'
  return { tree, state, host, fence, rollout: null, declaration: null, quiet: false, message, at }
}
