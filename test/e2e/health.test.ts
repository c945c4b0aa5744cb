// The health gate with processes: one of five hosts that is unhealthy after the swap takes all five
// back, with nothing to download, and says why.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { smallRelease } from '../support/small-release.ts'
import { Fleet, place } from './fleet/fleet.ts'
import { endedInTruth } from './fleet/truth.ts'

/** Release 3 is sick on one host: its site answers 500 there. */
const asked = new Map<string, number>()
const site = createServer((request, response) => {
  const name = (request.url ?? '').slice(1)
  asked.set(name, (asked.get(name) ?? 0) + 1)
  const isSick = name === 'web-3' && fleet.host(name).current() === '3'
  response.writeHead(isSick ? 500 : 200).end(isSick ? 'sick' : 'well')
})
site.listen(0, '127.0.0.1')
await new Promise((resolve) => site.once('listening', resolve))
t.teardown(() => site.close())
const { port } = site.address() as AddressInfo

const names = ['web-1', 'web-2', 'web-3', 'web-4', 'web-5']
const fleet = await Fleet.start(t, names, {
  settings: (name) =>
    `health = { url = "http://127.0.0.1:${port}/${name}", body = "well", for = "1s", interval = "200ms" }`,
})
for (const version of ['1', '2', '3']) await fleet.publish(version, smallRelease(version))
await fleet.deploy('1')

function currents(): (string | null)[] {
  return fleet.hosts.map((host) => host.current())
}

void t.test('a release is committed when every host has passed its window', async (t) => {
  asked.clear()
  const end = await endedInTruth(fleet, await fleet.begin('2'))
  t.match(end, { phase: 'committed', exitCode: 0 })
  for (const name of names) t.ok((asked.get(name) ?? 0) >= 3, `${name} was probed`)
  const verifying = end.phases.find(({ phase }) => phase === 'verifying')
  const tookMs = (end.endedAt ?? 0) - (verifying?.at ?? 0)
  t.ok(tookMs >= 900, `verified for ${tookMs.toFixed(0)} ms`)
})

void t.test('bad health on one of five returns all five, with no download', async (t) => {
  const id = await fleet.begin('3')
  const end = await endedInTruth(fleet, id)
  t.match(end, { phase: 'rolled-back', reason: 'host-failed', exitCode: 3 })
  const failed = end.participants.filter(({ failure }) => failure !== null)
  t.same(
    failed.map(({ name, failure }) => [name, failure?.code]),
    [['web-3', 'unhealthy']],
  )
  t.same(currents(), ['2', '2', '2', '2', '2'])
  const startedAt = fleet.facts.find(
    ({ type, rollout }) => type === 'roll-back-started' && rollout === id,
  )
  t.comment(
    `back on 5 hosts ${((end.endedAt ?? 0) - (startedAt?.at ?? 0)).toFixed(0)} ms after the verdict`,
  )
  for (const host of fleet.hosts) {
    const staged = host.daemon.lines.filter((line) => line.msg === 'staged')
    t.equal(staged.length, 3, `${host.name} staged each release once`)
  }
})

void t.test('a release that failed is never chosen to go back to', async (t) => {
  const { rollout } = await fleet.client.rollback(place, {}, 'the way back')
  t.equal(rollout?.target.version, '1')
  t.match(await endedInTruth(fleet, rollout?.id ?? ''), { phase: 'committed' })
  t.same(currents(), ['1', '1', '1', '1', '1'])
})
