// What systemd hears: nothing outside it, nothing before a self-check, nothing after a failing one.

import t from 'tap'
import { createNotifier, type NotifierPorts, watchdogIntervalMs } from '#systemd/notify.ts'
import type { SelfHealth } from '#systemd/self-check.ts'

const managed = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '60000000' }

/** Notes what is sent, and lets the test decide when each interval is over. */
function fakePorts() {
  const sent: string[][] = []
  const problems: string[] = []
  const slept: number[] = []
  const intervals: (() => void)[] = []
  let asleep = Promise.withResolvers<void>()
  const ports: NotifierPorts = {
    async send(variables) {
      sent.push([...variables])
    },
    sleep(durationMs, signal) {
      slept.push(durationMs)
      return new Promise((resolve) => {
        intervals.push(resolve)
        signal.addEventListener('abort', () => resolve())
        asleep.resolve()
      })
    },
    onProblem: (text) => problems.push(text),
  }
  return {
    ports,
    sent,
    problems,
    slept,
    /** Resolves when the loop waits for its next interval. */
    untilAsleep: () => asleep.promise,
    wake() {
      asleep = Promise.withResolvers<void>()
      intervals.shift()?.()
      return asleep.promise
    },
  }
}

void t.test('outside systemd nothing is sent and no self-check runs', async (t) => {
  const fake = fakePorts()
  const notifier = createNotifier({ WATCHDOG_USEC: '60000000' }, fake.ports)
  await notifier.ready('up')
  await notifier.status('well')
  notifier.watch(() => t.fail('a check without a watchdog') as never)
  await notifier.stopping('bye')
  t.equal(notifier.isManaged, false)
  t.same(fake.sent, [])
})

void t.test('ready, status and stopping are single notifications of one line', async (t) => {
  const fake = fakePorts()
  const notifier = createNotifier(managed, fake.ports)
  await notifier.ready('2 apps')
  await notifier.status('staging\nREADY=1\u0000x ')
  await notifier.stopping('told to')
  t.same(fake.sent, [
    ['READY=1', 'STATUS=2 apps'],
    ['STATUS=staging READY=1 x'],
    ['STOPPING=1', 'STATUS=told to'],
  ])
})

void t.test(
  'the watchdog is fed three times in its time, each time after a self-check',
  async (t) => {
    const fake = fakePorts()
    const checks: string[] = []
    createNotifier(managed, fake.ports).watch(async () => {
      checks.push(`after ${fake.sent.length} pings`)
      return { outcome: 'ok' }
    })
    await fake.untilAsleep()
    await fake.wake()
    t.same(fake.sent, [['WATCHDOG=1'], ['WATCHDOG=1']])
    t.same(checks, ['after 0 pings', 'after 1 pings'])
    t.same(fake.slept, [20_000, 20_000])
  },
)

void t.test('a failing self-check starves the watchdog and is told until it is well', async (t) => {
  const fake = fakePorts()
  const healths: SelfHealth[] = [
    { outcome: 'failing', reason: 'the loop stood still' },
    { outcome: 'degraded', reason: 'the disk is full' },
    { outcome: 'ok' },
    { outcome: 'ok' },
  ]
  createNotifier(managed, fake.ports).watch(async () => healths.shift() ?? { outcome: 'ok' })
  await fake.untilAsleep()
  t.same(fake.sent, [['STATUS=self-check failing: the loop stood still']])
  await fake.wake()
  await fake.wake()
  await fake.wake()
  t.same(fake.sent.slice(1), [
    ['STATUS=self-check degraded: the disk is full'],
    ['WATCHDOG=1'],
    ['STATUS=self-check ok again'],
    ['WATCHDOG=1'],
    ['WATCHDOG=1'],
  ])
  t.same(fake.problems, ['self-check: the loop stood still', 'self-check: the disk is full'])
})

void t.test('a self-check that never ends starves the watchdog', async (t) => {
  const fake = fakePorts()
  const { promise, resolve } = Promise.withResolvers<SelfHealth>()
  const begun = Promise.withResolvers<void>()
  createNotifier(managed, fake.ports).watch(() => {
    begun.resolve()
    return promise
  })
  await begun.promise
  t.same(fake.sent, [])
  resolve({ outcome: 'ok' })
  await fake.untilAsleep()
  t.same(fake.sent, [['WATCHDOG=1']])
})

void t.test('stopping ends the pings, and so does what watch returned', async (t) => {
  for (const end of ['stopping', 'unwatch'] as const) {
    const fake = fakePorts()
    const notifier = createNotifier(managed, fake.ports)
    const unwatch = notifier.watch(async () => ({ outcome: 'ok' }))
    await fake.untilAsleep()
    if (end === 'stopping') await notifier.stopping('bye')
    else unwatch()
    await new Promise(setImmediate)
    t.equal(fake.sent.filter(([one]) => one === 'WATCHDOG=1').length, 1, end)
  }
})

void t.test('a notification that cannot be sent is a problem to log, not a crash', async (t) => {
  const fake = fakePorts()
  const send = async () => {
    throw new Error('no such file')
  }
  await createNotifier(managed, { ...fake.ports, send }).ready('up')
  t.same(fake.problems, ['systemd was not notified of READY=1: Error: no such file'])
})

void t.test('the interval is that of this process only, and of a sane number', async (t) => {
  t.equal(watchdogIntervalMs({ WATCHDOG_USEC: '60000000' }), 20_000)
  t.equal(watchdogIntervalMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: `${process.pid}` }), 20_000)
  t.equal(watchdogIntervalMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }), undefined)
  for (const text of [undefined, '', '0', '-1', 'soon', '1e99']) {
    t.equal(watchdogIntervalMs({ WATCHDOG_USEC: text }), undefined, String(text))
  }
})
