// What no honest controller says is refused before an agent's machine sees it.

import t from 'tap'
import { decodeDown } from '#shared/wire/codec.ts'
import { mistakeOf } from '#shared/wire/desired-rules.ts'
import { desiredMessageOf, digestOf, one, releaseOf, two } from '../../../support/fleet-facts.ts'

const nothing = { release: null, fallback: null, activateAt: null }
const onOne = { release: one, fallback: one, activateAt: null }
const otherOne = releaseOf(one.version, 'e')

const good = {
  'the first stage': { kind: 'stage', run: nothing, stage: one },
  'a stage beside what runs': { kind: 'stage', run: onOne, stage: two },
  'the first activation': {
    kind: 'activate',
    run: { release: one, fallback: null, activateAt: 5 },
    stage: null,
  },
  'an activation': {
    kind: 'activate',
    run: { release: two, fallback: one, activateAt: 5 },
    stage: null,
  },
  'an activation that is told again': {
    kind: 'activate',
    run: { release: two, fallback: one, activateAt: null },
    stage: null,
  },
  'an activation that leaves the host behind': { kind: 'activate', run: onOne, stage: two },
  'a way back': { kind: 'roll-back', run: onOne, stage: null },
  'a way back to what was before': { kind: 'roll-back', run: nothing, stage: null },
  'an end': { kind: 'settle', run: onOne, stage: null },
  'a host that is to hold': { kind: 'stage', hold: true, run: nothing, stage: null },
} as const

const bad = {
  'a host that is to hold is named a release': {
    change: { kind: 'settle', hold: true, run: onOne, stage: null },
    mistake: /hold/,
  },
  'one that is to hold is named a stage': {
    change: { kind: 'stage', hold: true, run: nothing, stage: one },
    mistake: /hold/,
  },
  'an activation of nothing': {
    change: { kind: 'activate', run: nothing, stage: null },
    mistake: /activates nothing/,
  },
  'a stage that runs something new': {
    change: { kind: 'stage', run: { ...onOne, release: two }, stage: two },
    mistake: /without activating/,
  },
  'an end that runs what is not the fallback': {
    change: { kind: 'settle', run: { ...onOne, release: two }, stage: null },
    mistake: /without activating/,
  },
  'a way back to a release without a fallback': {
    change: { kind: 'roll-back', run: { ...onOne, fallback: null }, stage: null },
    mistake: /without activating/,
  },
  'an instant without an activation': {
    change: { kind: 'stage', run: { ...onOne, activateAt: 5 }, stage: two },
    mistake: /instant/,
  },
  'an end that stages': { change: { kind: 'settle', run: onOne, stage: two }, mistake: /ends/ },
  'one version with two trees': {
    change: { kind: 'stage', run: onOne, stage: otherOne },
    mistake: /two trees/,
  },
} as const

for (const [what, change] of Object.entries(good)) {
  void t.test(`${what} is sound`, (t) => {
    const message = desiredMessageOf(change)
    t.equal(mistakeOf(message), null)
    t.same(decodeDown(JSON.stringify(message)), message)
    t.end()
  })
}

for (const [what, { change, mistake }] of Object.entries(bad)) {
  void t.test(`${what}: refused, with the rule that it breaks`, (t) => {
    const message = desiredMessageOf(change)
    t.match(mistakeOf(message), mistake)
    t.throws(() => decodeDown(JSON.stringify(message)), { code: 'bad-message', message: mistake })
    t.end()
  })
}

void t.test('a history may hold what a controller published before it was rebuilt', (t) => {
  const history = [one, { version: one.version, tree: digestOf('e') }]
  t.equal(mistakeOf(desiredMessageOf({ history })), null)
  t.end()
})
