// What `deploy` and `rollback` share: asking for a release under one Idempotency-Key however often it takes,
// telling what came of it, and following the rollout to its end.

import type { HookOutputView } from '#shared/api/output-schemas.ts'
import type { ApprovalView, DesiredAnswer, Policy } from '#shared/api/requests.ts'
import type { RolloutView } from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Place } from '../client/api-path.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { askPatiently } from '../client/patience.ts'
import { approvedRollout } from '../follow/approval-wait.ts'
import { outputLines } from '../follow/output-tail.ts'
import { followRollout } from '../follow/rollout-follower.ts'
import { RolloutNarrator } from '../follow/rollout-narrator.ts'
import { clockText, instantText } from '../output/quantities.ts'
import { dim, type Text, warning } from '../output/text.ts'
import type { Session } from '../session.ts'
import { Interruption } from '../surroundings.ts'

export interface RolloutRequest {
  readonly place: Place
  readonly ask: (client: ControllerClient, key: string) => Promise<DesiredAnswer>
  /** That the release is committed already. */
  readonly unchanged: string
  /** What is said besides when the rollout was open already. */
  readonly alreadyOpen?: string | undefined
  readonly reason: string | undefined
  readonly wait: boolean
  readonly json: boolean
}

/** @returns the exit code that tells the rollout's end */
export async function requestRollout(session: Session, request: RolloutRequest): Promise<number> {
  const client = session.client(request.reason)
  const interruptions = session.catchInterruptions()
  const { signal } = interruptions
  const say = sayer(session, request)
  try {
    const answer = await askFor(session, request, { client, say, signal })
    answer.notes?.forEach((note) => say([warning('note'), `: ${note}`]))
    if (answer.approval !== undefined) tellWaiting(request, answer.approval, say)
    const patience = { ...session, client, say, signal }
    const first =
      answer.approval !== undefined && request.wait
        ? await approvedRollout(answer.approval, patience)
        : tellAnswer(request, answer, say)
    if (first === undefined) {
      if (request.json) session.terminal.json(answer)
      return 0
    }
    if (first === null) return abortedExitCode
    const narrator = new RolloutNarrator()
    const onView = (view: RolloutView) => narrator.next(view, session.clock.now()).forEach(say)
    const onOutput = (output: HookOutputView) => outputLines(output).forEach(say)
    const options = { ...session, client, say, signal, onView, onOutput }
    const rollout = await followRollout(first, options).catch((error: unknown) => {
      tellLeaving(session, request.place, error)
      throw error
    })
    if (request.json) session.terminal.json({ ...answer, rollout })
    else session.terminal.lines(['', ...narrator.end(rollout)])
    return rollout.exitCode ?? 1
  } finally {
    interruptions.stop()
  }
}

/** As of a rollout that was aborted: no host was told to swap. */
const abortedExitCode = 4

type Say = (text: Text) => void

function tellWaiting({ place }: RolloutRequest, { id, expiresAt }: ApprovalView, say: Say): void {
  say([warning('waiting'), ` for the approval of another person, until ${instantText(expiresAt)}`])
  say(`they run: lockstep approve ${place.app} ${id} --env ${place.environment}`)
}

/** Beside the JSON, or with the time in front of each line. */
function sayer({ terminal, clock }: Session, { json }: RolloutRequest): Say {
  return json
    ? (text) => terminal.note(text)
    : (text) => terminal.line([dim(clockText(clock.now())), '  ', text])
}

async function askFor(
  session: Session,
  { ask, place }: RolloutRequest,
  { client, say, signal }: { client: ControllerClient; say: Say; signal: AbortSignal },
): Promise<DesiredAnswer> {
  const key = session.newKey()
  const patience = {
    ...session,
    say,
    signal,
    limitMs: limits.requestPatienceMs,
    hasAnswered: false,
  }
  try {
    return await askPatiently(() => ask(client, key), patience)
  } catch (error) {
    const isUnknown = error instanceof Interruption || isUnreachable(error)
    if (isUnknown) {
      session.terminal.note(
        `whether the rollout was started is not known: see \`lockstep status ${at(place)}\``,
      )
    }
    throw error
  }
}

/** @returns the rollout to follow, if any */
function tellAnswer(
  request: RolloutRequest,
  { outcome, release, rollout }: DesiredAnswer,
  say: Say,
): RolloutView | undefined {
  // Where the command did not name it, the controller says which one it is.
  if (release !== undefined)
    say(`the release is ${release.version}, tree ${release.tree.slice(0, 12)}`)
  if (outcome === 'waiting') return undefined
  if (rollout === null || outcome === 'unchanged') {
    say(`${request.unchanged}; nothing to do`)
    return undefined
  }
  if (outcome === 'returned' || outcome === 'cancelled') {
    const aborted = `the rollout to ${rollout.target.version} was still staging and is aborted`
    say(`${aborted}; ${request.unchanged}`)
    return undefined
  }
  if (outcome === 'open') {
    say('this rollout was open already')
    if (request.alreadyOpen !== undefined) say(request.alreadyOpen)
  }
  if (request.wait || rollout.exitCode !== null) return rollout
  const what = outcome === 'open' ? 'it goes on by itself' : `started the rollout ${rollout.id}`
  say(`${what}; follow it with \`lockstep watch ${at(request.place)}\``)
  return undefined
}

/** Whoever stops following must know that the rollout does not stop. */
function tellLeaving({ terminal }: Session, place: Place, error: unknown): void {
  if (!(error instanceof Interruption) && !(error instanceof LockstepError)) return
  const word = error instanceof Interruption ? error.message : 'following ends here'
  terminal.note(
    `${word}; the rollout goes on. Stop it: \`lockstep cancel ${at(place)}\`. ` +
      `Follow it: \`lockstep watch ${at(place)}\`.`,
  )
}

function isUnreachable(error: unknown): boolean {
  return (
    error instanceof LockstepError &&
    error.code === 'unreachable' &&
    error.details?.['lasting'] !== true
  )
}

/** What is said where a policy was given and the rollout was open already. */
export function ownPolicyHolds(policy: Policy): string | undefined {
  const isGiven = Object.keys(policy).length > 0
  return isGiven ? 'its own policy holds, not the options given here' : undefined
}

/** As the other commands take it: `shop --env production`. */
export function at({ app, environment }: Place): string {
  return `${app} --env ${environment}`
}
