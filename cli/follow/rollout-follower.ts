// Follows one rollout to its end, over lost connections and restarts of the controller. Decides nothing:
// it looks, and hands on what it sees.

import type { HookOutputView } from '#shared/api/output-schemas.ts'
import type { RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { ChangeFeed } from '../client/change-feed.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { askPatiently } from '../client/patience.ts'
import type { Text } from '../output/text.ts'
import type { Surroundings } from '../surroundings.ts'
import { OutputTail } from './output-tail.ts'

export interface FollowOptions extends Pick<Surroundings, 'clock' | 'random'> {
  readonly client: ControllerClient
  readonly signal: AbortSignal
  readonly say: (text: Text) => void
  readonly onView: (view: RolloutView) => void
  readonly onOutput: (output: HookOutputView) => void
}

/**
 * @param first the rollout as the request for it was answered
 * @returns the rollout, ended
 * @throws the signal's reason; LockstepError when the controller refuses or stays silent too long
 */
export async function followRollout(
  first: RolloutView,
  options: FollowOptions,
): Promise<RolloutView> {
  const { client, signal, onView, onOutput } = options
  const tail = new OutputTail(client, first.id)
  onView(first)
  if (first.exitCode !== null) return first
  const { app, environment } = first
  const feed = new ChangeFeed({ ...options, filter: { app, environment } })
  const patience = { ...options, limitMs: limits.followPatienceMs, hasAnswered: true }
  try {
    for (;;) {
      await feed.next(limits.pollEveryMs, signal)
      const view = await askPatiently(() => client.rollout(first.id), patience)
      for (const output of await tail.next()) onOutput(output)
      onView(view)
      if (view.exitCode !== null) return view
    }
  } finally {
    await feed.stop()
  }
}
