// Canary and quorum with processes: a wave waits, goes on and goes back; a dead host holds nobody up
// and converges when it comes back.

import t from 'tap'
import { smallRelease } from '../support/small-release.ts'
import { Fleet } from './fleet/fleet.ts'
import { endedInTruth } from './fleet/truth.ts'

const fleet = await Fleet.start(t, ['web-1', 'web-2', 'web-3'])
for (const version of ['1', '2', '3']) await fleet.publish(version, smallRelease(version))
await fleet.deploy('1')

function currents(): (string | null)[] {
  return fleet.hosts.map((host) => host.current())
}

const waves = [{ name: 'canary', count: 1 }]

void t.test('a canary waits until it is let go on, then all swap', async (t) => {
  const id = await fleet.begin('2', { waves })
  await fleet.rollout(id, 'pausing', ({ between }) => between?.step === 'pause')
  t.same(currents(), ['2', '1', '1'])
  t.match(await fleet.request('POST', `/v1/rollouts/${id}/continue`), { status: 200 })
  t.match(await endedInTruth(fleet, id), { phase: 'committed', exitCode: 0 })
  t.same(currents(), ['2', '2', '2'])
  t.equal(
    fleet.facts.filter((fact) => fact.rollout === id && fact.type === 'barrier-opened').length,
    2,
  )
})

void t.test('a canary that is stopped goes back, and nobody else ever swapped', async (t) => {
  const id = await fleet.begin('3', { waves })
  await fleet.rollout(id, 'pausing', ({ between }) => between?.step === 'pause')
  t.same(currents(), ['3', '2', '2'])
  await fleet.client.cancel(id)
  t.match(await endedInTruth(fleet, id), { phase: 'rolled-back', exitCode: 3 })
  t.same(currents(), ['2', '2', '2'])
})

void t.test('with a quorum one dead host holds nobody up, and converges', async (t) => {
  const dead = fleet.host('web-3')
  await dead.daemon.kill()
  const end = await endedInTruth(fleet, await fleet.begin('3', { require: '2', waitMs: 3000 }))
  t.match(end, { phase: 'committed', exitCode: 0 })
  t.equal(end.participants.find(({ name }) => name === 'web-3')?.state, 'left-behind')
  t.same(currents(), ['3', '3', '2'])
  const stillServing = dead.isServing()
  dead.start()
  await fleet.converged('3')
  t.same(currents(), ['3', '3', '3'])
  t.comment(`before it was back, its file said serving: ${stillServing}`)
})
