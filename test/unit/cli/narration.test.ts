// A rollout in words: each thing once, percentages seldom, and an end that says no more than is known.

import t from 'tap'
import { EnvironmentNarrator } from '#cli/follow/environment-narrator.ts'
import { rolloutEnd } from '#cli/follow/rollout-end.ts'
import { RolloutNarrator } from '#cli/follow/rollout-narrator.ts'
import { RolloutWitness } from '#cli/follow/rollout-witness.ts'
import { plain } from '#cli/output/text.ts'
import type { RolloutView } from '#shared/api/schemas.ts'
import {
  committed,
  environment,
  fleet,
  host,
  newRelease,
  oldRelease,
  participant,
  phasesOf,
  rollout,
  servedApp,
  startedAt,
  swapped,
} from '../../integration/cli-views.ts'

process.env['TZ'] = 'UTC'

const noSpace = {
  code: 'no-space',
  message: '120 MB are free on /var/www and 400 MB are needed',
  hint: 'Free some room there; staging goes on by itself.',
}

/** What is told of each look, one second apart. */
function told(...views: RolloutView[]): string[][] {
  const narrator = new RolloutNarrator()
  return views.map((view, at) => narrator.next(view, startedAt + at * 1000).map(plain))
}

void t.test('a rollout from its start to its end', async (t) => {
  const staging = (...participants: RolloutView['participants']) => rollout({ participants })
  const progress = (bytes: number) => ({
    phase: 'fetching' as const,
    progress: { bytes, bytesTotal: 100 },
  })
  const ready = participant('web-1', { phase: 'ready' })
  const activating = phasesOf(['staging', 7100], ['activating', 0])
  const counted = fleet(2, { counted: true, phase: 'activating' })
  t.same(
    told(
      staging(participant('web-1'), participant('web-2')),
      staging(participant('web-1', progress(12)), participant('web-2', progress(0))),
      staging(participant('web-1', progress(99)), participant('web-2', progress(40))),
      staging(ready, participant('web-2', { phase: 'failed', failure: noSpace })),
      staging(ready, participant('web-2', { phase: 'failed', failure: noSpace })),
      staging(ready, participant('web-2', { phase: 'ready' })),
      rollout({ phase: 'activating', phases: activating, participants: counted }),
      rollout({
        phase: 'activating',
        phases: activating,
        participants: [
          participant('web-1', swapped),
          participant('web-2', { counted: true, phase: 'unknown' }),
        ],
      }),
      rollout({
        phase: 'verifying',
        phases: [...activating, { phase: 'verifying', at: startedAt + 7400 }],
        participants: [
          participant('web-1', swapped),
          participant('web-2', { ...swapped, phase: 'active', activationMode: 'on-receipt' }),
        ],
        skewMs: 3.24,
        skewErrorMs: 0.4,
      }),
      committed({ participants: fleet(2, swapped) }),
    ),
    [
      [
        'rollout of shop from 0.0.11 to 0.0.12 in production, 2 hosts, by admin-1, r-1',
        'ready 0/2; waiting for web-1 (not begun), web-2 (not begun)',
      ],
      ['ready 0/2; waiting for web-1 (fetching 12 %), web-2 (fetching 0 %)'],
      [],
      [
        'web-2 failed: 120 MB are free on /var/www and 400 MB are needed (no-space)',
        '  what to do: Free some room there; staging goes on by itself.',
        'ready 1/2; waiting for web-2 (failed: no-space)',
      ],
      [],
      ['ready 2/2'],
      [
        'barrier open: all 2 ready after 7.1 s; swapping',
        'swapped 0/2; waiting for web-1 (activating), web-2 (activating)',
      ],
      ['swapped 1/2; waiting for web-2 (unknown)'],
      [
        'swapped: 2 hosts, first to last 3.2 ms (± 0.4 ms)',
        'on receipt, their clocks not being sure enough: web-2',
        'healthy 1/2; waiting for web-2 (active)',
      ],
      [],
    ],
  )
})

