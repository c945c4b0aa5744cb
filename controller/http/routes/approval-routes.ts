// The second person: requests that wait for one, and what becomes of them. Who approves does what a
// deployer does, and is not who asked (docs/adr/0012).

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { ApprovalList, ApprovalView, DesiredAnswer } from '#shared/api/requests.ts'
import { App, Environment } from '#shared/api/schemas.ts'
import type { Answer } from '#shared/environment/events.ts'
import { LockstepError } from '#shared/errors.ts'
import type { DatedAuthor } from '../../access/audit.ts'
import { may } from '../../access/permission.ts'
import type { Announcements } from '../../runtime/announcements.ts'
import type { Approval, ApprovalStore } from '../../store/approval-store.ts'
import type { HostApp } from '../../store/host-store.ts'
import type { ReleaseStore } from '../../store/release-store.ts'
import type { TokenStore } from '../../store/token-store.ts'
import { forecast, type ForecastPorts } from '../../views/forecast.ts'
import type { LiveView } from '../../views/live-view.ts'
import { authorOf } from '../author.ts'
import { approvalView } from '../approval-view.ts'
import { sendAnswer } from '../desired-answer.ts'
import { requestedRollout } from '../requested-rollout.ts'

export interface ApprovalRoutePorts extends ForecastPorts {
  announcements: Announcements
  approvals: ApprovalStore
  releases: ReleaseStore
  tokens: TokenStore
  live: LiveView
}

const place = { app: App, environment: Environment }
const params = Type.Object({ ...place, id: Type.String({ maxLength: 64 }) })
const path = '/v1/apps/:app/environments/:environment/approvals'
const deploys = { access: { action: 'deploy', scope: 'environment' } } as const

type Asked = FastifyRequest<{ Params: HostApp & { id: string } }>

export function approvalRoutes(ports: ApprovalRoutePorts): FastifyPluginAsyncTypebox {
  const { approvals, live, clock } = ports
  return async (app) => {
    app.get(
      path,
      {
        config: { access: { action: 'read', scope: 'environment' } },
        schema: {
          tags: ['approvals'],
          params: Type.Object(place),
          response: { 200: ApprovalList },
        },
      },
      async (request) => {
        const at = clock.now()
        const known = await approvals.list(request.params)
        return { items: known.map((approval) => approvalView(approval, at)), next: null }
      },
    )
    app.get(
      `${path}/:id`,
      {
        config: { access: { action: 'read', scope: 'environment' } },
        schema: { tags: ['approvals'], params, response: { 200: ApprovalView } },
      },
      async (request) => approvalView(await known(ports, request), clock.now()),
    )
    app.post(
      `${path}/:id/approve`,
      {
        config: deploys,
        schema: {
          tags: ['approvals'],
          params,
          response: { 200: DesiredAnswer, 202: DesiredAnswer },
        },
      },
      async (request, reply) => {
        const { answer, release } = await approve(ports, request)
        return sendAnswer(reply, live, answer, { release })
      },
    )
    app.post(
      `${path}/:id/withdraw`,
      {
        config: deploys,
        schema: { tags: ['approvals'], params, response: { 200: ApprovalView } },
      },
      async (request) => {
        const approval = await known(ports, request)
        const verdict = approval.requestedBy === request.principal ? 'withdrawn' : 'declined'
        const author = { ...authorOf(request), at: clock.now() }
        if (!(await approvals.decide(approval, verdict, author))) throw over(approval)
        announce(ports, request.params)
        return approvalView(await known(ports, request), clock.now())
      },
    )
  }
}

/**
 * Starts what was asked, if it is still what it was. A repeat finds the rollout of the first: it is
 * started under the request's own key.
 */
