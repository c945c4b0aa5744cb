// The one write that uses up a join token: atomic, so that of a hundred at once exactly as many win
// as the token has uses.

import { LockstepError } from '#shared/errors.ts'
import type { Transaction } from 'kysely'
import type { HostApp } from './host-store.ts'
import type { Tables } from './schema.ts'

/** @throws LockstepError `bad-join-token` or `join-not-allowed`. */
export async function consumeJoinToken(
  trx: Transaction<Tables>,
  token: { id: string; secretHash: string },
  apps: readonly HostApp[],
  at: number,
): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('token')
    .set((e) => ({ used: e('used', '+', 1), last_used_at: at }))
    .where('id', '=', token.id)
    .where('kind', '=', 'join')
    .where('secret_hash', '=', token.secretHash)
    .where('expires_at', '>', at)
    .whereRef('used', '<', 'uses_max')
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) {
    throw new LockstepError('bad-join-token', 'the join token is unknown, expired or used up', {
      hint: 'Make a new one: `lockstep token create --join --app APP --env ENV`.',
    })
  }
  const { apps: allowedText } = await trx
    .selectFrom('token')
    .select('apps')
    .where('id', '=', token.id)
    .executeTakeFirstOrThrow()
  const allowed: readonly HostApp[] = JSON.parse(allowedText)
  const refused = apps.find(
    (wanted) => !allowed.some((a) => a.app === wanted.app && a.environment === wanted.environment),
  )
  if (refused === undefined) return
  throw new LockstepError(
    'join-not-allowed',
    `the join token is not good for ${refused.app} in ${refused.environment}`,
    { hint: 'Make one that names every app and environment of the host\u2019s configuration.' },
  )
}
