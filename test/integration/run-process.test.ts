// Programs as processes of their own: how each of them ends, and that nothing of them is left.

import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { monotonicClock } from '#agent/adapters/monotonic-clock.ts'
import { ControlGroup, clearControlGroups } from '#agent/hooks/control-group.ts'
import { type OutputLine, OutputLines } from '#agent/hooks/output-lines.ts'
import { type ProcessRequest, runProcess } from '#agent/hooks/run-process.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

const environment = { PATH: '/usr/local/bin:/usr/bin:/bin' }

/** One run of a shell's script; whoever bears `mark` came of it. */
async function run(t: Test, script: string, wishes: Partial<ProcessRequest> = {}) {
  const mark = `test-${randomUUID()}`
  const lines: OutputLine[] = []
  const output = new OutputLines((line) => lines.push(line))
  const end = await runProcess({
    file: '/bin/sh',
    args: ['-c', script],
    directory: '/',
    environment,
    mark,
    timeoutMs: 60_000,
    controlGroupParent: null,
    clock: monotonicClock,
    onOutput: (stream, bytes) => {
      output.push(stream, bytes)
      return output.isFull ? 'enough' : 'more'
    },
    ...wishes,
  })
  output.end()
  t.same(bearersOf(mark), [], 'nothing of it is left')
  return { ...end, lines, texts: lines.map(({ stream, text }) => `${stream}: ${text}`) }
}

function bearersOf(mark: string): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^[0-9]+$/.test(name)) return false
    try {
      const isOver = / [ZX] /.test(readFileSync(`/proc/${name}/stat`, 'latin1').slice(0, 60))
      return !isOver && readFileSync(`/proc/${name}/environ`, 'latin1').includes(mark)
    } catch (error) {
      if (systemCodeOf(error) === undefined) throw error
      return false
    }
  })
}

void t.test('a program ends with its code, and its words come line by line', async (t) => {
  const { outcome, killed, texts } = await run(t, 'echo one; echo two >&2; printf three; exit 3')
  t.same(outcome, { kind: 'exited', code: 3 })
  t.equal(killed, 0)
  t.same(texts.toSorted(), ['err: two', 'out: one', 'out: three'])
})

/** One variable a line, whatever is in its value. */
const listEnvironment = 'env -0 | tr "\\n\\000" " \\n"'

/** The shell adds the working directory, and tap its own to whatever a test spawns. */
function namesIn(texts: readonly string[]): string[] {
  return texts
    .map((text) => /^out: ([^=]+)=/.exec(text)?.[1] ?? text)
    .filter((name) => !/^(?:PWD|NODE_OPTIONS|_TAPJS_.*)$/.test(name))
    .toSorted()
}

void t.test('it gets the environment that it is given, the mark, and nothing else', async (t) => {
  const { texts } = await run(t, listEnvironment, { environment: { A: '1' } })
  t.same(namesIn(texts), ['A', 'LOCKSTEP_RUN'])
})

void t.test('its words are passed on as they are: no shell reads them', async (t) => {
  const args = ['%s|', '$HOME', '; exit 1', '*', '']
  const { outcome, texts } = await run(t, '', { file: '/usr/bin/printf', args })
  t.same(outcome, { kind: 'exited', code: 0 })
  t.same(texts, ['out: $HOME|; exit 1|*||'])
})

void t.test('a child that keeps its output open holds nothing up, and is ended', async (t) => {
  const { outcome, killed, texts } = await run(t, 'sleep 1000 & echo started')
  t.same(outcome, { kind: 'exited', code: 0 })
  t.equal(killed, 1)
  t.same(texts, ['out: started'])
})

void t.test('a child in a session of its own is ended too', async (t) => {
  const script = 'setsid sh -c "sleep 1000; true" > /dev/null 2>&1 & sleep 0.2'
  const { outcome, killed } = await run(t, script)
  t.same(outcome, { kind: 'exited', code: 0 })
  t.ok(killed >= 1)
})

void t.test('what takes too long is killed with all that came of it', async (t) => {
  const script = 'trap "" TERM; setsid sleep 1000 & sleep 1001 & echo waiting; wait'
  const { outcome, killed, texts } = await run(t, script, { timeoutMs: 300 })
  t.same(outcome, { kind: 'timed-out' })
  t.ok(killed >= 3, `${killed}`)
  t.same(texts, ['out: waiting'])
})

