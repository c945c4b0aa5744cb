// Every release that an environment's record names in one of its roles is needed, and no other.

import t from 'tap'
import { neededReleasesOf } from '#shared/environment/needed-releases.ts'

const release = (version: string) => ({ version, tree: version.padEnd(64, '0') })
const needs = (record: Parameters<typeof neededReleasesOf>[0]) =>
  neededReleasesOf(record).map(({ release: { version }, need }) => `${version} ${need}`)

void t.test('nothing is needed of an environment in which nothing happened', async (t) => {
  t.same(needs({ committed: null, desired: null, decision: null, rollout: null }), [])
})

void t.test('an open rollout needs both of its ends, one that has ended neither', async (t) => {
  const rollout = { target: release('2'), fallback: release('1') }
  const nothing = { committed: null, desired: null, decision: null }
  for (const phase of [
    'staging',
    'preparing',
    'activating',
    'verifying',
    'rolling-back',
  ] as const) {
    t.same(needs({ ...nothing, rollout: { ...rollout, phase } }), ['2 target', '1 fallback'], phase)
  }
  for (const phase of ['committed', 'rolled-back', 'aborted', 'failed'] as const) {
    t.same(needs({ ...nothing, rollout: { ...rollout, phase } }), [], phase)
  }
})

void t.test('what hosts were told last is needed, whatever became of the rollout', async (t) => {
  const decision = { run: release('3'), fallback: release('2'), stage: release('4') }
  t.same(needs({ committed: release('1'), desired: release('5'), decision, rollout: null }), [
    '1 committed',
    '5 desired',
    '3 told',
    '2 told',
    '4 told',
  ])
})