async function approve(ports: ApprovalRoutePorts, request: Asked) {
  const { approvals, environments, live, clock } = ports
  const { params: where } = request
  const approval = await known(ports, request)
  const { release, policy, requestedBy, what } = approval
  checkOther(request, approval)
  const requestKey = approval.requestKey ?? `approval-${approval.id}`
  const first = await environments.of(where)?.firstOf(requestKey, () => true)
  if (approval.state === 'approved' && first !== null && first !== undefined) {
    return { answer: { outcome: 'open' as const, rollout: first }, release }
  }
  await checkValid(ports, request, approval)
  const who = { requestedBy, requestKey }
  const wanted = await requestedRollout(live, where, release, { policy, who })
  const { refusal, rehearsal } = await forecast(ports, where, wanted)
  if (refusal !== null) throw new LockstepError(refusal.code, refusal.message, refusal)
  if (!(await approvals.hold(approval.id, clock.now()))) throw over(await known(ports, request))
  const author = authorOf(request)
  let isDone = false
  try {
    const runner = await environments.open(where)
    const answer = await runner.desire(wanted, { what, ...author }, rehearsal.starts)
    isDone = answer.outcome !== 'refused'
    if (isDone) await settle(ports, approval, { ...author, at: clock.now() }, answer)
    return { answer, release }
  } finally {
    // What was not started may be approved again; what was, by a repeat that finds its rollout.
    if (!isDone) await approvals.release(approval.id)
  }
}

async function settle(
  { approvals, announcements }: ApprovalRoutePorts,
  approval: Approval,
  author: DatedAuthor,
  answer: Answer,
): Promise<void> {
  const { app, environment } = approval
  const rollout = 'rollout' in answer ? answer.rollout.id : null
  await approvals.decide(approval, 'approved', author, rollout)
  announcements.announce({ app, environment, rollout })
}

/** @throws LockstepError `own-request`: neither the same token nor another one of the same person. */
function checkOther({ token, principal }: Asked, { requestedBy, owner }: Approval): void {
  const isSamePerson = owner !== null && token?.owner === owner
  if (principal !== requestedBy && !isSamePerson) return
  throw new LockstepError('own-request', 'whoever asked cannot be who approves', {
    hint: 'Let another person approve it, with a token of their own.',
  })
}

/** What no longer is what was asked, or by whom, is void. @throws LockstepError `approval-over` */
async function checkValid(
  ports: ApprovalRoutePorts,
  request: Asked,
  approval: Approval,
): Promise<void> {
  const { approvals, clock } = ports
  const at = clock.now()
  const isOpen = approval.state === 'waiting' || approval.state === 'approving'
  if (!isOpen || approval.expiresAt <= at) throw over(approval)
  const why = await whyVoid(ports, approval, at)
  if (why === null) return
  await approvals.decide(approval, 'void', { by: request.principal, at, why })
  announce(ports, request.params)
  throw new LockstepError('approval-over', `the request is void: ${why}`, {
    hint: 'It has to be asked for again.',
  })
}

async function whyVoid(
  { releases, tokens }: ApprovalRoutePorts,
  { app, environment, release, requestedBy }: Approval,
  at: number,
): Promise<string | null> {
  const token = await tokens.get(requestedBy)
  const mayStill =
    token !== null && token.expiresAt > at && may(token.grants, 'deploy', { app, environment })
  if (!mayStill) return 'the token of whoever asked is not good any more'
  const tree = await treeNow(releases, app, release.version)
  return tree === release.tree ? null : `${release.version} is not the release that it was`
}

/** Null for a release that was removed. */
async function treeNow(releases: ReleaseStore, app: string, version: string) {
  try {
    return (await releases.reference(app, version)).tree
  } catch (error) {
    if (!(error instanceof LockstepError) || error.status !== 404) throw error
    return null
  }
}

/** @throws LockstepError `unknown-approval`. */
async function known(
  { approvals }: ApprovalRoutePorts,
  { params: where }: Asked,
): Promise<Approval> {
  const approval = await approvals.get(where, where.id)
  if (approval !== null) return approval
  throw new LockstepError('unknown-approval', `there is no request ${where.id} here`, {
    hint: 'See `lockstep approvals APP --env ENV`.',
  })
}

function over({ state, decidedBy }: Approval): LockstepError {
  const what =
    state === 'waiting' ? 'has run out of its time' : `is ${state}, by ${decidedBy ?? 'somebody'}`
  return new LockstepError('approval-over', `the request ${what}`, {
    hint: 'It has to be asked for again.',
  })
}

function announce({ announcements }: ApprovalRoutePorts, { app, environment }: HostApp): void {
  announcements.announce({ app, environment, rollout: null })
}
