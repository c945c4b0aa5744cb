// Each app of a host starts by itself: one that cannot, or that waits for the controller, holds up
// no other, and follows when it can.

import t, { type Test } from 'tap'
import { AppStarts } from '#agent/app-starts.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const unreachable = new LockstepError('unreachable', 'nobody there')
const badJournal = new LockstepError('bad-journal', 'no journal')
const badToken = new LockstepError('bad-join-token', 'used up')

/** A host with apps of which some have joined; tests say what goes wrong. */
function hostOf(t: Test, apps: readonly string[], joined: readonly string[]) {
  const clock = new FakeClock()
  const there = {
    clock,
    joined: new Set(joined),
    started: [] as string[],
    late: 0,
    joins: 0,
    said: [] as string[],
    join: (): Promise<void> | void => undefined,
    refuses: new Map<string, LockstepError>(),
    /** Lets what was begun come to its end, then the next attempt. */
    async next() {
      await new Promise((resolve) => setImmediate(resolve))
      clock.advance(limits.reconnectMaxMs)
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  const starts = new AppStarts<string>(apps, {
    clock,
    random: () => 0.5,
    hasJoined: (app) => there.joined.has(app),
    join: async () => {
      there.joins += 1
      await there.join()
    },
    start: async (app) => {
      const refusal = there.refuses.get(app)
      if (refusal !== undefined) throw refusal
      there.started.push(app)
    },
    onLate: () => {
      there.late += 1
    },
    onTrouble: (app, { code }) => there.said.push(`${app ?? 'joining'}: ${code}`),
  })
  t.teardown(() => starts.stop())
  return Object.assign(there, { starts })
}

void t.test('while the controller is away, apps that have joined are served', async (t) => {
  const host = hostOf(t, ['blog', 'shop'], ['shop'])
  host.join = () => Promise.reject(unreachable)
  await host.starts.begin()
  t.same(host.started, ['shop'])
  await host.next()
  t.same(host.said, ['joining: unreachable'], 'said once')
  t.equal(host.late, 0)

  host.join = () => void host.joined.add('blog')
  await host.next()
  await host.starts.joined
  t.same(host.started, ['shop', 'blog'])
  t.equal(host.late, 1)
  t.same(host.clock.pending, [])
})

void t.test('a join token that is good for nothing takes no app out', async (t) => {
  const host = hostOf(t, ['blog', 'shop'], ['shop'])
  host.join = () => Promise.reject(badToken)
  await host.starts.begin()
  await host.starts.joined
  t.same(host.started, ['shop'])
  t.same(host.said, ['joining: bad-join-token', 'blog: join-not-allowed'])
  await host.next()
  t.equal(host.joins, 1)
})

void t.test('what cannot be started holds up no other, and follows', async (t) => {
  const host = hostOf(t, ['blog', 'shop', 'wiki'], ['blog', 'shop', 'wiki'])
  host.refuses.set('blog', badJournal)
  await host.starts.begin()
  t.same(host.started, ['shop', 'wiki'])
  await host.next()
  t.same(host.said, ['blog: bad-journal'])
  host.refuses.clear()
  await host.next()
  t.same(host.started, ['shop', 'wiki', 'blog'])
  t.equal(host.late, 1)
  t.equal(host.joins, 0)
  t.same(host.clock.pending, [])
})

void t.test('a host that can serve nothing says why', async (t) => {
  const none = hostOf(t, ['shop'], ['shop'])
  none.refuses.set('shop', badJournal)
  await t.rejects(none.starts.begin(), { code: 'bad-journal' })
  const stranger = hostOf(t, ['shop'], [])
  stranger.join = () => Promise.reject(unreachable)
  await t.rejects(stranger.starts.begin(), { code: 'unreachable' })
  stranger.join = () => void stranger.joined.add('shop')
  await stranger.starts.begin()
  t.same(stranger.started, ['shop'])
})

void t.test('nothing is started after the end', async (t) => {
  const host = hostOf(t, ['blog', 'shop'], ['blog', 'shop'])
  host.refuses.set('blog', badJournal)
  await host.starts.begin()
  host.starts.stop()
  host.refuses.clear()
  await host.next()
  t.same(host.started, ['shop'])
})
