// The loop of both daemons: one event at a time, saved before anything acts on it.

import t from 'tap'
import { MachineRunner } from '#shared/machine-runner.ts'

interface Step {
  readonly state: readonly string[]
  readonly effects: readonly string[]
}

/** A machine that remembers its events, over a store whose saves end when the test says so. */
function buildRunner() {
  const saves: PromiseWithResolvers<void>[] = []
  const log: string[] = []
  let onPerform: (step: Step) => void = () => undefined
  const runner = new MachineRunner<readonly string[], string, Step>([], {
    transition: (state, event) => {
      log.push(`transition ${event}`)
      return { state: [...state, event], effects: [event] }
    },
    save: (step) => {
      log.push(`save ${step.state.at(-1)}`)
      const save = Promise.withResolvers<void>()
      saves.push(save)
      return save.promise
    },
    perform: (step) => {
      log.push(`perform ${step.effects.join(' ')}`)
      onPerform(step)
    },
    onUnsaved: (event, error) => log.push(`unsaved ${event}: ${String(error)}`),
  })
  return {
    runner,
    log,
    performing: (callback: (step: Step) => void) => {
      onPerform = callback
    },
    /** Ends the save that is under way, and lets what follows from that happen. */
    async endSave(error?: Error) {
      const save = saves.shift()
      if (error === undefined) save?.resolve()
      else save?.reject(error)
      await Promise.resolve()
      await Promise.resolve()
      await Promise.resolve()
    },
  }
}

void t.test('an event is seen, saved and acted on before the next one is looked at', async (t) => {
  const { runner, log, endSave } = buildRunner()
  runner.enqueue('a')
  runner.enqueue('b')
  t.same(log, ['transition a', 'save a'])
  t.same(runner.state, [], 'what is not durable yet is not the state')
  await endSave()
  t.same(log.slice(2), ['perform a', 'transition b', 'save b'])
  t.same(runner.state, ['a'])
  await endSave()
  await runner.idle()
  t.same(log.slice(5), ['perform b'])
  t.same(runner.state, ['a', 'b'])
})

void t.test(
  'an event whose save failed did not happen, and the next one starts from before',
  async (t) => {
    const { runner, log, endSave } = buildRunner()
    runner.enqueue('a')
    runner.enqueue('b')
    await endSave(new Error('disk full'))
    t.same(log, ['transition a', 'save a', 'unsaved a: Error: disk full', 'transition b', 'save b'])
    await endSave()
    await runner.idle()
    t.same(runner.state, ['b'])
  },
)

void t.test('events that the effects of another one cause come after it, in order', async (t) => {
  const { runner, log, endSave, performing } = buildRunner()
  performing((step) => {
    if (step.effects.includes('a')) {
      runner.enqueue('a1')
      runner.enqueue('a2')
    }
  })
  runner.enqueue('a')
  runner.enqueue('b')
  for (let saves = 0; saves < 4; saves += 1) await endSave()
  await runner.idle()
  t.same(runner.state, ['a', 'b', 'a1', 'a2'])
  t.equal(log.filter((line) => line.startsWith('perform')).length, 4)
})

void t.test('after stop nothing more is seen, and a save under way has no effects', async (t) => {
  const { runner, log, endSave } = buildRunner()
  runner.enqueue('a')
  runner.enqueue('b')
  runner.stop()
  runner.enqueue('c')
  await endSave()
  await runner.idle()
  t.same(log, ['transition a', 'save a'])
})

void t.test('a save that fails after stop is nobody\u2019s business any more', async (t) => {
  const { runner, log, endSave } = buildRunner()
  runner.enqueue('a')
  runner.stop()
  await endSave(new Error('closed'))
  await runner.idle()
  t.same(log, ['transition a', 'save a'])
})

void t.test(
  'idle resolves at once when nothing waits, and the runner wakes up again',
  async (t) => {
    const { runner, endSave } = buildRunner()
    await runner.idle()
    runner.enqueue('a')
    await endSave()
    await runner.idle()
    runner.enqueue('b')
    await endSave()
    await runner.idle()
    t.same(runner.state, ['a', 'b'])
  },
)

void t.test('a fault of the machine is not swallowed', async (t) => {
  const runner = new MachineRunner<null, string, { state: null }>(null, {
    transition: () => {
      throw new Error('a broken invariant')
    },
    save: () => Promise.resolve(),
    perform: () => undefined,
    onUnsaved: () => t.fail('it is no failed save'),
  })
  const unhandled = Promise.withResolvers<unknown>()
  process.once('unhandledRejection', unhandled.resolve)
  runner.enqueue('a')
  t.match(await unhandled.promise, { message: 'a broken invariant' })
})
