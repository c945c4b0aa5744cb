// A rollout in waves, with a once run, in words: who swaps when, what is waited for and how long, and an
// end that names every host that is not on the release.

import t from 'tap'
import { rolloutEnd } from '#cli/follow/rollout-end.ts'
import { RolloutNarrator } from '#cli/follow/rollout-narrator.ts'
import { plain } from '#cli/output/text.ts'
import type { RolloutView } from '#shared/api/schemas.ts'
import {
  committed,
  hostIdOf,
  oldRelease,
  participant,
  phasesOf,
  rollout,
  startedAt,
  swapped,
} from '../../integration/cli-views.ts'

function told(...views: RolloutView[]): string[][] {
  const narrator = new RolloutNarrator()
  return views.map((view, at) => narrator.next(view, startedAt + at * 1000).map(plain))
}

const waves = [
  { name: 'canary', soakMs: null },
  { name: null, soakMs: 0 },
]
const phases = phasesOf(['staging', 7000], ['activating', 300], ['verifying', 0])
const canary = participant('web-1', { ...swapped, wave: 0 })
const others = (changes: Partial<RolloutView['participants'][number]>) =>
  ['web-2', 'web-3'].map((name) => participant(name, { wave: 1, ...changes }))
const inWaves = (changes: Partial<RolloutView>): RolloutView =>
  rollout({ waves, phases, phase: 'verifying', participants: [canary, ...others({})], ...changes })

void t.test('a canary, a pause, and the rest', async (t) => {
  const ready = { phase: 'ready' as const }
  const pause = { step: 'pause' as const, since: startedAt }
  const barrier = { step: 'barrier' as const, since: startedAt }
  const second = phasesOf(
    ['staging', 7000],
    ['activating', 300],
    ['verifying', 9000],
    ['activating', 200],
  )
  t.same(
    told(
      inWaves({
        phase: 'activating',
        phases: phases.slice(0, 2),
        participants: [
          participant('web-1', { counted: true, phase: 'activating' }),
          ...others(ready),
        ],
      }),
      inWaves({ participants: [{ ...canary, phase: 'active' }, ...others(ready)] }),
      inWaves({ between: pause, deadlineAt: startedAt + 3_602_000 }),
      inWaves({ between: pause, deadlineAt: startedAt + 3_602_000 }),
      inWaves({ between: barrier, deadlineAt: startedAt + 304_000 }),
      inWaves({
        phase: 'activating',
        phases: second,
        wave: 1,
        participants: [canary, ...others({ counted: true, phase: 'activating' })],
      }),
    ),
    [
      [
        'rollout of shop from 0.0.11 to 0.0.12 in production, 3 hosts, by admin-1, r-1',
        'wave 1 of 2 (canary) open: swapping web-1',
        'swapped 0/1; waiting for web-1 (activating)',
      ],
      ['swapped: 1 host', 'healthy 0/1; waiting for web-1 (active)'],
      [
        'wave 1 of 2 (canary) is healthy; waits for `lockstep continue`, goes back by itself in 1 h 00 min',
      ],
      [],
      [
        'wave 1 of 2 (canary) is over; the next hosts have 5 min 00 s to be ready again',
        'ready 0/2; waiting for web-2 (not begun), web-3 (not begun)',
      ],
      [
        'wave 2 of 2 open: swapping web-2 and web-3',
        'swapped 1/3; waiting for web-2 (activating), web-3 (activating)',
      ],
    ],
  )
})

void t.test('a rest is told once, with the time that is left', async (t) => {
  const between = { step: 'soak' as const, since: startedAt }
  const resting = inWaves({ between, deadlineAt: startedAt + 600_000 })
  const [first, second] = told(resting, resting)
  t.match(first?.at(-1), 'wave 1 of 2 (canary) is healthy; resting, 10 min 00 s left')
  t.same(second, [])
})

void t.test('who makes the once run, and how it ended', async (t) => {
  const once = (state: 'told' | 'done' | 'failed', message: string | null = null) =>
    rollout({
      phase: 'preparing',
      phases: phasesOf(['staging', 7000], ['preparing', 0]),
      once: { state, name: 'web-1', message },
      participants: [participant('web-1', { phase: 'ready' })],
    })
  t.same(told(once('told'), once('done')), [
    [
      'rollout of shop from 0.0.11 to 0.0.12 in production, 1 host, by admin-1, r-1',
      'web-1 makes the once run; no host swaps before it is done',
    ],
    ['once run done on web-1', 'ready 1/1'],
  ])
  t.same(told(once('failed', 'exit code 3'))[0]?.at(1), 'once run failed on web-1: exit code 3')
})

void t.test('a failed once run ends in its own words', async (t) => {
  const view = rollout({
    phase: 'aborted',
    reason: 'once-failed',
    exitCode: 4,
    endedAt: startedAt + 9000,
    phases: phasesOf(['staging', 7000], ['preparing', 2000], ['aborted', 0]),
    once: { state: 'failed', name: 'web-1', message: 'exit code 3: no such column' },
  })
  t.same(rolloutEnd(view).map(plain), [
    'aborted: no host was told to swap; shop in production stays on 0.0.11',
    '  why       the once run failed',
    '  once run  failed on web-1: exit code 3: no such column',
    '  took      9 s: staging 7 s, preparing 2 s',
    '  next      No host swapped. Correct the release or the run, then deploy again.',
  ])
})

void t.test('an end names every host that is not on the release', async (t) => {
  const named = (name: string, reason: string) => ({ host: hostIdOf(name), name, reason })
  const view = committed({
    waves,
    wave: 1,
    once: { state: 'done', name: 'web-1', message: null },
    phases: phasesOf(
      ['staging', 7000],
      ['preparing', 1000],
      ['activating', 100],
      ['verifying', 2000],
      ['activating', 200],
      ['verifying', 3000],
      ['committed', 0],
    ),
    endedAt: startedAt + 13_300,
    participants: [
      canary,
      participant('web-2', { ...swapped, wave: 1, state: 'dropped', phase: 'unknown' }),
      participant('web-3', { state: 'left-behind', phase: 'fetching' }),
    ],
    excluded: [named('web-4', 'not selected by role=web')],
    drained: [named('web-5', 'new disks')],
    skewMs: null,
  })
  t.same(rolloutEnd(view).map(plain), [
    'committed: shop 0.0.12 runs on 1 of 5 hosts in production',
    '  once run     done on web-1',
    '  dropped      web-2 was lost after the decision (unknown); takes 0.0.12 when it is back',
    '  left behind  web-3 was not ready (fetching); takes what is committed by itself',
    '  excluded     web-4 keeps what it runs: not selected by role=web',
    '  drained      web-5 takes no part: new disks',
    '  swap         2 hosts',
    '  took         13.3 s: staging 7 s, preparing 1 s, activating 300 ms, verifying 5 s',
  ])
  const back = {
    ...view,
    phase: 'rolled-back' as const,
    reason: 'pause-deadline',
    exitCode: 3,
    wave: 0,
    participants: [participant('web-1', { counted: true, runs: oldRelease.version })],
  }
  const lines = rolloutEnd(back).map(plain)
  t.ok(lines.includes('  why       nobody let the next wave go on'))
  t.ok(lines.includes('  reached   wave 1 of 2 (canary)'))
})
