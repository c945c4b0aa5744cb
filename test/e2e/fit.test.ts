// Fit with processes: a host that lacks what a release requires holds it up before the barrier, says
// what it lacks, and nobody swaps.

import { Readable } from 'node:stream'
import t from 'tap'
import { smallRelease } from '../support/small-release.ts'
import { Fleet, place } from './fleet/fleet.ts'
import { endedInTruth } from './fleet/truth.ts'

const versions: Record<string, string> = { 'web-1': '8.3.1', 'web-2': '8.3.0', 'web-3': '8.1.7' }
const names = Object.keys(versions)
const fleet = await Fleet.start(t, names, {
  settings: (name) => `commands = { runtime = ["/bin/echo", "Runtime", "${versions[name]}"] }`,
})

/** @param constraint of the command `runtime`, which only the hosts' own configuration knows */
async function publish(version: string, constraint: string): Promise<void> {
  const tarball = smallRelease(version)
  const requires = {
    os: [process.platform],
    arch: [process.arch],
    commands: { runtime: constraint },
  }
  await fleet.client.publish(
    place.app,
    version,
    1,
    { stream: Readable.from([tarball]), sizeBytes: tarball.length, onSent: () => undefined },
    JSON.stringify(requires),
  )
}

const currents = () => fleet.hosts.map((host) => host.current())

void t.test('a release that fits every host is committed', async (t) => {
  await publish('1', '>= 8.1')
  await fleet.deploy('1')
  t.same(currents(), ['1', '1', '1'])
})

void t.test('one host that does not fit is named before anybody swaps', async (t) => {
  await publish('2', '>= 8.2')
  const id = await fleet.begin('2')
  const view = await fleet.rollout(id, 'says who does not fit', ({ participants }) =>
    participants.every(({ phase }) => ['ready', 'failed'].includes(phase)),
  )
  t.match(view, { phase: 'staging' })
  const failures = view.participants.filter(({ failure }) => failure !== null)
  t.match(failures, [
    {
      name: 'web-3',
      phase: 'failed',
      failure: {
        code: 'unfit',
        message: 'runtime >= 8.2 is required, this host has runtime 8.1.7',
        hint: /without this host/,
      },
    },
  ])
  t.equal(failures.length, 1)
  await fleet.client.cancel(id)
  t.match(await endedInTruth(fleet, id), { phase: 'aborted', exitCode: 4 })
  t.same(currents(), ['1', '1', '1'])
})

void t.test('it goes on without that host, which is left on what it ran', async (t) => {
  const exclude = { 'web-3': 'waits for a newer runtime' }
  const end = await fleet.ended(await fleet.begin('2', { exclude }))
  t.match(end, { phase: 'committed', exitCode: 0 })
  await fleet.converged('2', ['web-1', 'web-2'])
  t.same(currents(), ['2', '2', '1'])
})