void t.test('percentages alone make a new line only every 5 s', async (t) => {
  const narrator = new RolloutNarrator()
  const lines = Array.from({ length: 21 }, (_, second) => {
    const progress = { bytes: second, bytesTotal: 20 }
    const view = rollout({ participants: [participant('web-1', { phase: 'fetching', progress })] })
    return narrator.next(view, startedAt + second * 1000).map(plain)
  }).flat()
  t.same(lines.slice(1), [
    'ready 0/1; waiting for web-1 (fetching 0 %)',
    'ready 0/1; waiting for web-1 (fetching 25 %)',
    'ready 0/1; waiting for web-1 (fetching 50 %)',
    'ready 0/1; waiting for web-1 (fetching 75 %)',
    'ready 0/1; waiting for web-1 (fetching 100 %)',
  ])
})

void t.test('a large fleet is one line, the worst first', async (t) => {
  const participants = fleet(50, { phase: 'fetching', progress: { bytes: 1, bytesTotal: 2 } })
  participants[40] = participant('web-41', { phase: 'unknown' })
  participants[45] = participant('web-46', { phase: 'failed', failure: noSpace })
  t.equal(
    told(rollout({ participants })).flat().at(-1),
    'ready 0/50; waiting for web-46 (failed: no-space), web-41 (unknown), web-1 (fetching 50 %), ' +
      'web-2 (fetching 50 %), web-3 (fetching 50 %), web-4 (fetching 50 %) and 44 more',
  )
})

void t.test('a policy and exclusions are told, and who was left behind', async (t) => {
  const excluded = [{ host: 'x'.repeat(26), name: 'web-9', reason: 'new disk' }]
  const phases = phasesOf(['staging', 60_000], ['activating', 0])
  const left = participant('web-3', {
    state: 'left-behind',
    phase: 'fetching',
    progress: { bytes: 1, bytesTotal: 4 },
  })
  t.same(
    told(
      rollout({ require: '60%', excluded, participants: fleet(3, { phase: 'ready' }) }),
      rollout({
        phase: 'activating',
        require: '60%',
        phases,
        excluded,
        participants: [...fleet(2, { counted: true, phase: 'activating' }), left],
      }),
    ),
    [
      [
        'rollout of shop from 0.0.11 to 0.0.12 in production, 3 hosts, by admin-1, r-1',
        'web-9 is excluded: new disk',
        'ready 3/3 (60% needed at 14:18:22)',
      ],
      [
        'barrier open: 2 of 3 ready after 1 min 00 s; swapping',
        'left behind: web-3 (fetching 25 %)',
        'swapped 0/2; waiting for web-1 (activating), web-2 (activating)',
      ],
    ],
  )
})

void t.test('whoever looks late is told what was passed', async (t) => {
  t.same(told(committed()), [
    [
      'rollout of shop from 0.0.11 to 0.0.12 in production, 3 hosts, by admin-1, r-1',
      'barrier open: all 3 ready after 7.1 s; swapping',
      'swapped: 3 hosts, first to last 3.2 ms (± 0.4 ms)',
    ],
  ])
})

void t.test('hostile words of a host stay words', async (t) => {
  const failure = {
    code: 'stage-failed',
    message: 'x\x1b[2J\ncommitted: all well\u202e',
    hint: '\x07',
  }
  const participants = [participant('web-1', { phase: 'failed', failure })]
  t.same(told(rollout({ participants }))[0]?.slice(1, 3), [
    'web-1 failed: x\\x1b[2J\\ncommitted: all well\\u202e (stage-failed)',
    '  what to do: \\x07',
  ])
})

