// What people decide about environments, with processes and the operator's own command: promotion is
// refused, then allowed; a freeze holds; a canary waits for a word; labels and drains choose hosts.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { smallRelease } from '../../support/small-release.ts'
import { Operator } from '../fleet/command.ts'
import { Fleet } from '../fleet/fleet.ts'

const roles: Record<string, string> = { 'web-1': 'canary', 'web-2': 'web', 'web-3': 'web' }
const names = Object.keys(roles)
const fleet = await Fleet.start(t, names, {
  settings: (name) => `[labels]\nrole = "${roles[name] ?? ''}"`,
})
const tried = await fleet.addHost('test-1', undefined, 'staging')
tried.start(await fleet.joinToken(1, 'staging'))
await fleet.connected(['test-1'])
const operator = await Operator.sit(t, fleet)
for (const version of ['1', '2', '3']) {
  const path = join(fleet.directory, `${version}.tar.gz`)
  writeFileSync(path, smallRelease(version))
  await operator.type('publish', 'shop', version, path, '--strip', '1')
}

const production = ['--env', 'production']
const staging = ['--env', 'staging']
const promote = ['promote', 'shop', '--from', 'staging', '--to', 'production']

function currents(): (string | null)[] {
  return names.map((name) => fleet.host(name).current())
}

void t.test(
  'promotion is refused until staging has committed, then the same tree moves',
  async (t) => {
    const set = ['environment', 'set', 'shop', ...production, '--requires', 'staging']
    t.match(await operator.type(...set), { code: 0, out: /committed in staging/ })
    t.match(await operator.type(...promote), {
      code: 1,
      err: /nothing is committed in staging yet/,
    })
    t.match(await operator.type('deploy', 'shop', '1', ...production), {
      code: 1,
      err: /1 was never committed in staging[\s\S]*deploy shop 1 --env staging/,
    })
    t.match(await operator.type('plan', 'shop', '1', ...production), {
      code: 1,
      out: /would be refused[\s\S]*not-promotable/,
    })
    t.same(currents(), [null, null, null])
    t.match(await operator.type('deploy', 'shop', '1', ...staging), { code: 0 })
    t.equal(tried.current(), '1')
    t.match(await operator.type(...promote), {
      code: 0,
      out: /the release is 1, tree [0-9a-f]{12}\n[\s\S]*runs on all 3 hosts in production/,
    })
    t.same(currents(), ['1', '1', '1'])
    const [there, here] = await Promise.all(
      ['staging', 'production'].map((environment) =>
        fleet.client.environment({ app: 'shop', environment }),
      ),
    )
    t.same(there?.committed, here?.committed)
  },
)

void t.test('nothing starts while it is frozen, and who froze it is said', async (t) => {
  await operator.type('deploy', 'shop', '2', ...staging)
  const why = ['--reason', 'the sale', '--owner', 'ana']
  t.match(await operator.type('freeze', 'shop', ...production, ...why), { code: 0, out: /frozen/ })
  for (const words of [promote, ['rollback', 'shop', ...production, '--to', '2']]) {
    t.match(await operator.type(...words), { code: 1, err: /frozen by ana at .*: the sale/ })
  }
  t.match(await operator.type('status', 'shop', ...production), { out: /frozen by ana since/ })
  t.same(currents(), ['1', '1', '1'])
  t.match(await operator.type('unfreeze', 'shop', ...production), { code: 0, out: /by ana/ })
})

void t.test('a canary waits for a word, and then all swap', async (t) => {
  const running = operator.start([...promote, '--canary', '1'])
  await running.printed(/waits for `lockstep continue`/)
  t.same(currents(), ['2', '1', '1'])
  t.match(await operator.type('continue', 'shop', ...production), { code: 0, out: /continued/ })
  const { code, out } = await running.end
  t.equal(code, 0)
  t.match(out, /wave 1 of 2 \(canary\) open: swapping web-1\n[\s\S]*wave 2 of 2 open/)
  t.match(out, /runs on all 3 hosts in production/)
  t.same(currents(), ['2', '2', '2'])
})

void t.test('labels choose hosts; the others come to it when they are not left out', async (t) => {
  await operator.type('deploy', 'shop', '3', ...staging)
  const some = ['shop', '3', ...production, '--on', 'role=canary']
  t.match(await operator.type('hosts', '--label', 'role=canary'), { out: /web-1 .*role=canary/ })
  const nobody = ['deploy', 'shop', '3', ...production, '--on', 'role=db']
  t.match(await operator.type(...nobody), { code: 1, err: /nobody-selected/ })
  const plan = await operator.type('plan', ...some)
  t.match(plan, { code: 0, out: /would start[\s\S]*web-2: not selected by role=canary/ })
  t.same(currents(), ['2', '2', '2'])
  t.match(await operator.type('deploy', ...some), {
    code: 0,
    out: /runs on 1 of 3 hosts[\s\S]*web-3 keeps what it runs: not selected by role=canary/,
  })
  t.same(currents(), ['3', '2', '2'])
  t.match(await operator.type('deploy', 'shop', '3', ...production), { code: 0 })
  await fleet.converged('3', names)
})

void t.test('a drained host takes no part, and comes along when it is let in', async (t) => {
  const drain = ['hosts', 'drain', 'web-3', '--reason', 'new disks']
  t.match(await operator.type(...drain), { code: 0, out: /drained web-3/ })
  t.match(await operator.type('deploy', 'shop', '1', ...production), {
    code: 0,
    out: /runs on 2 of 3 hosts[\s\S]*web-3 takes no part: new disks/,
  })
  t.same(currents(), ['1', '1', '3'])
  t.match(await operator.type('hosts', 'undrain', 'web-3'), { code: 0 })
  await fleet.converged('1', names)
})
