// The expected result of every event in every phase, as one line each:
// the phase after; what was decided; what is told; the answer. "-" is nothing.
// An open rollout goes to v2, v1 is committed, three hosts a, b and c take part.

import type { EventType } from '#shared/environment/events.ts'
import type { MachinePhase } from '#shared/environment/state.ts'

/** Variant → result; every variant of variants.ts that the cell is about. */
export type Cell = Readonly<Record<string, string>>
export type Table = Readonly<Record<MachinePhase, Readonly<Record<EventType, Cell>>>>

export const table: Table = {
  settled: {
    'release-desired': {
      'another version': 'staging | stage | tell-all | started',
      'the committed version': 'settled | - | - | unchanged',
      'nobody selected': 'settled | - | - | nobody-selected',
      'an unknown host excluded': 'settled | - | - | unknown-host',
      'more than there are': 'settled | - | - | too-few-hosts',
    },
    'cancel-requested': {
      'whichever is open': 'settled | - | - | nothing-to-cancel',
      'another rollout': 'settled | - | - | nothing-to-cancel',
    },
    'recover-requested': { 'a release': 'settled | - | - | not-fenced' },
    'host-joined': {
      'a new host': 'settled | - | - | -',
      'a member': 'settled | - | - | -',
      'a member under another name': 'settled | - | - | -',
    },
    'host-removed': {
      'a member': 'settled | - | - | -',
      'a stranger': 'settled | - | - | -',
    },
    'host-reported': {
      'the newest fence': 'settled | - | - | -',
      'an older fence': 'settled | - | tell a | -',
      'no fence': 'settled | - | tell a | -',
      'an unknown hash': 'fenced | - | - | -',
      'a higher fence': 'fenced | - | - | -',
      'a conflict': 'fenced | - | - | -',
      'an older session': 'settled | - | - | -',
      'an older report': 'settled | - | - | -',
      'a stranger': 'settled | - | - | -',
    },
    'session-closed': {
      'its session': 'settled | - | - | -',
      'another session': 'settled | - | - | -',
    },
    'deadline-passed': { 'at any time': 'settled | - | - | -' },
  },
  staging: {
    'release-desired': {
      'the version of the rollout': 'staging | - | - | open',
      'another version': 'staging | settle, stage | tell-all, tell-all | started',
      'the committed version': 'settled | settle | tell-all | returned',
      'nobody selected': 'staging | - | - | nobody-selected',
      'more than there are': 'staging | - | - | too-few-hosts',
    },
    'cancel-requested': {
      'whichever is open': 'settled | settle | tell-all | cancelled',
      'that rollout': 'settled | settle | tell-all | cancelled',
      'another rollout': 'staging | - | - | nothing-to-cancel',
    },
    'recover-requested': { 'a release': 'staging | - | - | not-fenced' },
    'host-joined': {
      'a new host': 'staging | - | - | -',
      'a member': 'staging | - | - | -',
      'a member under another name': 'staging | - | - | -',
    },
    'host-removed': {
      'a member': 'staging | - | - | -',
      'the last that was not ready': 'activating | activate | tell-all | -',
      'the last member': 'settled | settle | tell-all | -',
      'a stranger': 'staging | - | - | -',
    },
    'host-reported': {
      'the newest fence': 'staging | - | - | -',
      'the last ready': 'activating | activate | tell-all | -',
      'ready for another tree': 'staging | - | - | -',
      'ready with another way back': 'staging | - | - | -',
      'ready away from the fallback': 'staging | - | - | -',
      'the last ready of an older fence': 'staging | - | tell a | -',
      'an older fence': 'staging | - | tell a | -',
      'no fence': 'staging | - | tell a | -',
      'a failure': 'staging | - | - | -',
      'an unknown hash': 'fenced | - | - | -',
      'a higher fence': 'fenced | - | - | -',
      'a conflict': 'fenced | - | - | -',
      'an older session': 'staging | - | - | -',
      'an older report': 'staging | - | - | -',
      'a stranger': 'staging | - | - | -',
    },
    'session-closed': {
      'its session': 'staging | - | - | -',
      'another session': 'staging | - | - | -',
    },
    'deadline-passed': {
      'too early': 'staging | - | - | -',
      'with nobody ready': 'settled | settle | tell-all | -',
      'with all but one ready': 'settled | settle | tell-all | -',
      'with enough ready': 'activating | activate | tell-all | -',
    },
  },
  activating: {
    'release-desired': {
      'the version of the rollout': 'activating | - | - | open',
      'another version': 'activating | - | - | rollout-open',
      'the committed version': 'activating | - | - | rollout-open',
    },
    'cancel-requested': {
      'whichever is open': 'rolling-back | roll-back | tell-all | cancelled',
      'that rollout': 'rolling-back | roll-back | tell-all | cancelled',
      'another rollout': 'activating | - | - | nothing-to-cancel',
    },
    'recover-requested': { 'a release': 'activating | - | - | not-fenced' },
    'host-joined': {
      'a new host': 'activating | - | - | -',
      'a member': 'activating | - | - | -',
      'a member under another name': 'activating | - | - | -',
    },
    'host-removed': {
      'a member': 'rolling-back | roll-back | tell-all | -',
      'one of more than are required': 'activating | - | - | -',
      'one that was left behind': 'activating | - | - | -',
      'a stranger': 'activating | - | - | -',
    },
    'host-reported': {
      'the newest fence': 'activating | - | - | -',
      'active': 'activating | - | - | -',
      'the last active': 'verifying | - | - | -',
      'the last healthy': 'settled | settle | tell-all | -',
      'the last active of an older fence': 'activating | - | tell a | -',
      'one that was left behind': 'activating | - | - | -',
      'a failure': 'rolling-back | roll-back | tell-all | -',
      'a failure of an older fence': 'activating | - | tell a | -',
      'an older fence': 'activating | - | tell a | -',
      'no fence': 'activating | - | tell a | -',
      'an unknown hash': 'fenced | - | - | -',
      'a higher fence': 'fenced | - | - | -',
      'a conflict': 'fenced | - | - | -',
      'an older session': 'activating | - | - | -',
      'an older report': 'activating | - | - | -',
      'a stranger': 'activating | - | - | -',
    },
    'session-closed': {
      'its session': 'activating | - | - | -',
      'another session': 'activating | - | - | -',
    },
    'deadline-passed': {
      'too early': 'activating | - | - | -',
      'with one lost': 'rolling-back | roll-back | tell-all | -',
      'with one lost that may be dropped': 'verifying | - | - | -',
      'with all lost': 'rolling-back | roll-back | tell-all | -',
    },
  },
  verifying: {
    'release-desired': {
      'the version of the rollout': 'verifying | - | - | open',
      'another version': 'verifying | - | - | rollout-open',
      'the committed version': 'verifying | - | - | rollout-open',
    },
    'cancel-requested': {
      'whichever is open': 'rolling-back | roll-back | tell-all | cancelled',
      'that rollout': 'rolling-back | roll-back | tell-all | cancelled',
      'another rollout': 'verifying | - | - | nothing-to-cancel',
    },
    'recover-requested': { 'a release': 'verifying | - | - | not-fenced' },
    'host-joined': {
      'a new host': 'verifying | - | - | -',
      'a member': 'verifying | - | - | -',
      'a member under another name': 'verifying | - | - | -',
    },
    'host-removed': {
      'a member': 'rolling-back | roll-back | tell-all | -',
      'one of more than are required': 'verifying | - | - | -',
      'one that was left behind': 'verifying | - | - | -',
      'a stranger': 'verifying | - | - | -',
    },
    'host-reported': {
      'the newest fence': 'verifying | - | - | -',
      'healthy': 'verifying | - | - | -',
      'the last healthy': 'settled | settle | tell-all | -',
      'the last healthy of an older fence': 'verifying | - | tell a | -',
      'one that was left behind': 'verifying | - | - | -',
      'a failure': 'rolling-back | roll-back | tell-all | -',
      'an older fence': 'verifying | - | tell a | -',
      'no fence': 'verifying | - | tell a | -',
      'an unknown hash': 'fenced | - | - | -',
      'a higher fence': 'fenced | - | - | -',
      'a conflict': 'fenced | - | - | -',
      'an older session': 'verifying | - | - | -',
      'an older report': 'verifying | - | - | -',
      'a stranger': 'verifying | - | - | -',
    },
    'session-closed': {
      'its session': 'verifying | - | - | -',
      'another session': 'verifying | - | - | -',
    },
    'deadline-passed': {
      'too early': 'verifying | - | - | -',
      'with one lost': 'rolling-back | roll-back | tell-all | -',
      'with one lost that may be dropped': 'settled | settle | tell-all | -',
      'with all lost': 'rolling-back | roll-back | tell-all | -',
    },
  },
  'rolling-back': {
    'release-desired': {
      'the version of the rollout': 'rolling-back | - | - | open',
      'another version': 'rolling-back | - | - | rollout-open',
      'the committed version': 'rolling-back | - | - | rollout-open',
    },
    'cancel-requested': {
      'whichever is open': 'rolling-back | - | - | cancelled',
      'that rollout': 'rolling-back | - | - | cancelled',
      'another rollout': 'rolling-back | - | - | nothing-to-cancel',
    },
    'recover-requested': { 'a release': 'rolling-back | - | - | not-fenced' },
    'host-joined': {
      'a new host': 'rolling-back | - | - | -',
      'a member': 'rolling-back | - | - | -',
      'a member under another name': 'rolling-back | - | - | -',
    },
    'host-removed': {
      'a member': 'rolling-back | - | - | -',
      'the last that was not back': 'settled | - | - | -',
      'the last member': 'settled | - | - | -',
      'a stranger': 'rolling-back | - | - | -',
    },
    'host-reported': {
      'the newest fence': 'rolling-back | - | - | -',
      'back': 'rolling-back | - | - | -',
      'the last back': 'settled | - | - | -',
      'the last back of an older fence': 'rolling-back | - | tell a | -',
      'a failure': 'rolling-back | - | - | -',
      'an older fence': 'rolling-back | - | tell a | -',
      'no fence': 'rolling-back | - | tell a | -',
      'an unknown hash': 'fenced | - | - | -',
      'a higher fence': 'fenced | - | - | -',
      'a conflict': 'fenced | - | - | -',
      'an older session': 'rolling-back | - | - | -',
      'an older report': 'rolling-back | - | - | -',
      'a stranger': 'rolling-back | - | - | -',
    },
    'session-closed': {
      'its session': 'rolling-back | - | - | -',
      'another session': 'rolling-back | - | - | -',
    },
    'deadline-passed': {
      'too early': 'rolling-back | - | - | -',
      'with one lost': 'settled | - | - | -',
      'with all lost': 'settled | - | - | -',
    },
  },
  fenced: {
    'release-desired': {
      'the version of the rollout': 'fenced | - | - | fenced',
      'another version': 'fenced | - | - | fenced',
      'the committed version': 'fenced | - | - | fenced',
    },
    'cancel-requested': {
      'whichever is open': 'fenced | - | - | fenced',
      'that rollout': 'fenced | - | - | fenced',
      'another rollout': 'fenced | - | - | fenced',
    },
    'recover-requested': {
      'a release': 'settled | settle | tell-all | recovered',
      'no release, all on the committed one': 'settled | settle | tell-all | recovered',
      'no release, one elsewhere': 'fenced | - | - | run-required',
    },
    'host-joined': {
      'a new host': 'fenced | - | - | -',
      'a member': 'fenced | - | - | -',
      'a member under another name': 'fenced | - | - | -',
    },
    'host-removed': {
      'a member': 'fenced | - | - | -',
      'the one that fences': 'staging | - | tell-all | -',
      'a stranger': 'fenced | - | - | -',
    },
    'host-reported': {
      'the newest fence': 'fenced | - | - | -',
      'the last ready': 'fenced | - | - | -',
      'an older fence': 'fenced | - | - | -',
      'no fence': 'fenced | - | - | -',
      'an unknown hash': 'fenced | - | - | -',
      'a higher fence': 'fenced | - | - | -',
      'a conflict': 'fenced | - | - | -',
      'an older session': 'fenced | - | - | -',
      'an older report': 'fenced | - | - | -',
      'a stranger': 'fenced | - | - | -',
    },
    'session-closed': {
      'its session': 'fenced | - | - | -',
      'another session': 'fenced | - | - | -',
    },
    'deadline-passed': { 'at any time': 'fenced | - | - | -' },
  },
}
