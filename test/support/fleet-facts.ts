// Releases, fences, reports and messages as tests of both daemons say them: good ones, to be changed.

import type { Fence } from '#shared/fence.ts'
import type { Release } from '#shared/release.ts'
import { declaresNothing, type Report } from '#shared/report.ts'
import type { DesiredMessage, Hello, ObservedMessage } from '#shared/wire/messages.ts'

export const shop = { app: 'shop', environment: 'production' } as const

/** Whoever asks, and why: for requests of every kind. */
export const asker = { by: 'operator', why: null, what: 'deploy' } as const

/** A digest that is easy to tell from others: the letter, 64 times. */
export function digestOf(letter: string): string {
  return letter.repeat(64)
}

export function releaseOf(version: string, letter: string): Release {
  return { version, tree: digestOf(letter) }
}

export const one = releaseOf('1.0.0', '1')
export const two = releaseOf('2.0.0', '2')

export function fenceOf(term: number, epoch: number, letter = 'f'): Fence {
  return { term, epoch, hash: digestOf(letter) }
}

export function reportOf(changes: Partial<Report> = {}): Report {
  return {
    seq: 1,
    fence: null,
    phase: 'idle',
    failure: null,
    current: null,
    standing: 'before',
    ready: null,
    progress: null,
    activation: null,
    conflict: null,
    clock: null,
    serving: false,
    declares: declaresNothing,
    once: null,
    ...changes,
  }
}

export function helloOf(changes: Partial<Hello> = {}): Hello {
  return {
    type: 'hello',
    protocol: 1,
    agentVersion: '0.0.1',
    instance: 'a'.repeat(32),
    apps: [{ ...shop }],
    labels: {},
    ...changes,
  }
}

export function observedOf(changes: Partial<ObservedMessage> = {}): ObservedMessage {
  return { type: 'observed', ...shop, ...reportOf(), ...changes } as ObservedMessage
}

export function desiredMessageOf(changes: Partial<DesiredMessage> = {}): DesiredMessage {
  return {
    type: 'desired',
    ...shop,
    fence: fenceOf(1, 1),
    kind: 'stage',
    hold: false,
    run: { release: null, fallback: null, activateAt: null },
    stage: one,
    once: false,
    drain: false,
    history: [],
    ...changes,
  }
}
