// The run that a fleet makes once per release, over HTTP: who is elected, how it ended, and that a release
// whose run failed is marked.

import t from 'tap'
import { baseOf, openShop } from '../support/shop-server.ts'

const base = baseOf('production')

void t.test('a run that fails is shown with its host, and marks the release', async (t) => {
  const { desire, once, obey, call } = await openShop(t)
  await desire({ version: '1.0.0' })
  await obey()
  const { body } = await desire({ version: '2.0.0' })
  await once('failed', 'exit code 3')
  const ended = await call('GET', `/v1/rollouts/${body.rollout?.id}`)
  t.match(ended.body, {
    phase: 'aborted',
    reason: 'once-failed',
    exitCode: 4,
    once: { state: 'failed', name: 'web-1', message: 'exit code 3' },
  })
  t.match((await call('GET', base)).body, {
    committed: { version: '1.0.0' },
    failed: [{ release: { version: '2.0.0' }, mark: { reason: 'once-failed' } }],
  })
})

void t.test('a run that is done is said of its own rollout only, and planned once', async (t) => {
  const { desire, once, call } = await openShop(t)
  const plan = async (version: string) => (await call('POST', `${base}/plan`, { version })).body
  t.equal((await plan('1.0.0')).once, null, 'nobody is known to declare it yet')
  const first = await desire({ version: '1.0.0' })
  await once('done')
  const view = async (id = '') => (await call('GET', `/v1/rollouts/${id}`)).body
  t.match(await view(first.body.rollout?.id), {
    phase: 'committed',
    once: { state: 'done', name: 'web-1' },
  })
  t.match(await plan('2.0.0'), { once: { name: 'web-1' } })
  const second = await desire({ version: '2.0.0' })
  await once('done')
  t.match(await view(second.body.rollout?.id), { once: { state: 'done' } })
  t.match(await plan('1.0.0'), { outcome: 'started', once: null }, 'it ran for this tree')
  const back = await desire({ version: '1.0.0' })
  await once('done')
  t.match(await view(back.body.rollout?.id), { phase: 'committed', once: null })
})

void t.test('a run that was done otherwise is not made, and nothing else is guessed', async (t) => {
  const { desire, once, obey, call } = await openShop(t)
  await desire({ version: '1.0.0' })
  await obey()
  for (const wrong of [{ once: 'maybe' }, { once: null }, { force: 'yes' }]) {
    t.match(await desire({ version: '3.0.0', ...wrong }), { status: 400 })
  }
  t.match(await desire({ version: '3.0.0', once: 'done' }), { status: 202 })
  await once('failed')
  t.match((await call('GET', base)).body, {
    committed: { version: '3.0.0' },
    rollout: { once: null },
  })
})
