// Whether people let a release into an environment, and what the machine would do: judged without a deed.

import t from 'tap'
import { type AdmissionScene, admissionRefusal } from '#controller/runtime/admission.ts'
import { rehearse } from '#controller/runtime/rehearsal.ts'
import { emptyRecord, type EnvironmentState } from '#shared/environment/state.ts'
import { one, shop, two } from '../../../support/fleet-facts.ts'
import { requestOf } from '../../../support/rollout-requests.ts'

const freeze = { reason: 'audit', owner: 'ana', by: 'token-1', at: Date.UTC(2026, 10, 23) }

function refusalOf(changes: Partial<AdmissionScene>) {
  return admissionRefusal({
    place: shop,
    release: one,
    settings: { freeze: null, requires: null, approvals: 0 },
    wasCommittedThere: false,
    wasCommittedHere: false,
    ...changes,
  })
}

void t.test('what nobody decided against comes in', async (t) => {
  t.equal(refusalOf({}), null)
  const settings = { freeze: null, requires: 'staging', approvals: 0 }
  t.equal(refusalOf({ settings, wasCommittedThere: true }), null)
  t.equal(refusalOf({ settings, wasCommittedHere: true }), null, 'it was here before')
})

void t.test('a freeze is stronger than any release, and is quoted', async (t) => {
  const settings = { freeze, requires: 'staging', approvals: 0 }
  t.match(refusalOf({ settings, wasCommittedThere: true, wasCommittedHere: true }), {
    code: 'frozen',
    message: 'shop in production was frozen by ana at 2026-11-23T00:00:00.000Z: audit',
    hint: /Ask ana/,
    details: freeze,
  })
})

void t.test('a release that was not committed where it has to be stays out', async (t) => {
  t.match(refusalOf({ settings: { freeze: null, requires: 'staging', approvals: 0 } }), {
    code: 'not-promotable',
    message: /shop 1\.0\.0 was never committed in staging, as production requires/,
    details: { requires: 'staging', tree: one.tree },
  })
})

void t.test('the machine is asked without a deed', async (t) => {
  const host = 'h'.repeat(26)
  const record = {
    ...emptyRecord('shop', 'production'),
    members: { [host]: { host, name: 'web-1' } },
  }
  const state: EnvironmentState = { record, sessions: {} }
  const started = rehearse(state, requestOf('r-1', one), 1)
  t.match(started, { starts: true, answer: { outcome: 'started', rollout: { id: 'r-1' } } })
  t.same(state.record, record)
  t.match(rehearse(state, requestOf('r-1', one, { exclude: { [host]: 'why' } }), 1), {
    starts: false,
    answer: { outcome: 'refused', code: 'nobody-selected' },
  })
  const committed: EnvironmentState = { record: { ...record, committed: two }, sessions: {} }
  t.match(rehearse(committed, requestOf('r-1', two), 1), {
    starts: false,
    answer: { outcome: 'unchanged' },
  })
  const excluded = { ...committed.record, excluded: { [host]: 'why' } }
  t.match(rehearse({ record: excluded, sessions: {} }, requestOf('r-1', two), 1), {
    starts: true,
    answer: { outcome: 'unchanged' },
  })
})
