// Signed releases from end to end, with the real command, controller and agents: keys are made, a release
// is signed, published and deployed; what is not signed as the hosts ask for waits, and never runs.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { smallRelease } from '../../support/small-release.ts'
import { Operator } from '../fleet/command.ts'
import { Fleet } from '../fleet/fleet.ts'

const directory = t.testdir({})
const at = (name: string): string => join(directory, name)
const trust = at('trust.json')
const fleet = await Fleet.start(t, ['web-1', 'web-2'], { trust })
const operator = await Operator.sit(t, fleet)

/** Runs the command to its end, which has to be a good one. */
async function lockstep(line: string): Promise<string> {
  const { code, out, err } = await operator.type(
    ...line.split(' ').map((word) => word.replace(/^@/, `${directory}/`)),
  )
  assert.equal(code, 0, `${line}: ${err}`)
  return out
}

function tarball(version: string): string {
  writeFileSync(at(version), smallRelease(version))
  return `@${version} --strip 1`
}

const currents = (): (string | null)[] => fleet.hosts.map((host) => host.current())
/** Resolves when a host says why it does not take the release. */
const refused = (why: string): Promise<true> =>
  fleet.until(`refused: ${why}`, async () => {
    const { hosts } = await fleet.environment()
    return JSON.stringify(hosts).includes(why) || undefined
  })
const signing = (version: string, sequence: number): string =>
  `sign shop ${version} ${tarball(version)} --sequence ${sequence} --env production`
const deploy = (version: string) =>
  operator.start(['deploy', 'shop', version, '--env', 'production'])

void t.test('keys, a trust file, and a release that two have signed', async (t) => {
  const keys: Record<string, { key: string }> = {}
  for (const name of ['ci', 'ann', 'mallory']) {
    await lockstep(`keygen @${name}`)
    keys[name] = { key: readFileSync(at(`${name}.pub`), 'utf8').trim() }
  }
  const { mallory: _, ...trusted } = keys
  const production = { policy: 'require', threshold: 2, keys: ['ci', 'ann'] }
  const file = { trust: 1, version: 1, keys: trusted, environments: { production } }
  writeFileSync(trust, JSON.stringify(file), { mode: 0o644 })
  await lockstep(`${signing('1', 1)} --key @ci`)
  await lockstep('countersign @1.statement.json --key @ann --tarball @1 --strip 1')
  await lockstep('verify @1.statement.json --trust @trust.json --tarball @1 --strip 1')
  await lockstep('publish shop 1 @1 --strip 1 --statement @1.statement.json')
  t.match(await deploy('1').end, { code: 0, out: /committed.*: shop 1 runs on all 2 hosts/ })
  t.same(currents(), ['1', '1'])
})

void t.test('what is not signed waits, and goes on once it is', async (t) => {
  await lockstep(`publish shop 2 ${tarball('2')}`)
  const deploying = deploy('2')
  await refused('not signed')
  t.same(currents(), ['1', '1'])
  // One of two signatures is not enough, whoever the other is by.
  await lockstep(`${signing('2', 2)} --key @ci`)
  await lockstep('countersign @2.statement.json --key @mallory')
  const verdict = await operator.type('verify', at('2.statement.json'), '--trust', trust)
  t.match(verdict, { code: 1, err: /2 of ci, ann have to sign, .* now did ci/ })
  await lockstep('statement send shop 2 @2.statement.json')
  await refused('of those that count now did ci')
  t.same(currents(), ['1', '1'])
  // The second person adds hers to what the controller carries.
  await lockstep('statement fetch shop 2 @fetched')
  await lockstep('countersign @fetched --key @ann --tarball @2 --strip 1')
  await lockstep('statement send shop 2 @fetched')
  t.match(await deploying.end, { code: 0, out: /committed.*: shop 2 runs on all 2 hosts/ })
  t.same(currents(), ['2', '2'])
})

void t.test('a statement of another tarball is refused by everyone', async (t) => {
  await lockstep(`${signing('3', 3)} --key @ci`)
  await lockstep('countersign @3.statement.json --key @ann')
  writeFileSync(at('3'), smallRelease('tampered'))
  const publish = ['publish', 'shop', '3', at('3'), '--strip', '1']
  const statement = at('3.statement.json')
  const found = await operator.type(...publish, '--statement', statement)
  t.match(found, { code: 1, err: /names the tree .*\(other-release\)/ })
  t.match(await operator.type(...publish), { code: 0 })
  const sent = await operator.type('statement', 'send', 'shop', '3', statement)
  t.match(sent, { code: 1, err: /names the tree .*\(other-release\)/ })
  const deploying = deploy('3')
  await refused('not signed')
  await lockstep('cancel shop --env production')
  t.match(await deploying.end, { code: 4 })
  t.same(currents(), ['2', '2'])
})

void t.test('going back needs no new signature', async (t) => {
  t.match(await operator.type('rollback', 'shop', '--env', 'production'), { code: 0 })
  t.same(currents(), ['1', '1'])
})
