// What the audit trail says of one step of an environment's machine: the request that led to it, and
// every decision that was taken in it, whoever asked. Pure.

import type { Answer, EnvironmentEvent, Fact, Step } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentRecord } from '#shared/environment/state.ts'
import type { Json } from '#shared/canonical-json.ts'
import { type AuditRecord, type Author, controllerItself } from '../access/audit.ts'

/** A request for a release: how it was put, and by whom. */
export interface Requested extends Author {
  readonly what: 'deploy' | 'rollback' | 'promote'
}

/** What is recorded of a step; where and when is said by whoever saves it. */
export type StepAudit = Omit<AuditRecord, 'at' | 'app' | 'environment'>

/** @param author null where no request led to the step */
export function auditOf(
  event: EnvironmentEvent | null,
  author: Author | Requested | null,
  step: Step,
): readonly StepAudit[] {
  const by = author?.by ?? controllerItself
  const why = author?.why ?? null
  const request = event === null ? null : requestIn(event, author, step)
  const decisions = step.facts.flatMap((fact) => decisionIn(fact, step.state.record))
  return [
    ...(request === null ? [] : [{ who: by, why, outcome: 'done' as const, ...request }]),
    ...decisions.map((decision) => ({ who: by, outcome: 'done' as const, ...decision })),
  ]
}

type Told = Pick<StepAudit, 'what' | 'details'> & { why?: string | null }

function requestIn(
  event: EnvironmentEvent,
  author: Author | Requested | null,
  step: Step,
): Told | null {
  switch (event.type) {
    case 'release-desired': {
      const what = author !== null && 'what' in author ? author.what : 'deploy'
      const { id: _, requestedBy: __, requestKey: ___, release, ...policy } = event.request
      const answer = answerIn(step)
      const rollout = answer !== null && 'rollout' in answer ? answer.rollout.id : null
      const asked = { ...release, result: answer?.outcome ?? null, rollout }
      return { what, details: { ...asked, ...policyOf(policy) } }
    }
    case 'cancel-requested':
      return { what: 'cancel', details: rolloutIn(step) }
    case 'continue-requested':
      return { what: 'continue', details: rolloutIn(step) }
    case 'pause-requested':
      return { what: 'pause', details: rolloutIn(step) }
    case 'drain-requested': {
      const { host, reason } = event
      const name = step.state.record.members[host]?.name ?? host
      if (reason === null) return { what: 'let-in', details: { host, name } }
      return { what: 'drain', why: reason, details: { host, name } }
    }
    case 'recover-requested':
      return { what: 'recover', details: { run: event.run?.version ?? null } }
    case 'host-joined':
    case 'host-removed':
    case 'host-reported':
    case 'session-closed':
    case 'deadline-passed':
      return null
  }
}

/** Only what is not the default: who reads it looks for what was special. */
function policyOf(
  policy: Omit<
    Extract<EnvironmentEvent, { type: 'release-desired' }>['request'],
    'id' | 'requestedBy' | 'requestKey' | 'release'
  >,
): Record<string, Json> {
  const { requirement, exclude, allowEmpty, waves, once, force } = policy
  const excluded = Object.keys(exclude).length
  return {
    ...(requirement.kind === 'all'
      ? {}
      : { require: `${requirement.value}${requirement.kind === 'percent' ? '%' : ''}` }),
    ...(excluded === 0 ? {} : { excluded }),
    ...(allowEmpty ? { allowEmpty } : {}),
    ...(waves.length === 0 ? {} : { waves: waves.length }),
    ...(once === null ? {} : { once }),
    ...(force ? { force } : {}),
  }
}

function decisionIn(fact: Fact, { rollout: last }: EnvironmentRecord): readonly Told[] {
  switch (fact.type) {
    case 'decided': {
      const { kind, rollout, fence, run, counted, wave } = fact.decision
      const why = last !== null && last.id === rollout ? last.reason : null
      const told = { rollout, run: run?.version ?? null, tree: run?.tree ?? null }
      const { term, epoch, hash } = fence
      const details = { ...told, term, epoch, decision: hash, counted: counted.length, wave }
      return [{ what: `decide-${kind}`, why, details }]
    }
    case 'rollout-ended':
      return [{ what: 'end-rollout', why: fact.rollout.reason, details: endOf(fact.rollout) }]
    case 'host-dropped': {
      const { host, name, rollout, reason } = fact
      return [{ what: 'drop-host', why: reason, details: { host, name, rollout: rollout.id } }]
    }
    case 'fenced': {
      const { host, why } = fact
      const { term, epoch, hash } = fact.fence
      return [{ what: 'fence', why, details: { host, term, epoch, decision: hash } }]
    }
    case 'unfenced':
      return [{ what: 'unfence', details: { host: fact.host } }]
    case 'once-ended': {
      const { rollout, host, state } = fact.run
      return [{ what: 'end-once', details: { rollout, host, state } }]
    }
    // Each of them comes with a request, or with a decision that says more.
    case 'rollout-started':
    case 'once-told':
    case 'barrier-opened':
    case 'wave-rested':
    case 'verifying-started':
    case 'roll-back-started':
    case 'host-joined':
    case 'host-removed':
    case 'host-drained':
    case 'host-let-in':
    case 'recovered':
      return []
  }
}

function endOf({ id, phase, target }: Rollout): Record<string, Json> {
  return { rollout: id, phase, version: target.version }
}

function rolloutIn(step: Step): Record<string, Json> {
  const { rollout } = step.state.record
  return { rollout: rollout?.id ?? null, version: rollout?.target.version ?? null }
}

function answerIn(step: Step): Answer | null {
  return step.effects.flatMap((e) => (e.type === 'answer' ? [e.answer] : []))[0] ?? null
}
