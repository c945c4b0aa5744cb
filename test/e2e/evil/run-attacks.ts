// Tries attacks one after the other against one agent, looks after each of them what came of it, and
// tries it once more without what is evil in it.

import type { Test } from 'tap'
import { EvilController } from './evil-controller.ts'
import { GuardedHost } from './guarded-host.ts'
import { type Attack, Scene } from './scene.ts'

export async function runAttacks(t: Test, attacks: readonly Attack[]): Promise<void> {
  const controller = await EvilController.start(t)
  const host = new GuardedHost(t.testdir({}), controller.url)
  const scene = new Scene(controller, host)
  await host.start()
  t.teardown(() => host.daemon.kill())
  await controller.session(0)
  let controls = 0
  for (const { name, kind, attempt, hasNoControl } of attacks) {
    const outcome = await attempt(scene, true)
    t.match(outcome, /^refused /, `${kind}: ${name}: ${outcome}`)
    t.same(host.harm(), [], `${name}: no harm`)
    await scene.calm()
    if (hasNoControl === true) continue
    t.equal(await attempt(scene, false), 'taken', `${name}: the honest way`)
    t.same(host.harm(), [], `${name}: nor by its control`)
    await scene.calm()
    controls += 1
  }
  t.comment(`${attacks.length} attacks of an evil controller, ${controls} of them with a control`)
}
