// The expected result of every event in every phase of a host, as one line each: the phase after,
// and what is started. v1 runs and v2 comes (variants.ts); `idle` has never heard of a release. An
// end that nothing waits for is harmless, in every phase.

import type { EventType } from '#shared/activation/events.ts'
import type { HostPhase } from '#shared/report.ts'

/** Variant → result; every variant of variants.ts that the cell is about. */
export type Cell = Readonly<Record<string, string>>
export type Table = Readonly<Record<HostPhase, Readonly<Record<EventType, Cell>>>>

export const table: Table = {
  idle: {
    'session-opened': {
      'a new session': 'idle | report',
    },
    'session-closed': {
      'its session': 'idle | -',
      'another session': 'idle | -',
    },
    'desired-received': {
      'to stage another': 'fetching | stage v1, report',
      'to activate': 'fetching | schedule 9, stage v2, report',
      'to go back': 'fetching | stage v1, report',
      'to settle on v2': 'fetching | stage v2, report',
      'to hold': 'idle | report',
      'the same again': 'idle | report',
      'the same at another time': 'idle | report',
      'of another session': 'idle | -',
    },
    'disk-observed': {
      'the same': 'idle | report',
      'another link': 'idle | report',
      'a directory': 'idle | report',
      'no reading it': 'idle | report',
    },
    'activation-due': {
      'its fence': 'idle | -',
      'another fence': 'idle | -',
    },
    'stage-progressed': {
      'its release': 'idle | -',
      'another release': 'idle | -',
    },
    'stage-ended': {
      'staged': 'idle | -',
      'cancelled': 'idle | -',
      'failed': 'idle | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'idle | -',
      'failed': 'idle | -',
      'swapped under a lower fence': 'idle | -',
      'failed under a lower fence': 'idle | -',
    },
    'reload-ended': {
      'reloaded': 'idle | -',
      'failed': 'idle | -',
      'reloaded under a lower fence': 'idle | -',
    },
    'attest-ended': {
      'whole': 'idle | -',
      'drifted': 'idle | -',
      'whole under a lower fence': 'idle | -',
    },
    'attest-due': {
      'any time': 'idle | -',
    },
    'retry-due': {
      'any time': 'idle | -',
    },
  },
  fetching: {
    'session-opened': {
      'a new session': 'fetching | report',
    },
    'session-closed': {
      'its session': 'fetching | -',
      'another session': 'fetching | -',
    },
    'desired-received': {
      'to stage another': 'fetching | cancel-stage, attest v1, report',
      'to activate': 'fetching | schedule 9, report',
      'to go back': 'active | cancel-stage, attest v1, report',
      'to settle on v2': 'fetching | serve no more, report',
      'to hold': 'idle | cancel-stage, report',
      'the same again': 'fetching | -',
      'the same at another time': 'fetching | -',
      'a lower fence': 'fetching | -',
      'another hash': 'fetching | raise-conflict, report',
      'of another session': 'fetching | -',
    },
    'disk-observed': {
      'the same': 'fetching | report',
      'another link': 'activating | swap v1, report',
      'a directory': 'failed | serve no more, report',
      'no reading it': 'failed | serve no more, report',
    },
    'activation-due': {
      'its fence': 'fetching | -',
      'another fence': 'fetching | -',
    },
    'stage-progressed': {
      'its release': 'fetching | report',
      'another release': 'fetching | -',
    },
    'stage-ended': {
      'staged': 'staged | attest v2, report',
      'cancelled': 'fetching | stage v2',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'activating | swap v1, report',
      'failed': 'failed | retry-later 0, serve no more, report',
      'swapped under a lower fence': 'activating | swap v1, report',
      'failed under a lower fence': 'fetching | -',
    },
    'reload-ended': {
      'reloaded': 'fetching | -',
      'failed': 'failed | retry-later 0, serve no more, report',
      'reloaded under a lower fence': 'fetching | -',
    },
    'attest-ended': {
      'whole': 'fetching | -',
      'drifted': 'failed | cancel-stage, serve no more, report',
      'whole under a lower fence': 'fetching | attest v1',
    },
    'attest-due': {
      'any time': 'fetching | attest v1',
    },
    'retry-due': {
      'any time': 'fetching | -',
    },
  },
  staged: {
    'session-opened': {
      'a new session': 'staged | report',
    },
    'session-closed': {
      'its session': 'staged | -',
      'another session': 'staged | -',
    },
    'desired-received': {
      'to stage another': 'fetching | stage v3, report',
      'to activate': 'activating | schedule 9, report',
      'to go back': 'active | report',
      'to settle on v2': 'activating | report',
      'to hold': 'idle | report',
      'the same again': 'staged | -',
      'the same at another time': 'staged | -',
      'a lower fence': 'staged | -',
      'another hash': 'staged | raise-conflict, report',
      'of another session': 'staged | -',
    },
    'disk-observed': {
      'the same': 'staged | report',
      'another link': 'staged | report',
      'a directory': 'failed | serve no more, report',
      'no reading it': 'failed | serve no more, report',
    },
    'activation-due': {
      'its fence': 'staged | -',
      'another fence': 'staged | -',
    },
    'stage-progressed': {
      'its release': 'staged | -',
      'another release': 'staged | -',
    },
    'stage-ended': {
      'staged': 'staged | -',
      'cancelled': 'staged | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'activating | swap v1, report',
      'failed': 'failed | retry-later 0, attest v2, serve no more, report',
      'swapped under a lower fence': 'activating | swap v1, report',
      'failed under a lower fence': 'staged | attest v2',
    },
    'reload-ended': {
      'reloaded': 'staged | attest v2',
      'failed': 'failed | retry-later 0, attest v2, serve no more, report',
      'reloaded under a lower fence': 'staged | attest v2',
    },
    'attest-ended': {
      'whole': 'ready | report',
      'drifted': 'failed | stage v1, serve no more, report',
      'whole under a lower fence': 'staged | attest v1+v2',
    },
    'attest-due': {
      'any time': 'staged | -',
    },
    'retry-due': {
      'any time': 'staged | -',
    },
  },
  ready: {
    'session-opened': {
      'a new session': 'ready | report',
    },
    'session-closed': {
      'its session': 'ready | -',
      'another session': 'ready | -',
    },
    'desired-received': {
      'to stage another': 'fetching | stage v3, attest v1, report',
      'to activate': 'activating | schedule 9, report',
      'to go back': 'active | attest v1, report',
      'to settle on v2': 'activating | swap v2, report',
      'to hold': 'idle | report',
      'the same again': 'ready | -',
      'the same at another time': 'ready | -',
      'a lower fence': 'ready | -',
      'another hash': 'ready | raise-conflict, report',
      'of another session': 'ready | -',
    },
    'disk-observed': {
      'the same': 'ready | report',
      'another link': 'activating | swap v1, report',
      'a directory': 'failed | serve no more, report',
      'no reading it': 'failed | serve no more, report',
    },
    'activation-due': {
      'its fence': 'ready | -',
      'another fence': 'ready | -',
    },
    'stage-progressed': {
      'its release': 'ready | -',
      'another release': 'ready | -',
    },
    'stage-ended': {
      'staged': 'staged | attest v2, report',
      'cancelled': 'ready | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'activating | swap v1, report',
      'failed': 'failed | retry-later 0, serve no more, report',
      'swapped under a lower fence': 'activating | swap v1, report',
      'failed under a lower fence': 'ready | -',
    },
    'reload-ended': {
      'reloaded': 'ready | -',
      'failed': 'failed | retry-later 0, serve no more, report',
      'reloaded under a lower fence': 'ready | -',
    },
    'attest-ended': {
      'whole': 'ready | -',
      'drifted': 'failed | stage v1, serve no more, report',
      'whole under a lower fence': 'staged | attest v1+v2, report',
    },
    'attest-due': {
      'any time': 'ready | attest v1+v2',
    },
    'retry-due': {
      'any time': 'ready | -',
    },
  },
  activating: {
    'session-opened': {
      'a new session': 'activating | report',
    },
    'session-closed': {
      'its session': 'activating | -',
      'another session': 'activating | -',
    },
    'desired-received': {
      'to stage another': 'fetching | unschedule, reload, stage v3, report',
      'to activate': 'activating | schedule 9, report',
      'to go back': 'active | unschedule, reload, report',
      'to settle on v2': 'activating | unschedule, swap v2, report',
      'to hold': 'idle | unschedule, reload, report',
      'the same again': 'activating | -',
      'the same at another time': 'activating | schedule 7000',
      'a lower fence': 'activating | -',
      'another hash': 'activating | raise-conflict, report',
      'of another session': 'activating | -',
    },
    'disk-observed': {
      'the same': 'activating | report',
      'another link': 'activating | report',
      'a directory': 'failed | attest v2, serve no more, report',
      'no reading it': 'failed | attest v2, serve no more, report',
    },
    'activation-due': {
      'its fence': 'activating | unschedule, swap v2',
      'another fence': 'activating | -',
    },
    'stage-progressed': {
      'its release': 'activating | -',
      'another release': 'activating | -',
    },
    'stage-ended': {
      'staged': 'activating | attest v2',
      'cancelled': 'activating | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'active | reload, report',
      'failed': 'failed | serve no more, report',
      'swapped under a lower fence': 'active | unschedule, reload, report',
      'failed under a lower fence': 'activating | -',
    },
    'reload-ended': {
      'reloaded': 'activating | -',
      'failed': 'failed | serve no more, report',
      'reloaded under a lower fence': 'activating | -',
    },
    'attest-ended': {
      'whole': 'activating | -',
      'drifted': 'failed | stage v2, serve no more, report',
      'whole under a lower fence': 'activating | -',
    },
    'attest-due': {
      'any time': 'activating | -',
    },
    'retry-due': {
      'any time': 'activating | -',
    },
  },
  active: {
    'session-opened': {
      'a new session': 'active | report',
    },
    'session-closed': {
      'its session': 'active | -',
      'another session': 'active | -',
    },
    'desired-received': {
      'to stage another': 'fetching | stage v3, report',
      'to activate': 'active | report',
      'to go back': 'activating | report',
      'to settle on v2': 'active | report',
      'to hold': 'idle | report',
      'the same again': 'active | -',
      'the same at another time': 'active | -',
      'a lower fence': 'active | -',
      'another hash': 'active | raise-conflict, report',
      'of another session': 'active | -',
    },
    'disk-observed': {
      'the same': 'active | report',
      'another link': 'activating | report',
      'a directory': 'failed | serve no more, report',
      'no reading it': 'failed | serve no more, report',
    },
    'activation-due': {
      'its fence': 'active | -',
      'another fence': 'active | -',
    },
    'stage-progressed': {
      'its release': 'active | -',
      'another release': 'active | -',
    },
    'stage-ended': {
      'staged': 'active | -',
      'cancelled': 'active | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'active | reload',
      'failed': 'failed | attest v2, serve no more, report',
      'swapped under a lower fence': 'active | reload, report',
      'failed under a lower fence': 'active | reload',
    },
    'reload-ended': {
      'reloaded': 'active | attest v2',
      'failed': 'failed | attest v2, serve no more, report',
      'reloaded under a lower fence': 'active | reload',
    },
    'attest-ended': {
      'whole': 'active | reload',
      'drifted': 'failed | reload, stage v2, serve no more, report',
      'whole under a lower fence': 'active | reload',
    },
    'attest-due': {
      'any time': 'active | -',
    },
    'retry-due': {
      'any time': 'active | -',
    },
  },
  healthy: {
    'session-opened': {
      'a new session': 'healthy | report',
    },
    'session-closed': {
      'its session': 'healthy | -',
      'another session': 'healthy | -',
    },
    'desired-received': {
      'to stage another': 'activating | swap v1, stage v3, report',
      'to activate': 'active | attest v2, report',
      'to go back': 'activating | swap v1, report',
      'to settle on v2': 'active | attest v2, report',
      'to hold': 'idle | report',
      'the same again': 'healthy | -',
      'the same at another time': 'healthy | -',
      'a lower fence': 'healthy | -',
      'another hash': 'healthy | raise-conflict, report',
      'of another session': 'healthy | -',
    },
    'disk-observed': {
      'the same': 'healthy | report',
      'another link': 'activating | swap v2, report',
      'a directory': 'failed | serve no more, report',
      'no reading it': 'failed | serve no more, report',
    },
    'activation-due': {
      'its fence': 'healthy | -',
      'another fence': 'healthy | -',
    },
    'stage-progressed': {
      'its release': 'healthy | -',
      'another release': 'healthy | -',
    },
    'stage-ended': {
      'staged': 'active | attest v2, report',
      'cancelled': 'healthy | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'active | attest v2, report',
      'failed': 'failed | serve no more, report',
      'swapped under a lower fence': 'active | attest v2, report',
      'failed under a lower fence': 'healthy | -',
    },
    'reload-ended': {
      'reloaded': 'healthy | -',
      'failed': 'failed | serve no more, report',
      'reloaded under a lower fence': 'healthy | -',
    },
    'attest-ended': {
      'whole': 'healthy | -',
      'drifted': 'failed | stage v2, serve no more, report',
      'whole under a lower fence': 'active | attest v2, report',
    },
    'attest-due': {
      'any time': 'healthy | attest v2',
    },
    'retry-due': {
      'any time': 'healthy | -',
    },
  },
  failed: {
    'session-opened': {
      'a new session': 'fetching | stage v2, report',
    },
    'session-closed': {
      'its session': 'failed | -',
      'another session': 'failed | -',
    },
    'desired-received': {
      'to stage another': 'fetching | stage v3, attest v1, report',
      'to activate': 'fetching | schedule 9, stage v2, report',
      'to go back': 'active | attest v1, report',
      'to settle on v2': 'fetching | stage v2, serve no more, report',
      'to hold': 'idle | report',
      'the same again': 'failed | -',
      'the same at another time': 'failed | -',
      'a lower fence': 'failed | -',
      'another hash': 'failed | raise-conflict, report',
      'of another session': 'failed | -',
    },
    'disk-observed': {
      'the same': 'failed | report',
      'another link': 'failed | swap v1, report',
      'a directory': 'failed | serve no more, report',
      'no reading it': 'failed | serve no more, report',
    },
    'activation-due': {
      'its fence': 'failed | -',
      'another fence': 'failed | -',
    },
    'stage-progressed': {
      'its release': 'failed | -',
      'another release': 'failed | -',
    },
    'stage-ended': {
      'staged': 'failed | attest v2',
      'cancelled': 'failed | -',
      'failed': 'failed | retry-later 1',
    },
    'swap-ended': {
      'swapped': 'failed | swap v1, report',
      'failed': 'failed | retry-later 0, serve no more, report',
      'swapped under a lower fence': 'failed | swap v1, report',
      'failed under a lower fence': 'failed | -',
    },
    'reload-ended': {
      'reloaded': 'failed | -',
      'failed': 'failed | retry-later 0, serve no more, report',
      'reloaded under a lower fence': 'failed | -',
    },
    'attest-ended': {
      'whole': 'failed | -',
      'drifted': 'failed | serve no more, report',
      'whole under a lower fence': 'failed | attest v1',
    },
    'attest-due': {
      'any time': 'failed | attest v1',
    },
    'retry-due': {
      'any time': 'fetching | stage v2, report',
    },
  },
}
