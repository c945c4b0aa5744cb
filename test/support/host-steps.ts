// The steps of a host that has none of its own: everything is done as soon as it is asked for.

import type { AppPorts, HostSteps } from '#agent/runtime/ports.ts'
import { declaresNothing } from '#shared/report.ts'

export const trivialSteps: HostSteps & Pick<AppPorts, 'declares' | 'drift'> = {
  preflight: async () => ({ kind: 'done' }),
  beforeActivate: async () => ({ kind: 'done' }),
  steps: async () => ({ kind: 'done' }),
  onFailure: () => undefined,
  probe: async () => ({ kind: 'done' }),
  runOnce: async () => ({ kind: 'done' }),
  onceGone: async () => undefined,
  declares: declaresNothing,
  drift: 'repair',
}
