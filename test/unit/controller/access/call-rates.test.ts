// How often somebody may call, on a clock of the test's.

import t from 'tap'
import { CallRates, RateLimit, retryAfter } from '#controller/access/call-rates.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

void t.test('so many at once, then so many a second, and never more', async (t) => {
  const clock = new FakeClock()
  const limit = new RateLimit(clock, { burst: 5, perSecond: 2 })
  const inTime = (calls: number) =>
    Array.from({ length: calls }, () => limit.take('a')).filter((waitMs) => waitMs === 0).length
  t.equal(inTime(20), 5)
  t.equal(limit.take('a'), 500)
  clock.advance(499)
  t.equal(limit.take('a'), 1)
  clock.advance(1)
  t.equal(inTime(20), 1)
  clock.advance(1000)
  t.equal(inTime(20), 2)
  clock.advance(3_600_000)
  t.equal(inTime(20), 5, 'rest is saved up to the burst, and no further')
  t.equal(limit.take('b'), 0, 'another caller is another matter')
})

void t.test('what is refused does not lengthen the wait', async (t) => {
  const clock = new FakeClock()
  const limit = new RateLimit(clock, { burst: 1, perSecond: 1 })
  t.equal(limit.take('a'), 0)
  for (let call = 0; call < 1000; call += 1) t.equal(limit.take('a') > 0, true)
  clock.advance(1000)
  t.equal(limit.take('a'), 0)
})

void t.test('callers beyond number are forgotten, the oldest first', async (t) => {
  const limit = new RateLimit(new FakeClock(), { burst: 1, perSecond: 1 })
  for (let caller = 0; caller <= limits.callersMax; caller += 1) limit.take(String(caller))
  t.equal(limit.take('0'), 0, 'forgotten, and so free')
  t.ok(limit.take(String(limits.callersMax)) > 0)
})

function refusedAfter(call: () => void): number {
  for (let calls = 0; calls < 100_000; calls += 1) {
    try {
      call()
    } catch (error) {
      if (!(error instanceof LockstepError) || error.code !== 'too-many-requests') throw error
      return calls
    }
  }
  return Number.POSITIVE_INFINITY
}

void t.test('every kind of caller has its own measure', async (t) => {
  const rates = new CallRates(new FakeClock())
  t.equal(
    refusedAfter(() => rates.ofToken('a')),
    limits.tokenCallsBurst,
  )
  t.doesNotThrow(() => rates.ofToken('b'))
  t.equal(
    refusedAfter(() => rates.ofAddress('10.0.0.1')),
    limits.addressCallsBurst,
  )
  t.equal(
    refusedAfter(() => rates.ofHost('h')),
    limits.contentCallsBurst,
  )
  t.equal(
    refusedAfter(() => rates.ofAgentsAt('10.0.0.1')),
    limits.agentCallsBurst,
  )
})

void t.test('a thousand hosts behind one address connect and reconnect at once', async (t) => {
  const clock = new FakeClock()
  const rates = new CallRates(clock)
  const reconnect = () => {
    for (let host = 0; host < 1000; host += 1) {
      rates.ofAgentsAt('10.0.0.1')
      rates.ofAgentsAt('10.0.0.1')
      for (let call = 0; call < 3 * limits.appsPerHostMax; call += 1) rates.ofHost(`host-${host}`)
    }
  }
  for (let times = 0; times < 5; times += 1) {
    t.doesNotThrow(reconnect)
    clock.advance(1000)
  }
})

void t.test('refused credentials are counted strictly, and by address alone', async (t) => {
  const clock = new FakeClock()
  const rates = new CallRates(clock)
  const refusal = new LockstepError('unauthorised', 'no')
  const codes = Array.from(
    { length: limits.refusedCallsBurst + 1 },
    () => rates.refused(refusal, '10.0.0.1').code,
  )
  t.equal(codes.lastIndexOf('unauthorised'), limits.refusedCallsBurst - 1)
  t.equal(codes.at(-1), 'too-many-requests')
  t.equal(rates.refused(refusal, '10.0.0.2').code, 'unauthorised')
  t.doesNotThrow(() => rates.ofAddress('10.0.0.1'), 'a good token of a neighbour goes on')
  clock.advance(1000 / limits.refusedCallsPerSecond)
  t.equal(rates.refused(refusal, '10.0.0.1').code, 'unauthorised')
})

void t.test('an IPv6 network is one address, however it is written', async (t) => {
  const rates = new CallRates(new FakeClock())
  refusedAfter(() => rates.ofAddress('2001:db8:1:2::1'))
  for (const same of ['2001:db8:1:2::2', '2001:db8:1:2:ffff:1:2:3', '2001:db8:1:2::']) {
    t.throws(() => rates.ofAddress(same), { code: 'too-many-requests' }, same)
  }
  for (const other of ['2001:db8:1:3::1', '2001:db8::1', '::1', '::ffff:10.0.0.1', '10.0.0.1']) {
    t.doesNotThrow(() => rates.ofAddress(other), other)
  }
})

void t.test('whoever is refused is told how long to wait', async (t) => {
  const rates = new CallRates(new FakeClock())
  refusedAfter(() => rates.ofToken('a'))
  try {
    rates.ofToken('a')
    t.fail('it was let in')
  } catch (error) {
    t.match(error, { code: 'too-many-requests', status: 429, retryable: true, hint: /Wait 1 s/ })
    t.equal(error instanceof LockstepError && retryAfter(error), '1')
  }
})
