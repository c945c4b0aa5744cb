// A host without a trust file, for tests that are about something else: every release is let in.

import type { ReleaseTrust } from '#agent/app-disk.ts'

export const noTrust: ReleaseTrust = {
  admit: async () => null,
  commit: async () => true,
  refresh: async () => undefined,
  refusal: () => null,
}
