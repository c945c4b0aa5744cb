// Brings the envelope of a release's statement from the controller: small, soon, or not at all. What
// it says is worth nothing before it is verified.

import { ContentClient, type ContentAccess } from '../adapters/content-client.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'

/** Staging as a whole is tried again later: there is no sense in many tries here. */
const patience = {
  stallMs: limits.statementFetchMs / 2,
  firstByteMs: limits.statementFetchMs / 2,
  resumesMax: 1,
  resumeProgressBytes: limits.envelopeBytesMax,
  retryMinMs: limits.retryMinMs,
  retryMaxMs: limits.retryMinMs,
}

/**
 * @returns null when the controller has none
 * @throws LockstepError as the client's `statement`; `stalled` when it takes too long in all, drop
 *   by drop; the signal's reason.
 */
export async function fetchStatement(
  access: ContentAccess,
  { app, release }: { readonly app: string; readonly release: Release },
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  const client = new ContentClient(access, patience)
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(tooSlow(release)), limits.statementFetchMs)
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([client.statement(app, release), ended])
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'unknown-tree') return null
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    await client.close()
  }
}

function tooSlow({ version }: Release): LockstepError {
  return new LockstepError('stalled', `The statement of ${version} did not come in time`, {
    hint: 'The agent tries again later; see the network between host and controller.',
  })
}
