// A request for a release as the HTTP API hands it to the machine.

import type { RolloutRequest } from '#shared/environment/events.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'

export function requestOf(
  id: string,
  release: Release,
  changes: Partial<RolloutRequest> = {},
): RolloutRequest {
  return {
    id,
    release,
    requirement: { kind: 'all', value: 0 },
    waitMs: limits.stageDeadlineMs,
    exclude: {},
    allowEmpty: false,
    waves: [],
    once: null,
    force: false,
    requestedBy: 'test',
    requestKey: null,
    ...changes,
  }
}
