// Hooks, steps, probes and the once run as the runner of an app calls them: real processes, a release
// on the disk, systemd made up.

import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { monotonicClock } from '#agent/adapters/monotonic-clock.ts'
import type { Systemctl } from '#agent/adapters/systemctl.ts'
import type { HookConfig, ProgramCommand } from '#agent/config-hooks.ts'
import type { HookOutput } from '#agent/hooks/hook-runner.ts'
import { HostSteps, type HostStepsConfig } from '#agent/hooks/host-steps.ts'
import { layoutOf, prepareLayout } from '#agent/layout/app-layout.ts'
import type { Failure } from '#shared/report.ts'

const fence = { term: 1, epoch: 7, hash: 'f'.repeat(64) }
const release = { version: '1.2.0', tree: 'a'.repeat(64) }
const previous = { version: '1.1.0', tree: 'b'.repeat(64) }
const scene = { release, previous, fence }
const never = new AbortController().signal
const done = { kind: 'done' }

const nothing: HostStepsConfig = {
  reload: [],
  restart: [],
  opcache: null,
  hooks: {},
  once: null,
  health: null,
}

const program = (name: string, ...args: string[]): ProgramCommand => ({
  kind: 'run',
  program: name,
  args,
})
const hook = (name: string, ...args: string[]): HookConfig => ({
  command: program(name, ...args),
  timeoutMs: 30_000,
})
/** The script is the release's own, and is told its words. */
const script = (...args: string[]): HookConfig => hook('bin/hook', ...args)

interface Scripts {
  readonly [name: string]: string
}

/** @param running units that systemd lists until they are stopped */
function hostSteps(
  t: Test,
  config: Partial<HostStepsConfig>,
  scripts: Scripts = {},
  running: readonly string[] = [],
) {
  const layout = layoutOf(t.testdir({}))
  prepareLayout(layout)
  const directory = join(layout.versions, release.version)
  mkdirSync(join(directory, 'bin'), { recursive: true })
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(directory, 'bin', name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(directory, 'bin', name), 0o755)
  }
  const outputs: HookOutput[] = []
  const ignored: Failure[] = []
  const asked: string[] = []
  const systemctl: Systemctl = async (args) => {
    asked.push(args.join(' '))
    if (args[0] === 'list-units') {
      const left = running.filter((unit) => !asked.includes(`stop -- ${unit}`))
      return { exitCode: 0, stdout: left.join('\n'), said: '' }
    }
    return args.at(-1) === 'bad.service'
      ? { exitCode: 1, stdout: '', said: 'Access denied' }
      : { exitCode: 0, stdout: 'LoadState=loaded\nType=oneshot\nRemainAfterExit=no\n', said: '' }
  }
  const build = () =>
    new HostSteps(
      { ...nothing, ...config },
      {
        app: 'shop',
        environment: 'production',
        layout,
        clock: monotonicClock,
        systemctl,
        ownEnvironment: { PATH: '/usr/bin:/bin', HOME: '/root', SECRET: 'x' },
        secretFiles: [join(layout.shared, '.env')],
        controlGroupParent: null,
        checkFit: async ({ release: { version } }) =>
          version === release.version
            ? { kind: 'done' }
            : { kind: 'failed', failure: { code: 'unfit', message: 'it does not fit' } },
        onOutput: (output) => outputs.push(output),
        onIgnored: (failure) => ignored.push(failure),
      },
    )
  const steps = build()
  t.teardown(() => steps.stop())
  return { layout, directory, steps, again: build, outputs, ignored, asked }
}

const texts = (outputs: readonly HookOutput[]) => outputs.map(({ text }) => text).join('\n')

void t.test('a hook runs in the release, with its environment and nothing else', async (t) => {
  const hooks = { 'before-activate': script('a b', '$HOME') }
  // Without the mark, and without what tap adds to whatever a test spawns.
  const list = 'env -0 | tr "\\n\\000" " \\n"'
  const others = 'grep -vE "^(LOCKSTEP_RUN|NODE_OPTIONS|_TAPJS_[A-Z_]*)="'
  const text = `${list} | ${others} | sort; pwd; echo "$0|$1|$2"`
  const { steps, outputs, directory } = hostSteps(t, { hooks }, { hook: text })
  t.same(await steps.beforeActivate(scene, { signal: never }), done)
  t.same(texts(outputs).split('\n'), [
    'HOME=/root',
    'LOCKSTEP_APP=shop',
    'LOCKSTEP_ENV=production',
    'LOCKSTEP_EPOCH=7',
    'LOCKSTEP_PREVIOUS=1.1.0',
    `LOCKSTEP_RELEASE_DIR=${directory}`,
    'LOCKSTEP_VERSION=1.2.0',
    'PATH=/usr/bin:/bin',
    `PWD=${directory}`,
    directory,
    `${directory}/bin/hook|a b|$HOME`,
  ])
  t.match(outputs[0], { hook: 'before-activate', fence, stream: 'out', truncated: false })
})

