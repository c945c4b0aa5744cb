// The once run of a fleet, with processes: it runs on one host, before anybody swaps; one that fails
// swaps nobody; one that nobody heard the end of is never repeated by itself.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { LockstepError } from '#shared/errors.ts'
import { smallRelease } from '../support/small-release.ts'
import { Fleet } from './fleet/fleet.ts'
import { OnceScript } from './fleet/once-script.ts'
import { endedInTruth } from './fleet/truth.ts'

const directory = mkdtempSync(join(tmpdir(), 'lockstep-once-'))
const script = new OnceScript(t, directory)
t.teardown(() => rmSync(directory, { recursive: true, force: true }))
const fleet = await Fleet.start(t, ['web-1', 'web-2', 'web-3'], { settings: script.settings })
for (const version of ['1', '2', '3', '4']) await fleet.publish(version, smallRelease(version))

function currents(): (string | null)[] {
  return fleet.hosts.map((host) => host.current())
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return error.code
  }
}

void t.test('it runs on one host, and nobody swaps before it is done', async (t) => {
  const id = await fleet.begin('1')
  await script.said('started', '1')
  t.equal((await fleet.client.rollout(id)).phase, 'preparing')
  t.same(currents(), [null, null, null])
  script.letEnd('well')
  t.match(await endedInTruth(fleet, id), { phase: 'committed', exitCode: 0 })
  t.equal(script.starts('1'), 1)
  t.same(currents(), ['1', '1', '1'])
})

void t.test('a failing one swaps nobody', async (t) => {
  const id = await fleet.begin('2')
  await script.said('started', '2')
  script.letEnd('badly')
  t.match(await endedInTruth(fleet, id), { phase: 'aborted', reason: 'once-failed', exitCode: 4 })
  t.same(currents(), ['1', '1', '1'])
  t.same(
    fleet.facts.filter((fact) => fact.rollout === id && fact.type === 'barrier-opened'),
    [],
  )
})

void t.test('a cancelled one is unknown until somebody says what it is', async (t) => {
  const id = await fleet.begin('3')
  await script.said('started', '3')
  t.equal(await codeOf(fleet.desire('4')), 'rollout-open')
  await fleet.client.cancel(id)
  t.match(await endedInTruth(fleet, id), { phase: 'aborted', reason: 'cancelled', exitCode: 4 })
  t.equal(await codeOf(fleet.desire('3')), 'once-unknown')
  t.equal(await codeOf(fleet.desire('3', { once: 'run' })), 'once-running')
  script.letEnd('well')
  await fleet.until('the late result', () =>
    fleet.facts.some((fact) => fact.type === 'once-ended' && fact.text.includes('done')) &&
    fleet.facts.at(-1)?.text.startsWith('once run done')
      ? true
      : undefined,
  )
  t.match(await endedInTruth(fleet, await fleet.begin('3')), { phase: 'committed' })
  t.equal(script.starts('3'), 1, 'and was not made again')
})

void t.test('going back to what ran before needs none', async (t) => {
  t.match(await endedInTruth(fleet, await fleet.begin('1')), { phase: 'committed' })
  t.equal(script.starts('1'), 1)
})
