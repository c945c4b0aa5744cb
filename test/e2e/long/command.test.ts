// The operator's command against a real controller with real agents: what it says, and that its exit
// code is the rollout's true end, also over restarts of the controller.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { limits } from '#shared/limits.ts'
import { smallRelease } from '../../support/small-release.ts'
import { Operator } from '../fleet/command.ts'
import { Fleet } from '../fleet/fleet.ts'

const shiftedClock = new URL('../fleet/shifted-clock.ts', import.meta.url).href
const production = ['shop', '--env', 'production']

const fleet = await Fleet.start(t, ['web-1', 'web-2', 'web-3'])
const operator = await Operator.sit(t, fleet)
const away = fleet.host('web-3')

function tarball(version: string): string {
  const path = join(fleet.directory, `${version}.tar.gz`)
  writeFileSync(path, smallRelease(version))
  return path
}

function currents(): (string | null)[] {
  return fleet.hosts.map((host) => host.current())
}

void t.test('publish, deploy, look at it', async (t) => {
  const published = await operator.type('publish', 'shop', '1', tarball('1'), '--strip', '1')
  t.match(published, { code: 0, out: /^published shop 1\n/, err: '' })
  const again = await operator.type('publish', 'shop', '1', tarball('1'), '--strip', '1')
  t.match(again, { code: 0, out: /published before with the same content/ })
  const other = await operator.type('publish', 'shop', '1', tarball('x'), '--strip', '1')
  t.match(other, { code: 1, out: '', err: /version-exists[\s\S]*under a new one/ })
  await operator.type('publish', 'shop', '2', tarball('2'), '--strip', '1')

  const deployed = await operator.type('deploy', 'shop', '1', '--env', 'production')
  t.equal(deployed.code, 0)
  t.match(deployed.out, /barrier open: all 3 ready/)
  t.match(deployed.out, /committed.*: shop 1 runs on all 3 hosts in production/)
  await fleet.converged('1')
  t.match(await operator.type('deploy', 'shop', '1', '--env', 'production'), {
    code: 0,
    out: /nothing to do/,
  })
  t.match(await operator.type('releases', 'shop'), { code: 0, out: /^2 .*\n1 /m })
  t.match(await operator.type('status'), {
    code: 0,
    out: /shop +production +1 +1 +committed +3\/3/,
  })
  t.match(await operator.type('hosts'), { code: 0, out: /web-3 +connected +shop production +1/ })
  t.match(await operator.type('history', ...production), { code: 0, out: /- +1 +committed +3/ })
  const hosts = JSON.parse((await operator.type('hosts', '--json')).out)
  t.equal(hosts.items?.length ?? hosts.length, 3)
})

void t.test('what cannot be is refused, and the exit code says so', async (t) => {
  const unknown = await operator.type('deploy', 'shop', '9', '--env', 'production')
  t.match(unknown, { code: 1, err: /shop has no release 9 \(unknown-version\)\n.*releases shop/ })
  t.match(await operator.type('deploy', 'shop', '2', '--env', 'prod'), {
    code: 1,
    err: /unknown-environment/,
  })
  t.match(await operator.type('deploy', 'shop', '2'), { code: 2, err: /--env/ })
  t.match(await operator.type('cancel', ...production), { code: 1, err: /nothing-to-cancel/ })
  const stranger = operator.start(['status'], { LOCKSTEP_TOKEN: 'let-me-in' })
  t.match(await stranger.end, { code: 1, err: /unauthorised[\s\S]*LOCKSTEP_TOKEN/ })
  const nowhere = operator.start(['status'], { LOCKSTEP_URL: 'http://127.0.0.1:1' })
  t.match(await nowhere.end, { code: 1, err: /unreachable/ })
})

void t.test('aborted is 4, rolled back is 3, and a cancel says which', async (t) => {
  await away.daemon.stop()
  const staging = operator.start(['deploy', 'shop', '2', '--env', 'production'])
  await staging.printed(/ready 2\/3/)
  t.match(await operator.type('cancel', ...production), { code: 0, out: /aborted/ })
  t.match(await staging.end, { code: 4, out: /aborted.*no host was told to swap/ })
  t.same(currents(), ['1', '1', '1'])

  away.relay.judge = ({ message }) =>
    message.type === 'desired' && message.kind === 'activate' ? 'lose' : 'pass'
  away.start()
  await fleet.connected(['web-3'])
  const swapping = operator.start(['deploy', 'shop', '2', '--env', 'production'])
  await fleet.until('two swapped', () => currents()[0] === '2' || undefined)
  t.match(await operator.type('cancel', ...production), { code: 0, out: /cancelled|rolled back/ })
  t.match(await swapping.end, { code: 3, out: /rolled back.*shop in production stays on 1/ })
  t.same(currents(), ['1', '1', '1'])
  away.relay.judge = () => 'pass'
})

void t.test('a controller that is killed and started again is followed to the end', async (t) => {
  await away.daemon.stop()
  const deploying = operator.start(['deploy', 'shop', '2', '--env', 'production'])
  await deploying.printed(/ready 2\/3/)
  await fleet.controller.kill()
  await fleet.startController()
  await fleet.controller.kill()
  await fleet.startController()
  away.start()
  t.match(await deploying.end, { code: 0, out: /committed.*: shop 2 runs on all 3 hosts/ })
  t.same(currents(), ['2', '2', '2'])
  const back = await operator.type('rollback', ...production)
  t.match(back, { code: 0, out: /committed.*: shop 1 runs on all 3 hosts/ })
  t.same(currents(), ['1', '1', '1'])
})

void t.test('ended with a host unknown is 5, and names it', async (t) => {
  away.dieWhenTold()
  const deploying = operator.start(['deploy', 'shop', '2', '--env', 'production'])
  await away.daemon.ended
  await fleet.controller.kill()
  // As if it had been away past every deadline: it goes back, and waits one lease for an answer.
  const aheadMs = limits.activationDeadlineMs + 1000
  await restart(aheadMs)
  await fleet.until(
    'going back',
    () => fleet.facts.some(({ text }) => text.includes('controller-was-away')) || undefined,
  )
  await fleet.controller.kill()
  await restart(aheadMs + limits.rollBackDeadlineMs)
  const end = await deploying.end
  t.match(end, { code: 5, out: /rolled back[\s\S]*unknown +web-3/ })
  away.relay.judge = () => 'pass'
  away.start()
  await fleet.converged('1')
})

function restart(aheadMs: number) {
  return fleet.startController({
    nodeOptions: ['--import', shiftedClock],
    env: { LOCKSTEP_E2E_AHEAD_MS: String(aheadMs) },
  })
}

void t.test('tokens are made, listed and made worthless', async (t) => {
  const made = await operator.type('token', 'create', '--role', 'admin')
  t.match(made, { code: 0, out: /^lsk1\.\S+\n$/ })
  const token = made.out.trim()
  t.equal((await operator.start(['status'], { LOCKSTEP_TOKEN: token }).end).code, 0)
  const [, id = ''] = token.split('.')
  t.match(await operator.type('token', 'list'), { code: 0, out: new RegExp(id) })
  t.equal((await operator.type('token', 'revoke', id)).code, 0)
  const late = await operator.start(['status'], { LOCKSTEP_TOKEN: token }).end
  t.match(late, { code: 1, err: /unauthorised/ })
})
