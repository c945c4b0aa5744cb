// Every command that asks a controller, against one whose answers are hostile in every string: nothing raw
// reaches the terminal, in text, with styles and as JSON, and no line of the command's is forged.

import t, { type Test } from 'tap'
import { FakeController } from '../cli-fake-controller.ts'
import { HastyClock, type Run, run } from '../cli-run.ts'
import { tarball } from '../cli-tarball.ts'
import { nameOf, packs, payloads } from '../escape-payloads.ts'
import { HostileAnswer } from '../hostile-answers.ts'
import { fact, type Scene, scenes, watching } from '../output-scenes.ts'
import { forms, holesOf } from '../output-holes.ts'

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

/** Answers as JSON that is not held to a schema. */
function answers(
  fake: FakeController,
  scene: Scene,
  bodies: readonly unknown[],
  status = 200,
): void {
  const headers = { 'content-type': 'application/json' }
  fake.on(({ method, url }) => {
    const question = `${method} ${url.replace(/\?.*$/, '')}`
    const index = scene.answers.findIndex(([pattern]) => pattern.test(question))
    if (index < 0) return undefined
    const body = bodies[index]
    return body === undefined ? { status: 204 } : { status, headers, raw: JSON.stringify(body) }
  })
}

function started(argv: readonly string[], fake: FakeController, form: (typeof forms)[number]): Run {
  const options = { ...form, url: fake.url, clock: new HastyClock() }
  const begun = run([...argv, ...form.more], options)
  begun.stdin.end(tarball)
  return begun
}

void t.test(
  'every command that reads or asks, with every answer that its schema allows',
  async (t) => {
    const fake = await controller(t)
    const counts = { runs: 0, strings: 0 }
    for (const one of scenes) {
      const hostile = one.answers.map(([, body, schema]) => new HostileAnswer(body, schema))
      for (const { freeCount } of hostile) counts.strings += freeCount
      for (const [index, pack] of packs.entries()) {
        for (const form of forms) {
          answers(
            fake,
            one,
            hostile.map((answer) => answer.filled(pack)),
          )
          const name = `${[...one.argv, ...form.more].join(' ')}, pack ${index}`
          const begun = started(one.argv, fake, form)
          t.same(await holesOf(begun), [], name)
          t.notMatch(begun.err.text, /bad-answer/, name)
          counts.runs += 1
        }
      }
    }
    t.comment(
      `${payloads.length} payloads x ${scenes.length} commands x ${forms.length} forms, in ` +
        `${counts.strings} strings of answers, ${counts.runs} runs: 0 raw`,
    )
  },
)

void t.test('every command, with answers that no schema allows and with refusals', async (t) => {
  const fake = await controller(t)
  const counts = { runs: 0 }
  for (const [number, one] of scenes.entries()) {
    const hostile = one.answers.map(([, body, schema]) => new HostileAnswer(body, schema))
    for (const [index, pack] of packs.entries()) {
      const error = { code: pack, message: pack, hint: pack, details: { [pack]: pack } }
      const wrongs: readonly (readonly [status: number, bodies: readonly unknown[]])[] = [
        [200, hostile.map((answer) => answer.broken(pack, number + index))],
        [200, hostile.map((answer) => answer.misnamed(pack))],
        [409, hostile.map(() => error)],
        [409, hostile.map(() => ({ ...error, code: 'frozen' }))],
        [500, hostile.map(() => ({ [pack]: pack }))],
      ]
      for (const [kind, [status, bodies]] of wrongs.entries()) {
        const form = forms[(kind + index) % forms.length] ?? { more: [] }
        answers(fake, one, bodies, status)
        t.same(await holesOf(started(one.argv, fake, form)), [], `${one.argv.join(' ')}, ${kind}`)
        counts.runs += 1
      }
    }
  }
  t.comment(`${payloads.length} payloads x 5 wrong answers, ${counts.runs} runs: 0 raw`)
})

void t.test('watch, with hostile views and facts', async (t) => {
  const fake = await controller(t)
  const one = watching
  const hostile = one.answers.map(([, body, schema]) => new HostileAnswer(body, schema))
  for (const pack of packs) {
    for (const form of forms) {
      answers(
        fake,
        one,
        hostile.map((answer) => answer.filled(pack)),
      )
      const begun = run([...one.argv, ...form.more], { ...form, url: fake.url })
      await fake.listened()
      fake.send('fact', { ...fact, type: pack, host: pack, text: `${pack} at last` })
      await begun.out.line(/at last/)
      begun.interrupt()
      t.same(await holesOf(begun), [], form.more.join(' '))
      await fake.stop()
      await fake.start()
    }
  }
  t.comment(`${payloads.length} payloads x ${forms.length} forms of watch: 0 raw`)
})

void t.test('what the command line and its environment name', async (t) => {
  const lines: readonly ((text: string) => readonly [string[], Record<string, string>])[] = [
    (text) => [['publish', 'shop', '1', `./no-${text}`], {}],
    (text) => [['status', text, '--env', 'production'], {}],
    (text) => [['status', 'shop', '--env', text], {}],
    (text) => [['status', '--url', text], {}],
    (text) => [['status'], { LOCKSTEP_TOKEN: '', LOCKSTEP_TOKEN_FILE: `./no-${text}` }],
    (text) => [['deploy', 'shop', text, '--env', 'production'], {}],
  ]
  const unknown: typeof lines = [
    (text) => [['status', `--${text}`], {}],
    (text) => [[`no-${text}`], {}],
    (text) => [['hosts', 'remove', 'web-1', text], {}],
    (text) => [['link', text, text], {}],
  ]
  const told = async (argv: string[], env: Record<string, string>) =>
    holesOf(run(argv, { env, url: 'http://127.0.0.1:9', clock: new HastyClock() }))
  for (const payload of payloads.filter((text) => !text.includes('\0'))) {
    for (const [index, line] of lines.entries()) {
      t.same(await told(...line(payload)), [], `${index}: ${nameOf(payload)}`)
    }
  }
  for (const pack of packs.map((text) => text.replaceAll('\0', ''))) {
    for (const line of unknown) t.same(await told(...line(pack)), [])
  }
  t.comment(
    `${payloads.length} payloads but NUL x ${lines.length + unknown.length} command lines: 0 raw`,
  )
})