void t.test('without a hook there is nothing to do', async (t) => {
  const { steps, asked } = hostSteps(t, {})
  const options = { signal: never }
  t.same(await steps.preflight(scene, { ...options, runHook: true }), done)
  t.same(await steps.beforeActivate(scene, options), done)
  t.same(await steps.steps({ ...scene, rollingBack: true }, options), done)
  t.same(await steps.probe(scene, { ...options, mode: 'whole' }), done)
  t.match(await steps.runOnce(scene), { failure: { code: 'once-failed', message: /no once hook/ } })
  t.same(asked, [])
})

void t.test('a hook that fails says how, and with which last words', async (t) => {
  const hooks = { 'before-activate': script() }
  const { steps } = hostSteps(
    t,
    { hooks },
    { hook: 'echo working; echo no such table >&2; exit 3' },
  )
  t.match(await steps.beforeActivate(scene, { signal: never }), {
    kind: 'failed',
    failure: {
      code: 'hook-failed',
      message: /^before-activate: bin\/hook exited with 3; its last words: /,
      hint: /agent’s log/,
    },
  })
})

void t.test('one that takes too long is killed, and has a code of its own', async (t) => {
  const hooks = { 'before-activate': { ...script(), timeoutMs: 200 } }
  const { steps } = hostSteps(t, { hooks }, { hook: 'exec sleep 1000' })
  t.match(await steps.beforeActivate(scene, { signal: never }), {
    failure: { code: 'hook-timeout', message: 'before-activate: bin/hook was killed after 0.2 s' },
  })
})

void t.test('one that nobody waits for, or that a stop ends, has failed', async (t) => {
  const hooks = { 'before-activate': script() }
  const { steps } = hostSteps(t, { hooks }, { hook: 'echo here; sleep 1000' })
  const abort = new AbortController()
  const aborted = steps.beforeActivate(scene, { signal: abort.signal })
  abort.abort()
  const failure = { code: 'hook-failed', message: /nobody waits/ }
  t.match(await aborted, { kind: 'failed', failure })
  const stopped = steps.beforeActivate(scene, { signal: never })
  steps.stop()
  t.match(await stopped, { kind: 'failed', failure })
})

void t.test('the secrets of its shared files are kept out of what it says', async (t) => {
  const hooks = { 'before-activate': script() }
  const text = 'echo "login as shop with hunter2hunter2"; echo hunter2hunter2 >&2; exit 1'
  const { steps, outputs, layout } = hostSteps(t, { hooks }, { hook: text })
  writeFileSync(join(layout.shared, '.env'), 'APP_ENV=production\nDB_PASSWORD="hunter2hunter2"\n')
  const outcome = await steps.beforeActivate(scene, { signal: never })
  t.match(outcome, { failure: { message: /exited with 1/ } })
  t.match(texts(outputs), /login as shop with \(DB_PASSWORD\)/)
  t.notMatch(JSON.stringify([outputs, outcome]), /hunter2/)
})

