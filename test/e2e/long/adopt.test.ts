// A host that Capistrano deployed to, taken over with real processes: adopted by the command, rolled
// back to Capistrano's release by a failed first rollout, then deployed, while four processes read
// through `current` without a pause. And a host that its operator holds or links.

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readerCount, Readers } from '../../integration/swap-readers.ts'
import { archive, directory, file, gzip } from '../../support/archives.ts'
import type { AgentHost } from '../fleet/agent-host.ts'
import { Operator } from '../fleet/command.ts'
import { Fleet } from '../fleet/fleet.ts'

t.setTimeout(300_000)

const release = (version: string) =>
  gzip(archive(directory('package/'), file('package/marker', `lockstep ${version}`)))

/** As Capistrano leaves it, with a reload step that this machine cannot do. */
function layOut({ root }: AgentHost): string {
  const top = join(root, 'releases/20261120101500')
  mkdirSync(top, { recursive: true })
  mkdirSync(join(root, 'shared'))
  writeFileSync(join(root, 'revisions.log'), '')
  writeFileSync(join(root, 'shared/.env'), 'KEY=1')
  writeFileSync(join(top, 'marker'), 'capistrano')
  symlinkSync(join(root, 'shared/.env'), join(top, '.env'))
  symlinkSync(top, join(root, 'current'))
  return top
}

/** What is to be written into the app's section of the configuration. */
function configure({ configFile }: AgentHost, change: (text: string) => string): void {
  writeFileSync(configFile, change(readFileSync(configFile, 'utf8')))
}

void t.test('a Capistrano tree is adopted, deployed over, and gone back to', async (t) => {
  const fleet = await Fleet.start(t, [])
  const operator = await Operator.sit(t, fleet)
  for (const version of ['1', '2']) await fleet.publish(version, release(version))
  const host = await fleet.addHost('web-1', 'reload = ["lockstep-no-such-unit.service"]')
  const before = layOut(host)
  const config = ['--config', host.configFile]
  const readers = await Readers.start(t, join(host.root, 'current'))

  const adopted = await operator.type('adopt', 'shop', ...config, '--json')
  t.equal(adopted.code, 0, adopted.err)
  const { sharedLine, found } = JSON.parse(adopted.out)
  t.match({ found, sharedLine }, { found: 'capistrano', sharedLine: 'shared = [".env"]' })
  configure(host, (text) => `${text}${sharedLine}\n`)
  host.start(await fleet.joinToken())
  await fleet.connected(['web-1'])
  t.equal(readlinkSync(join(host.root, 'current')), before, 'nothing moved yet')

  const failed = await fleet.ended(await fleet.begin('1'))
  t.equal(failed.phase, 'rolled-back', failed.reason ?? '')
  t.equal(readlinkSync(join(host.root, 'current')), before, 'back on Capistrano’s release')
  await readers.readOn()

  await host.daemon.stop()
  configure(host, (text) => text.replace(/^reload.*\n/m, ''))
  host.start()
  await fleet.connected(['web-1'])
  await fleet.deploy('2')
  await readers.readOn()
  t.equal(readFileSync(join(host.root, 'current/.env'), 'utf8'), 'KEY=1')
  await readers.stop()

  const { reads, failures, seen, firstFailure } = readers.outcome
  t.comment(`${reads} reads by ${readerCount} processes, ${failures} failed`)
  t.equal(failures, 0, firstFailure ?? 'no read failed')
  t.same(seen, ['capistrano', 'lockstep 1', 'lockstep 2'])
  t.same(readdirSync(join(host.root, 'releases')), ['20261120101500'], 'and its releases are there')
})

void t.test('a host is held and linked by its own operator, and comes back', async (t) => {
  const fleet = await Fleet.start(t, ['web-1'])
  const operator = await Operator.sit(t, fleet)
  for (const version of ['1', '2', '3']) await fleet.publish(version, release(version))
  await fleet.deploy('1')
  const host = fleet.host('web-1')
  const config = ['--config', host.configFile]
  const hold = await operator.type('agent', 'hold', 'shop', '--reason', 'looking', ...config)
  t.match(hold, { code: 0, out: /shop is held: looking \(.*\nthe agent heeds that/ })
  const held = await fleet.until('it is held', async () => {
    const [view] = (await fleet.environment()).hosts
    return view?.apps[0]?.failure?.code === 'on-hold' ? view.apps[0].failure : undefined
  })
  t.match(held.message, /looking \(/, 'everybody is told why')
  const id = await fleet.begin('2')
  await fleet.client.cancel(id)
  t.match(await fleet.ended(id), { phase: 'aborted' })
  t.equal(host.current(), '1')
  t.match(await operator.type('agent', 'unhold', 'shop', ...config), { code: 0 })
  await fleet.deploy('2')

  const work = join(fleet.directory, 'work')
  mkdirSync(work)
  t.match(await operator.type('link', 'shop', work, ...config), { code: 0 })
  await fleet.until('it is held', async () => {
    const [view] = (await fleet.environment()).hosts
    return view?.apps[0]?.failure?.code === 'on-hold' || undefined
  })
  t.equal(readlinkSync(join(host.root, 'current')), work, 'the agent leaves it alone')
  t.match(await operator.type('link', 'shop', '--undo', ...config), { code: 0 })
  await fleet.converged('2')
  await fleet.deploy('3')
  const attest = await operator.type('agent', 'attest', 'shop', ...config)
  t.match(attest, { code: 0, out: /3 \(current\) is whole/ })
})