void t.test('what nobody wants any more is killed at once', async (t) => {
  const abort = new AbortController()
  const { outcome } = await run(t, 'echo here; sleep 1000', {
    signal: abort.signal,
    onOutput: () => {
      abort.abort()
      return 'more'
    },
  })
  t.same(outcome, { kind: 'aborted' })
  const never = await run(t, 'exit 5', { signal: AbortSignal.abort() })
  t.same(never.outcome, { kind: 'aborted' }, 'nor started, when that is known before')
})

void t.test('endless output is bounded, and does not stand in the way of the end', async (t) => {
  const { outcome, lines } = await run(t, 'yes "0123456789 0123456789"', { timeoutMs: 500 })
  t.same(outcome, { kind: 'timed-out' })
  const characters = lines.reduce((sum, { text }) => sum + text.length + 1, 0)
  t.ok(characters <= limits.hookOutputBytesMax + 200, `${characters}`)
  t.match(lines.at(-1), { truncated: true, text: /rest is left out/ })
})

void t.test('a program that says much goes on to its own end', async (t) => {
  const { outcome } = await run(t, 'head -c 1000000 /dev/zero; exit 4')
  t.same(outcome, { kind: 'exited', code: 4 })
})

void t.test('a signal and a program that cannot be started have names of their own', async (t) => {
  t.same((await run(t, 'kill -SEGV $$')).outcome, { kind: 'signalled', signal: 'SIGSEGV' })
  const missing = await run(t, '', { file: '/no/such/program' })
  t.same(missing.outcome, { kind: 'unstartable', reason: 'ENOENT' })
  const nowhere = await run(t, '', { directory: '/no/such/directory' })
  t.same(nowhere.outcome, { kind: 'unstartable', reason: 'ENOENT' })
})

const hierarchy = readFileSync('/proc/self/mountinfo', 'utf8')
  .split('\n')
  .find((line) => / - cgroup2 /.test(line))
  ?.split(' ')[4]

/** A directory of the hierarchy for one test; null where this machine gives none. */
function controlGroupOf(t: Test): string | null {
  if (hierarchy === undefined) return null
  const parent = join(hierarchy, `lockstep-test-${randomUUID()}`)
  try {
    mkdirSync(parent)
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return null
  }
  t.teardown(() => rmdirSync(parent))
  return parent
}

void t.test('in a control group even what hides its mark is ended', async (t) => {
  const parent = controlGroupOf(t)
  if (parent === null) {
    t.comment('no control groups of version 2 are to be had here')
    return
  }
  const script = 'env -i setsid sleep 1000 > /dev/null 2>&1 & cat /proc/self/cgroup; sleep 0.2'
  const { outcome, killed, texts } = await run(t, script, { controlGroupParent: parent })
  t.same(outcome, { kind: 'exited', code: 0 })
  t.ok(killed >= 1)
  t.match(texts.at(-1), /^out: 0::.*\/lockstep-test-[^/]*\/run-test-/, 'it is in it from the start')
  const adjusted = await run(t, 'cat /proc/self/oom_score_adj', { controlGroupParent: parent })
  t.same(adjusted.texts, ['out: 500'], 'it goes before the agent when memory runs out')
  const words = await run(t, '', {
    file: '/usr/bin/env',
    args: ['printf', '%s|', '$HOME', '; exit 1', '"'],
    controlGroupParent: parent,
  })
  t.same(words.texts, ['out: $HOME|; exit 1|"|'], 'its words stay what they are')
  const listed = await run(t, listEnvironment, { controlGroupParent: parent })
  t.same(namesIn(listed.texts), ['LOCKSTEP_RUN', 'PATH'])
  t.same(
    readdirSync(parent).filter((name) => name.startsWith('run-')),
    [],
  )
})

void t.test('an empty group that was left behind is removed', async (t) => {
  const parent = controlGroupOf(t)
  if (parent === null) return
  ControlGroup.create(parent, 'old')
  t.ok(existsSync(join(parent, 'run-old')))
  t.same(ControlGroup.existing(parent, 'old')?.members(), [])
  clearControlGroups(parent)
  t.equal(existsSync(join(parent, 'run-old')), false)
  t.equal(ControlGroup.existing(parent, 'old'), null)
  t.equal(ControlGroup.create(join(parent, 'missing'), 'x'), null)
})