void t.test('the ends', async (t) => {
  const end = (view: RolloutView, ...seen: RolloutView[]) => {
    const witness = new RolloutWitness()
    for (const look of seen) witness.see(look)
    return rolloutEnd(view, witness).map(plain)
  }
  const failure = {
    code: 'reload-failed',
    message: 'php8.2-fpm did not reload',
    hint: 'See its journal.',
  }

  t.same(end(committed()), [
    'committed: shop 0.0.12 runs on all 3 hosts in production',
    '  swap  3 hosts, first to last 3.2 ms (± 0.4 ms)',
    '  took  12.4 s: staging 7.1 s, activating 300 ms, verifying 5 s',
  ])
  t.same(
    end(
      committed({
        participants: [
          ...fleet(2, swapped),
          participant('web-3', { counted: true, state: 'dropped', phase: 'unknown' }),
          participant('web-4', {
            state: 'left-behind',
            phase: 'fetching',
            progress: { bytes: 1, bytesTotal: 4 },
          }),
          participant('web-5', { state: 'removed', phase: 'unknown' }),
        ],
        excluded: [{ host: 'x'.repeat(26), name: 'web-9', reason: 'new disk' }],
        require: '2',
      }),
    ),
    [
      'committed: shop 0.0.12 runs on 2 of 5 hosts in production',
      '  dropped      web-3 was lost after the decision (unknown); takes 0.0.12 when it is back',
      '  left behind  web-4 was not ready (fetching 25 %); takes what is committed by itself',
      '  removed      web-5 is no host any more',
      '  excluded     web-9 keeps what it runs: new disk',
      '  swap         2 hosts, first to last 3.2 ms (± 0.4 ms)',
      '  took         12.4 s: staging 7.1 s, activating 300 ms, verifying 5 s',
    ],
    'who was not taken along is named',
  )
  t.match(
    end(committed({ participants: [], phases: phasesOf(['committed', 0]), endedAt: startedAt })),
    ['committed: shop 0.0.12 is what hosts get that join production; it has none yet'],
  )
  t.match(
    end(committed({ participants: fleet(1, swapped) }))[0],
    /runs on the one host in production/,
  )

  const back = phasesOf(
    ['staging', 7100],
    ['activating', 300],
    ['rolling-back', 900],
    ['rolled-back', 0],
  )
  const rolledBack = rollout({
    phase: 'rolled-back',
    reason: 'host-failed',
    exitCode: 3,
    phases: back,
    endedAt: startedAt + 8300,
    participants: fleet(2, { counted: true, activatedAt: startedAt }),
  })
  t.same(
    end(
      rolledBack,
      rollout({
        phase: 'verifying',
        participants: [
          participant('web-1', swapped),
          participant('web-2', { ...swapped, failure, phase: 'failed' }),
        ],
      }),
    ),
    [
      'rolled back: shop in production stays on 0.0.11; 0.0.12 was taken back',
      '  why     a host failed after the decision to swap',
      '  failed  web-2 php8.2-fpm did not reload (reload-failed)',
      '          what to do: See its journal.',
      '  swap    2 hosts',
      '  took    8.3 s: staging 7.1 s, activating 300 ms, rolling-back 900 ms',
      '  next    Correct what failed, then deploy again.',
    ],
    'what failed is told though the host is well again',
  )
  t.same(
    end({
      ...rolledBack,
      exitCode: 5,
      unknown: ['web-1', 'web-2'],
      participants: [
        participant('web-1', { counted: true, phase: 'unknown', runs: null }),
        participant('web-2', { counted: true, phase: 'failed', failure, runs: '0.0.12' }),
      ],
    }),
    [
      'rolled back, with hosts unknown: not confirmed by web-1 and web-2; shop in production stays on 0.0.11',
      '  why      a host failed after the decision to swap',
      '  unknown  web-1 does not answer; goes back to 0.0.11 by itself when it does',
      '  unknown  web-2 has not confirmed 0.0.11; runs 0.0.12: php8.2-fpm did not reload (reload-failed)',
      '           what to do: See its journal.',
      '  took     8.3 s: staging 7.1 s, activating 300 ms, rolling-back 900 ms',
      '  next     See `lockstep hosts`: the load balancer should send nothing to a host that is not serving.',
    ],
  )
  const aborted = rollout({
    phase: 'aborted',
    reason: 'stage-deadline',
    exitCode: 4,
    phases: phasesOf(['staging', 900_000], ['aborted', 0]),
    endedAt: startedAt + 900_000,
  })
  t.same(
    end(
      aborted,
      rollout({
        participants: [
          participant('web-1', { phase: 'ready' }),
          participant('web-2', { phase: 'failed', failure: noSpace }),
          participant('web-3', { phase: 'unknown' }),
        ],
      }),
    ),
    [
      'aborted: no host was told to swap; shop in production stays on 0.0.11',
      '  why        not enough hosts were ready in time',
      '  not ready  web-2 120 MB are free on /var/www and 400 MB are needed (no-space)',
      '             what to do: Free some room there; staging goes on by itself.',
      '  not ready  web-3 unknown',
      '  took       15 min 00 s',
      '  next       Correct what keeps these hosts, or go without them (--exclude HOST=REASON, --require), ' +
        'then deploy again: what is staged is kept.',
    ],
  )
  t.same(end({ ...aborted, reason: 'cancelled', fallback: null }, rollout()), [
    'aborted: no host was told to swap; shop in production has no committed release',
    '  why   it was cancelled',
    '  took  15 min 00 s',
  ])
  t.same(
    end({
      ...rolledBack,
      phase: 'failed',
      exitCode: 1,
      fallback: null,
      participants: [
        participant('web-1', { counted: true, runs: null, phase: 'idle' }),
        participant('web-2', { counted: true, runs: '0.0.12', phase: 'active' }),
      ],
    }),
    [
      'failed: shop 0.0.12 in production had to be taken back, and not every host can go back',
      '  why       a host failed after the decision to swap',
      '  not back  web-2 runs 0.0.12 (active)',
      '  took      8.3 s: staging 7.1 s, activating 300 ms, rolling-back 900 ms',
      '  next      Deploy a version that works to all, or repair these hosts by hand: see `lockstep status`.',
    ],
  )
  t.match(
    end({ ...rolledBack, reason: 'a-new-reason' })[1],
    /why {3}a-new-reason/,
    'a newer controller’s reason',
  )
})