void t.test('what it leaves running is ended, and told of', async (t) => {
  const hooks = { 'before-activate': script() }
  const text = 'setsid sleep 1000 & echo started; sleep 0.2'
  const { steps, outputs } = hostSteps(t, { hooks }, { hook: text })
  t.same(await steps.beforeActivate(scene, { signal: never }), done)
  t.match(texts(outputs), /^started\n\(one process that it left running ended/)
})

void t.test('no program outside of what may be run is ever started', async (t) => {
  const refused: [string, RegExp][] = [
    ['bin/missing', /the release has no bin\/missing/],
    ['bin/data', /bin\/data is no file that may be executed/],
    ['shared/hook', /shared\/hook leads out of the release, to .*\/shared\/hook/],
    ['./bin', /\.\/bin is no file that may be executed/],
    ['no-such-program', /no-such-program is in no directory of PATH .*: \.\/no-such-program/],
    ['/no/such/program', /\/no\/such\/program is not there/],
  ]
  for (const [name, message] of refused) {
    const hooks = { 'before-activate': hook(name) }
    const { steps, layout, directory } = hostSteps(t, { hooks }, { data: '' })
    chmodSync(join(directory, 'bin/data'), 0o644)
    writeFileSync(join(layout.shared, 'hook'), '#!/bin/sh\n')
    chmodSync(join(layout.shared, 'hook'), 0o755)
    symlinkSync('../../shared', join(directory, 'shared'))
    t.match(await steps.beforeActivate(scene, { signal: never }), {
      failure: { code: 'hook-failed', message },
    })
  }
  const { steps, directory } = hostSteps(t, { hooks: { 'before-activate': hook('true') } })
  t.same(await steps.beforeActivate(scene, { signal: never }), done, 'a name is looked up in PATH')
  rmSync(directory, { recursive: true })
  t.match(await steps.beforeActivate(scene, { signal: never }), {
    failure: { code: 'hook-failed', message: /could not be started \(ENOENT\)/ },
  })
})

void t.test('host and release have to fit before the hook after staging runs', async (t) => {
  const { steps, outputs } = hostSteps(
    t,
    { hooks: { 'after-stage': script() } },
    { hook: 'echo x' },
  )
  const options = { signal: never, runHook: true }
  t.match(await steps.preflight({ ...scene, release: previous }, options), {
    failure: { code: 'unfit' },
  })
  t.same(await steps.preflight(scene, { ...options, runHook: false }), done)
  t.same(outputs, [])
  t.same(await steps.preflight(scene, options), done)
  t.equal(texts(outputs), 'x')
})

void t.test(
  'the steps after a swap come in their order, and end at the first failure',
  async (t) => {
    const hooks = {
      'after-activate': script('after-activate'),
      'on-rollback': { command: { kind: 'unit', template: 'tell@.service' }, timeoutMs: 1000 },
    } as const
    const scripts = { hook: 'echo $1' }
    const units = { reload: ['a.service', 'b.service'], restart: ['c.service'] }
    const good = hostSteps(t, { hooks, ...units }, scripts)
    t.same(await good.steps.steps({ ...scene, rollingBack: false }, { signal: never }), done)
    t.same(good.asked, ['reload -- a.service', 'reload -- b.service', 'restart -- c.service'])
    t.equal(texts(good.outputs), 'after-activate')
    t.same(await good.steps.steps({ ...scene, rollingBack: true }, { signal: never }), done)
    t.equal(good.asked.at(-1), 'start -- tell@shop-1.2.0.service')
    const without = { ...scene, release: null, rollingBack: true }
    t.same(await good.steps.steps(without, { signal: never }), done)
    t.equal(good.asked.at(-1), 'restart -- c.service', 'without a release no hook is run')
    const bad = hostSteps(t, { hooks, reload: ['bad.service', 'b.service'] }, scripts)
    t.match(await bad.steps.steps({ ...scene, rollingBack: false }, { signal: never }), {
      failure: {
        code: 'reload-failed',
        message: 'systemctl reload bad.service failed: Access denied',
      },
    })
    t.equal(bad.asked.length, 1)
    t.same(bad.outputs, [])
    const fpm = hostSteps(t, { hooks, opcache: '/run/lockstep-none.sock' }, scripts)
    t.match(await fpm.steps.steps({ ...scene, rollingBack: false }, { signal: never }), {
      failure: { code: 'reload-failed', message: /opcache .* ENOENT/ },
    })
  },
)

void t.test('a hook on failure changes nothing, but its own failure is told of', async (t) => {
  const { steps, ignored, directory } = hostSteps(
    t,
    { hooks: { 'on-failure': script() } },
    { hook: 'echo $LOCKSTEP_VERSION > ran; exit 1' },
  )
  steps.onFailure(scene, { code: 'unhealthy', message: 'it is ill' })
  while (ignored.length === 0) await new Promise((resolve) => setImmediate(resolve))
  t.match(ignored, [{ code: 'hook-failed', message: /^on-failure: bin\/hook exited with 1/ }])
  t.equal(readFileSync(join(directory, 'ran'), 'utf8'), '1.2.0\n')
})

void t.test('a command as a probe passes with 0, and its last words are the reason', async (t) => {
  const health = {
    target: program('bin/hook'),
    forMs: 0,
    intervalMs: 100,
    timeoutMs: 10_000,
    healthy: 1,
    unhealthy: 2,
  }
  const text = 'test -e well || { echo still ill; exit 1; }'
  const { steps, outputs, directory } = hostSteps(t, { health }, { hook: text })
  const options = { mode: 'whole', signal: never } as const
  t.match(await steps.probe(scene, options), {
    failure: { code: 'unhealthy', message: /exited with 1; its last words: still ill \(2 probes/ },
  })
  writeFileSync(join(directory, 'well'), '')
  t.same(await steps.probe(scene, options), done)
  t.same(outputs, [], 'probes say nothing else')
})

const once = { ...script(), whenRollingBack: false }

void t.test('a once run ends with its own code, and is not ended by a stop', async (t) => {
  const { steps, directory } = hostSteps(
    t,
    { once },
    { hook: 'while ! test -e go; do sleep 0.05; done; exit 9' },
  )
  const run = steps.runOnce(scene)
  steps.stop()
  writeFileSync(join(directory, 'go'), '')
  t.match(await run, {
    failure: { code: 'once-failed', message: /^once: bin\/hook exited with 9/ },
  })
})

void t.test('a later start finds what is left of a once run, and waits for its end', async (t) => {
  const text = 'echo up; while ! test -e go; do sleep 0.05; done'
  const { steps, again, outputs, directory } = hostSteps(t, { once }, { hook: text })
  const run = steps.runOnce(scene)
  while (outputs.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const later = again()
  t.teardown(() => later.stop())
  const order: string[] = []
  const gone = later.onceGone(fence).then(() => order.push('gone'))
  await later.onceGone({ ...fence, epoch: 6 })
  order.push('nothing of another fence')
  writeFileSync(join(directory, 'go'), '')
  t.same(await run, done)
  await gone
  t.same(order, ['nothing of another fence', 'gone'])
})

void t.test('what is left of a once run that is a unit is asked of systemd', async (t) => {
  const unit = {
    command: { kind: 'unit', template: 'migrate@.service' },
    timeoutMs: 0,
    whenRollingBack: false,
  } as const
  const { steps, asked } = hostSteps(t, { once: unit }, {}, ['migrate@shop-1.1.0.service'])
  await steps.onceGone(fence)
  t.same(
    asked.filter((question) => !question.startsWith('list-units')),
    ['kill --signal=SIGKILL -- migrate@shop-1.1.0.service', 'stop -- migrate@shop-1.1.0.service'],
    'and ended when its time is over',
  )
})

void t.test('a later start ends what is left of every other hook', async (t) => {
  const config = { once, hooks: { 'before-activate': script() } }
  const text =
    'test "$LOCKSTEP_EPOCH" = 7 && exec sleep 1000; while ! test -e go; do sleep 0.05; done'
  const { steps, again, directory } = hostSteps(t, config, { hook: `echo up; ${text}` })
  const outputs: string[] = []
  const hooked = steps.beforeActivate(scene, { signal: never }).then((outcome) => {
    outputs.push('hook')
    return outcome
  })
  const run = steps.runOnce({ ...scene, fence: { ...fence, epoch: 8 } }).then((outcome) => {
    outputs.push('once')
    return outcome
  })
  const later = again()
  t.teardown(() => later.stop())
  while (outputs.length === 0) {
    await later.endLeftovers()
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.same(outputs, ['hook'])
  t.match(await hooked, { failure: { code: 'hook-failed', message: /ended by SIGKILL/ } })
  writeFileSync(join(directory, 'go'), '')
  t.same(await run, done, 'but not the once run')
})

void t.test('what is left of it has an end too', async (t) => {
  const config = { once: { ...once, timeoutMs: 60_000 } }
  const { steps, again, outputs } = hostSteps(t, config, { hook: 'echo up; exec sleep 1000' })
  const run = steps.runOnce(scene)
  while (outputs.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const later = hostSteps(t, { once: { ...once, timeoutMs: 0 } }).steps
  t.teardown(() => later.stop())
  again().stop()
  await later.onceGone(fence)
  t.match(await run, { failure: { code: 'once-failed', message: /ended by SIGKILL/ } })
})
