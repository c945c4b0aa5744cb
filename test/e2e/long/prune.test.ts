// Pruning beside a fleet: what hosts may still have to fetch stays, also for one that joins later and
// is then taken back with the others.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { smallRelease } from '../../support/small-release.ts'
import { Operator } from '../fleet/command.ts'
import { Fleet, place } from '../fleet/fleet.ts'
import { endedInTruth } from '../fleet/truth.ts'

const fleet = await Fleet.start(t, ['web-1', 'web-2'])
const operator = await Operator.sit(t, fleet)
for (const version of ['1', '2', '3', '4']) await fleet.publish(version, smallRelease(version))
for (const version of ['1', '2', '3']) await fleet.deploy(version)

const stored = () => readdirSync(join(fleet.data, 'manifests')).length

void t.test('of four releases one is old enough and needed by nobody', async (t) => {
  const plan = await operator.type('releases', 'prune', 'shop', '--keep', '1', '--dry-run')
  t.equal(plan.code, 0)
  t.equal(stored(), 4)
  const pruned = await operator.type('releases', 'prune', 'shop', '--keep', '1')
  t.match(pruned.out, /^removed 1 release of shop; the newest 1 stay\n.*\n1 /)
  t.match(pruned.out, /\n3 stays, needed by production \(committed\)/)
  t.match(pruned.out, /\n2 stays, needed by production \(way-back\)\n/)
  t.equal(pruned.out.replace('removed', 'would remove').replace('freed', 'would free'), plan.out)
  t.equal(stored(), 3)
  t.match(await operator.type('releases', 'remove', 'shop', '3'), {
    code: 1,
    err: /shop 3 is needed by production \(committed\).* \(release-needed\)/,
  })
  t.match(await operator.type('deploy', 'shop', '1', '--env', 'production'), {
    code: 1,
    err: /shop 1 was removed at .*\(unknown-version\)/,
  })
})

void t.test('a host that joins afterwards has what it needs, forth and back', async (t) => {
  const late = await fleet.addHost('web-3')
  late.start(await fleet.joinToken())
  await fleet.converged('3')
  const { rollout } = await fleet.client.rollback(place, {}, 'back')
  const end = await endedInTruth(fleet, rollout?.id ?? '')
  t.match(end, { phase: 'committed', target: { version: '2' } })
  await fleet.converged('2')
})

void t.test('pruning while a release is on its way takes nothing from it', async (t) => {
  const id = await fleet.begin('4')
  const pruned = await operator.type('releases', 'prune', 'shop', '--keep', '1')
  t.equal(pruned.code, 0)
  t.match(await endedInTruth(fleet, id), { phase: 'committed' })
  await fleet.converged('4')
  t.match(await operator.type('diff', 'shop', '2', '4'), {
    code: 0,
    out: /\n~ {2}version +2 B +content\n[^]*to fetch {2}6 files/,
  })
})
