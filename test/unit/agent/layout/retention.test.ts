// Which releases clean-up may remove: by the order of activations, never what something needs.

import t from 'tap'
import { planRetention, type RetentionFacts } from '#agent/layout/retention.ts'
import type { Release } from '#shared/release.ts'

const release = (version: string): Release => ({ version, tree: `tree of ${version}` })
const releases = (...versions: string[]): Release[] => versions.map(release)

function plan(facts: Partial<RetentionFacts>): { removed: string[]; kept: string[] } {
  const { removed, kept } = planRetention({
    held: [],
    keep: 2,
    history: [],
    pinned: [],
    inUse: new Set(),
    ...facts,
  })
  return {
    removed: removed.map(({ version }) => version),
    kept: kept.map(({ release: { version }, reason }) => `${version} ${reason}`),
  }
}

void t.test('the newest activations stay, whatever labels say', async (t) => {
  t.same(
    plan({ held: releases('1', '2', '10', '9'), history: releases('1', '9', '10', '2', '0') }),
    { removed: ['2', '10'], kept: ['1 recent', '9 recent'] },
  )
})

void t.test('what something needs stays beyond that', async (t) => {
  t.same(
    plan({
      held: releases('1', '2', '3', '4', '5'),
      history: releases('5', '4', '3', '2', '1'),
      pinned: ['tree of 1', 'tree of 5', 'tree of something that is not here'],
      inUse: new Set(['2']),
    }),
    { removed: ['3'], kept: ['5 pinned', '4 recent', '2 in-use', '1 pinned'] },
  )
})

void t.test('a release that never was activated pushes no good one out', async (t) => {
  t.same(plan({ held: releases('3-failed', '2', '1'), history: releases('2', '1') }), {
    removed: ['3-failed'],
    kept: ['2 recent', '1 recent'],
  })
})

void t.test('without a history nothing is removed', async (t) => {
  t.same(plan({ held: releases('1', '2', '3'), keep: 1 }).removed, [])
})

void t.test('the same label with another tree is another release', async (t) => {
  const held = [{ version: '1', tree: 'old' }, ...releases('1')]
  const { removed } = planRetention({
    held,
    keep: 1,
    history: releases('1'),
    pinned: [],
    inUse: new Set(),
  })
  t.same(removed, [{ version: '1', tree: 'old' }])
})

void t.test('every held release is either kept or removed, never both', async (t) => {
  const versions = Array.from({ length: 12 }, (_, index) => String(index))
  for (let keep = 1; keep < 14; keep += 1) {
    const { removed, kept } = plan({
      held: releases(...versions),
      history: releases(...versions),
      keep,
    })
    t.equal(kept.length, Math.min(keep, 12))
    t.same(
      [...removed, ...kept.map((line) => line.replace(/ .*/, ''))].toSorted(),
      versions.toSorted(),
    )
  }
})
