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
      'a hold': 'idle | report',
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
    'trial-ended': {
      'passed': 'idle | -',
      'refused': 'idle | -',
      'passed under a lower fence': 'idle | -',
    },
    'once-ended': { 'done': 'idle | -' },
    'once-gone': { 'nobody asked': 'idle | -' },
    'attest-due': { 'any time': 'idle | -' },
    'retry-due': { 'any time': 'idle | -' },
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
      'to go back': 'activating | cancel-stage, attest v1, report',
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
      'another link': 'fetching | before-activate v1, report',
      'a directory': 'failed | serve no more, report',
      'a hold': 'failed | cancel-stage, report',
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
      'swapped': 'fetching | before-activate v1, report',
      'failed': 'failed | retry-later 0, serve no more, report',
      'swapped under a lower fence': 'fetching | before-activate v1, report',
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
    'trial-ended': {
      'passed': 'fetching | -',
      'refused': 'fetching | -',
      'passed under a lower fence': 'fetching | -',
    },
    'once-ended': { 'done': 'fetching | -' },
    'once-gone': { 'nobody asked': 'fetching | -' },
    'attest-due': { 'any time': 'fetching | attest v1' },
    'retry-due': { 'any time': 'fetching | -' },
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
      'to stage another': 'fetching | stage v3, attest v1, stop-trial, report',
      'to activate': 'activating | schedule 9, stop-trial, report',
      'to go back': 'activating | attest v1, stop-trial, report',
      'to settle on v2': 'activating | stop-trial, report',
      'to hold': 'idle | stop-trial, report',
      'the same again': 'staged | -',
      'the same at another time': 'staged | -',
      'a lower fence': 'staged | -',
      'another hash': 'staged | raise-conflict, report',
      'of another session': 'staged | -',
    },
    'disk-observed': {
      'the same': 'staged | report',
      'another link': 'staged | stop-trial, report',
      'a directory': 'failed | stop-trial, serve no more, report',
      'a hold': 'failed | stop-trial, report',
      'no reading it': 'failed | stop-trial, serve no more, report',
    },
    'activation-due': {
      'its fence': 'staged | -',
      'its fence, after the hook': 'ready | -',
      'another fence': 'staged | -',
    },
    'stage-progressed': {
      'its release': 'staged | -',
      'another release': 'staged | -',
    },
    'stage-ended': {
      'staged': 'staged | attest v2, stop-trial',
      'cancelled': 'staged | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'staged | attest v2, stop-trial, report',
      'failed': 'failed | retry-later 0, serve no more, report',
      'swapped under a lower fence': 'staged | attest v2, stop-trial, report',
      'failed under a lower fence': 'staged | -',
    },
    'reload-ended': {
      'reloaded': 'staged | -',
      'failed': 'failed | retry-later 0, serve no more, report',
      'reloaded under a lower fence': 'staged | -',
    },
    'attest-ended': {
      'whole': 'staged | -',
      'drifted': 'failed | stage v1, stop-trial, serve no more, report',
      'whole under a lower fence': 'staged | attest v1+v2, stop-trial',
    },
    'trial-ended': {
      'passed': 'ready | report',
      'refused': 'failed | retry-later 0, tell-failure disk-error, report',
      'passed under a lower fence': 'staged | -',
    },
    'once-ended': { 'done': 'staged | -' },
    'once-gone': { 'nobody asked': 'staged | -' },
    'attest-due': { 'any time': 'staged | attest v1+v2' },
    'retry-due': { 'any time': 'staged | -' },
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
      'to activate': 'activating | schedule 9, before-activate v2, report',
      'to go back': 'activating | attest v1, report',
      'to settle on v2': 'activating | preflight v2, serve no more, report',
      'to hold': 'idle | report',
      'the same again': 'ready | -',
      'the same at another time': 'ready | -',
      'a lower fence': 'ready | -',
      'another hash': 'ready | raise-conflict, report',
      'of another session': 'ready | -',
    },
    'disk-observed': {
      'the same': 'ready | report',
      'another link': 'staged | before-activate v1, report',
      'a directory': 'failed | serve no more, report',
      'a hold': 'failed | report',
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
      'swapped': 'staged | attest v2, before-activate v1, report',
      'failed': 'failed | retry-later 0, serve no more, report',
      'swapped under a lower fence': 'staged | attest v2, before-activate v1, report',
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
    'trial-ended': {
      'passed': 'ready | -',
      'refused': 'ready | -',
      'passed under a lower fence': 'ready | -',
    },
    'once-ended': { 'done': 'ready | -' },
    'once-gone': { 'nobody asked': 'ready | -' },
    'attest-due': { 'any time': 'ready | attest v1+v2' },
    'retry-due': { 'any time': 'ready | -' },
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
      'to stage another': 'fetching | unschedule, stage v3, attest v1, stop-trial, report',
      'to activate': 'activating | schedule 9, stop-trial, report',
      'to go back': 'activating | unschedule, attest v1, stop-trial, report',
      'to settle on v2': 'activating | unschedule, stop-trial, report',
      'to hold': 'idle | unschedule, stop-trial, report',
      'the same again': 'activating | -',
      'the same at another time': 'activating | schedule 7000',
      'a lower fence': 'activating | -',
      'another hash': 'activating | raise-conflict, report',
      'of another session': 'activating | -',
    },
    'disk-observed': {
      'the same': 'activating | report',
      'another link': 'activating | report',
      'a directory': 'failed | attest v2, stop-trial, serve no more, report',
      'a hold': 'failed | unschedule, stop-trial, report',
      'no reading it': 'failed | attest v2, stop-trial, serve no more, report',
    },
    'activation-due': {
      'its fence': 'activating | unschedule',
      'its fence, after the hook': 'activating | unschedule, swap v2',
      'another fence': 'activating | -',
    },
    'stage-progressed': {
      'its release': 'activating | -',
      'another release': 'activating | -',
    },
    'stage-ended': {
      'staged': 'activating | attest v2, stop-trial',
      'cancelled': 'activating | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'activating | reload, report',
      'failed': 'failed | tell-failure disk-error, serve no more, report',
      'swapped under a lower fence': 'activating | unschedule, reload, stop-trial, report',
      'failed under a lower fence': 'activating | -',
    },
    'reload-ended': {
      'reloaded': 'activating | -',
      'failed': 'failed | stop-trial, tell-failure disk-error, serve no more, report',
      'reloaded under a lower fence': 'activating | -',
    },
    'attest-ended': {
      'whole': 'activating | -',
      'drifted': 'failed | stage v2, stop-trial, serve no more, report',
      'whole under a lower fence': 'activating | -',
    },
    'trial-ended': {
      'passed': 'activating | -',
      'refused': 'failed | tell-failure disk-error, serve no more, report',
      'passed under a lower fence': 'activating | -',
    },
    'once-ended': { 'done': 'activating | -' },
    'once-gone': { 'nobody asked': 'activating | -' },
    'attest-due': { 'any time': 'activating | -' },
    'retry-due': { 'any time': 'activating | -' },
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
      'to stage another': 'fetching | stage v3, stop-trial, report',
      'to activate': 'activating | attest v2, stop-trial, report',
      'to go back': 'activating | swap v1, stop-trial, report',
      'to settle on v2': 'activating | attest v2, stop-trial, report',
      'to hold': 'idle | stop-trial, report',
      'the same again': 'active | -',
      'the same at another time': 'active | -',
      'a lower fence': 'active | -',
      'another hash': 'active | raise-conflict, report',
      'of another session': 'active | -',
    },
    'disk-observed': {
      'the same': 'active | report',
      'another link': 'activating | stop-trial, report',
      'a directory': 'failed | stop-trial, serve no more, report',
      'a hold': 'failed | stop-trial, report',
      'no reading it': 'failed | stop-trial, serve no more, report',
    },
    'activation-due': {
      'its fence': 'active | -',
      'its fence, after the hook': 'healthy | -',
      'another fence': 'active | -',
    },
    'stage-progressed': {
      'its release': 'active | -',
      'another release': 'active | -',
    },
    'stage-ended': {
      'staged': 'activating | attest v2, stop-trial, report',
      'cancelled': 'active | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'activating | attest v2, stop-trial, report',
      'failed': 'failed | stop-trial, tell-failure disk-error, serve no more, report',
      'swapped under a lower fence': 'activating | attest v2, stop-trial, report',
      'failed under a lower fence': 'active | -',
    },
    'reload-ended': {
      'reloaded': 'active | -',
      'failed': 'failed | stop-trial, tell-failure disk-error, serve no more, report',
      'reloaded under a lower fence': 'active | -',
    },
    'attest-ended': {
      'whole': 'active | -',
      'drifted': 'failed | stage v2, stop-trial, serve no more, report',
      'whole under a lower fence': 'activating | attest v2, stop-trial, report',
    },
    'trial-ended': {
      'passed': 'healthy | report',
      'refused': 'failed | tell-failure disk-error, report',
      'passed under a lower fence': 'active | -',
    },
    'once-ended': { 'done': 'active | -' },
    'once-gone': { 'nobody asked': 'active | -' },
    'attest-due': { 'any time': 'active | attest v2' },
    'retry-due': { 'any time': 'active | -' },
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
      'to stage another': 'fetching | stage v3, preflight v1 with hook, serve no more, report',
      'to activate': 'activating | attest v2, report',
      'to go back': 'activating | swap v1, report',
      'to settle on v2': 'activating | attest v2, report',
      'to hold': 'idle | report',
      'the same again': 'healthy | -',
      'the same at another time': 'healthy | -',
      'a lower fence': 'healthy | -',
      'another hash': 'healthy | raise-conflict, report',
      'of another session': 'healthy | -',
    },
    'disk-observed': {
      'the same': 'healthy | probe v2 confirm, report',
      'another link': 'activating | before-activate v2, report',
      'a directory': 'failed | serve no more, report',
      'a hold': 'failed | report',
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
      'staged': 'activating | attest v2, report',
      'cancelled': 'healthy | -',
      'failed': 'failed | retry-later 0, report',
    },
    'swap-ended': {
      'swapped': 'activating | attest v2, report',
      'failed': 'failed | tell-failure disk-error, serve no more, report',
      'swapped under a lower fence': 'activating | attest v2, report',
      'failed under a lower fence': 'healthy | -',
    },
    'reload-ended': {
      'reloaded': 'healthy | -',
      'failed': 'failed | tell-failure disk-error, serve no more, report',
      'reloaded under a lower fence': 'healthy | -',
    },
    'attest-ended': {
      'whole': 'healthy | -',
      'drifted': 'failed | stage v2, serve no more, report',
      'whole under a lower fence': 'activating | attest v2, report',
    },
    'trial-ended': {
      'passed': 'healthy | -',
      'refused': 'healthy | -',
      'passed under a lower fence': 'healthy | -',
    },
    'once-ended': { 'done': 'healthy | -' },
    'once-gone': { 'nobody asked': 'healthy | -' },
    'attest-due': { 'any time': 'healthy | attest v2' },
    'retry-due': { 'any time': 'healthy | -' },
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
      'to go back': 'activating | attest v1, report',
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
      'another link': 'failed | before-activate v1, report',
      'a directory': 'failed | serve no more, report',
      'a hold': 'failed | report',
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
      'swapped': 'failed | before-activate v1, report',
      'failed': 'failed | retry-later 0, serve no more, report',
      'swapped under a lower fence': 'failed | before-activate v1, report',
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
    'trial-ended': {
      'passed': 'failed | -',
      'refused': 'failed | -',
      'passed under a lower fence': 'failed | -',
    },
    'once-ended': { 'done': 'failed | -' },
    'once-gone': { 'nobody asked': 'failed | -' },
    'attest-due': { 'any time': 'failed | attest v1' },
    'retry-due': { 'any time': 'fetching | stage v2, report' },
  },
}
