// Where releases of an app failed, of the environments that the caller may see.

import type { FastifyRequest } from 'fastify'
import type { FailedRelease, HistoryStore } from '../store/history-store.ts'
import { seesOf } from './access.ts'

export async function seenFailures(
  history: HistoryStore,
  request: FastifyRequest<{ Params: { app: string } }>,
): Promise<readonly FailedRelease[]> {
  const { app } = request.params
  const sees = seesOf(request)
  const failed = await history.failed({ app })
  return failed.filter(({ mark }) => sees({ app, environment: mark.environment }))
}
