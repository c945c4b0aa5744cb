// Hooks that are units of systemd's: their names, what is asked of systemd, and every end.

import { spawnSync } from 'node:child_process'
import t from 'tap'
import type { Systemctl, SystemctlAnswer } from '#agent/adapters/systemctl.ts'
import { runningUnits, runUnit } from '#agent/hooks/run-unit.ts'
import { instancesBeginning, unitInstance } from '#shared/unit-instance.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

void t.test('the instance is app and version, as systemd escapes them', async (t) => {
  const escape = (text: string) => spawnSync('systemd-escape', ['--', text], { encoding: 'utf8' })
  const places = [
    ['shop', '0.0.12', 'shop-0.0.12'],
    ['my-shop_2', '1.0.0-rc.1+build', 'my\\x2dshop_2-1.0.0\\x2drc.1\\x2bbuild'],
  ] as const
  for (const [app, version, instance] of places) {
    t.equal(unitInstance('migrate@.service', app, version), `migrate@${instance}.service`)
    const { error, stdout } = escape(`${app}/${version}`)
    if (error === undefined) t.equal(stdout.trim(), instance, 'as systemd-escape says')
  }
  t.equal(instancesBeginning('migrate@.service', 'shop'), 'migrate@shop-')
  t.equal(instancesBeginning('migrate@.service', 'my-shop'), 'migrate@my\\x2dshop-')
})

const ok: SystemctlAnswer = { exitCode: 0, stdout: '', said: '' }
const suitable = 'LoadState=loaded\nType=oneshot\nRemainAfterExit=no\n'

/** Answers by verb; `show` by the first property that is asked for. */
function systemd(answers: Record<string, SystemctlAnswer | Promise<SystemctlAnswer>>) {
  const asked: string[] = []
  const systemctl: Systemctl = async (args) => {
    asked.push(args.join(' '))
    const [verb = '', first = ''] = args
    const key = verb === 'show' ? `show ${first.replace('--property=', '')}` : verb
    return answers[key] ?? { ...ok, stdout: key === 'show LoadState' ? suitable : '' }
  }
  return { asked, systemctl }
}

const unit = 'migrate@shop-1.service'
const clock = new FakeClock()

void t.test('a unit that ended well is done', async (t) => {
  const { asked, systemctl } = systemd({})
  t.same(await runUnit({ unit, timeoutMs: 1000, clock, systemctl }), { kind: 'done' })
  t.equal(asked[1], `start -- ${unit}`)
  t.same(clock.pending, [])
})

void t.test('a unit that failed says how', async (t) => {
  const start = { exitCode: 1, stdout: '', said: 'Job for migrate failed.' }
  const run = (result: string) =>
    runUnit({
      unit,
      timeoutMs: 1000,
      clock,
      ...systemd({ start, 'show Result': { ...ok, stdout: result } }),
    })
  t.same(await run('Result=exit-code\nExecMainStatus=3\n'), {
    kind: 'failed',
    reason: 'it exited with 3',
  })
  t.same(await run('Result=oom-kill\nExecMainStatus=9\n'), {
    kind: 'failed',
    reason: 'it ended with oom-kill',
  })
  const denied = await run('Result=success\nExecMainStatus=0\n')
  t.same(denied, { kind: 'failed', reason: start.said }, 'what was refused never ran')
})

void t.test('a unit that would only seem to run is not started', async (t) => {
  const cases: [string, RegExp][] = [
    ['LoadState=not-found\nType=simple\nRemainAfterExit=no\n', /systemd has no migrate/],
    ['LoadState=loaded\nType=simple\nRemainAfterExit=no\n', /has to be Type=oneshot/],
    ['LoadState=loaded\nType=oneshot\nRemainAfterExit=yes\n', /would run only once/],
  ]
  for (const [stdout, reason] of cases) {
    const { asked, systemctl } = systemd({ 'show LoadState': { ...ok, stdout } })
    const end = await runUnit({ unit, timeoutMs: 1000, clock, systemctl })
    t.match(end, { kind: 'failed', reason })
    t.equal(asked.length, 1)
  }
})

void t.test('its time over, or nobody waiting: it is killed, and its end awaited', async (t) => {
  for (const kind of ['timed-out', 'aborted'] as const) {
    const started = Promise.withResolvers<SystemctlAnswer>()
    const { asked, systemctl } = systemd({ start: started.promise })
    const abort = new AbortController()
    const stopping: Systemctl = async (args, options) => {
      if (args[0] === 'stop') started.resolve({ ...ok, exitCode: 1 })
      return systemctl(args, options)
    }
    const end = runUnit({ unit, timeoutMs: 1000, clock, systemctl: stopping, signal: abort.signal })
    await new Promise((resolve) => setImmediate(resolve))
    if (kind === 'timed-out') clock.advance(1000)
    else abort.abort()
    t.same(await end, { kind })
    t.same(asked.slice(2), [`kill --signal=SIGKILL -- ${unit}`, `stop -- ${unit}`])
    t.same(clock.pending, [])
  }
  const { asked, systemctl } = systemd({})
  const signal = AbortSignal.abort()
  t.same(await runUnit({ unit, timeoutMs: 1, clock, systemctl, signal }), { kind: 'aborted' })
  t.same(asked, [])
})

void t.test('one that still runs when nothing waits for it is ended, and has failed', async (t) => {
  const start = { exitCode: 127, stdout: '', said: 'Connection reset by peer' }
  const stdout = 'Result=success\nExecMainStatus=0\nActiveState=activating\n'
  const { asked, systemctl } = systemd({ start, 'show Result': { ...ok, stdout } })
  const end = await runUnit({ unit, timeoutMs: 1000, clock, systemctl })
  t.match(end, { kind: 'failed', reason: /ended, since nobody could wait.*Connection reset/ })
  t.same(asked.slice(-2), [`kill --signal=SIGKILL -- ${unit}`, `stop -- ${unit}`])
})

void t.test('one that is left to itself goes on, and holds no process up', async (t) => {
  const leaving = new AbortController()
  const started = Promise.withResolvers<SystemctlAnswer>()
  const { asked, systemctl } = systemd({ start: started.promise })
  const given: Systemctl = (args, options) => {
    const gone = { exitCode: 124, stdout: '', said: 'it was given up' }
    options.signal?.addEventListener('abort', () => started.resolve(gone))
    return systemctl(args, options)
  }
  const leaveTo = leaving.signal
  const end = runUnit({ unit, timeoutMs: 1000, clock, systemctl: given, leaveTo })
  await new Promise((resolve) => setImmediate(resolve))
  leaving.abort()
  t.same(await end, { kind: 'aborted' })
  t.equal(asked.at(-1), `start -- ${unit}`, 'it is not ended')
  t.same(clock.pending, [])
})

void t.test('what runs is what systemd lists, and not known when it says nothing', async (t) => {
  const list = (answer: Partial<SystemctlAnswer>) =>
    runningUnits('migrate@shop-', systemd({ 'list-units': { ...ok, ...answer } }).systemctl)
  const stdout = `${unit} loaded activating start Migrate\nnginx.service loaded active running x\n`
  t.same(await list({ stdout }), [unit])
  t.same(await list({ stdout: 'nginx.service loaded active running nginx\n' }), [])
  t.equal(await list({ exitCode: 1 }), null)
})