void t.test('a long list of hosts is cut and says so', async (t) => {
  const participants = fleet(45, { state: 'left-behind', phase: 'unknown' })
  const lines = rolloutEnd(
    committed({ participants: [participant('one', swapped), ...participants] }),
  ).map(plain)
  t.equal(lines.filter((line) => line.startsWith('  left behind')).length, 21)
  t.equal(lines[21], '  left behind  and 25 more hosts: see `lockstep status`')
})

void t.test('an environment: its hosts outside of rollouts, its rollouts whole', async (t) => {
  const narrator = new EnvironmentNarrator()
  const next = (view: Parameters<typeof narrator.next>[0]) =>
    narrator.next(view, startedAt).map(plain)
  t.same(next(environment({ rollout: committed() })), [
    'shop in production: committed to 0.0.11, 3 of 3 hosts connected, no rollout open',
  ])
  const away = host('web-2', {
    connected: false,
    apps: [servedApp({ phase: 'unknown', runs: null })],
  })
  t.same(next(environment({ rollout: committed(), hosts: [host('web-1'), away, host('web-3')] })), [
    'web-2 is away',
  ])
  const hosts = [
    host('web-1', { apps: [servedApp({ failure: noSpace, phase: 'failed' })] }),
    host('web-2', { apps: [servedApp({ runs: newRelease.version })] }),
    host('web-3'),
    host('web-4'),
  ]
  t.same(next(environment({ rollout: committed(), hosts })), [
    'web-1 failed: 120 MB are free on /var/www and 400 MB are needed (no-space)',
    'web-2 is back',
    'web-2 runs 0.0.12',
  ])
  const second = rollout({
    id: 'r-2',
    target: oldRelease,
    fallback: newRelease,
    participants: fleet(1),
  })
  t.same(next(environment({ rollout: second, hosts })), [
    'rollout of shop from 0.0.12 to 0.0.11 in production, 1 host, by admin-1, r-2',
    'ready 0/1; waiting for web-1 (not begun)',
  ])
  const ended = committed({ id: 'r-2', target: oldRelease, participants: fleet(1, swapped) })
  t.same(next(environment({ rollout: ended, hosts })).slice(2, 3), [
    'committed: shop 0.0.11 runs on the one host in production',
  ])
  t.same(next(environment({ rollout: ended, hosts })), [], 'once')
  const fact = { id: 1, at: 1, app: 'shop', environment: 'production', rollout: null, host: null }
  t.same(narrator.fact({ ...fact, type: 'host-joined', text: 'web-7 joined' }), ['web-7 joined'])
  t.same(
    narrator.fact({ ...fact, type: 'barrier-opened', text: 'x' }),
    [],
    'the rollout tells that',
  )
})
