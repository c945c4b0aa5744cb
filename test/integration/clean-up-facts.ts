// What clean-up asks of the world, for tests: who uses what as this test's own user sees it, which
// is enough for processes that the test started; and releases that drain at once.

import type { AppLayout } from '#agent/layout/app-layout.ts'
import type { PruneFacts } from '#agent/layout/clean-up.ts'
import { DrainMarks } from '#agent/layout/drain-marks.ts'
import { findUsage } from '#agent/layout/in-use.ts'
import type { AskWhoUses } from '#agent/layout/who-uses.ts'

export const whoOfOursUses: AskWhoUses = async (directories) => {
  const { users } = await findUsage(directories)
  return { kind: 'known', users }
}

export function atOnce(layout: AppLayout): Pick<PruneFacts, 'whoUses' | 'drain'> {
  const drain = { marks: DrainMarks.open(layout), drainMs: 0, now: Date.now }
  return { whoUses: whoOfOursUses, drain }
}
