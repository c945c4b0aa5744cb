// Every command that prints, against a controller whose answers are hostile in every string: nothing raw
// reaches the terminal, in text, with styles and as JSON, and no line of the command's is forged.

import t, { type Test } from 'tap'
import type { TSchema } from 'typebox'
import { HookOutputList } from '#shared/api/output-schemas.ts'
import { PlanView } from '#shared/api/plan.ts'
import { DiffView, PruneAnswer } from '#shared/api/release-schemas.ts'
import { DesiredAnswer, RecoverAnswer, SettingsView } from '#shared/api/requests.ts'
import * as views from '#shared/api/schemas.ts'
import { FakeController } from './cli-fake-controller.ts'
import { HastyClock, type Run, run, type RunOptions } from './cli-run.ts'
import { publishedView, tarball } from './cli-tarball.ts'
import {
  committed,
  environment,
  host,
  hostIdOf,
  newRelease,
  oldRelease,
  participant,
  phasesOf,
  release,
  rollout,
  servedApp,
  startedAt,
} from './cli-views.ts'
import { forgedLinesIn, nameOf, packs, payloads, rawCharactersIn } from './escape-payloads.ts'
import { anyName, HostileAnswer } from './hostile-answers.ts'

const failure = { code: 'no-space', message: 'full', hint: 'Free some.' }
const mark = { environment: 'production', rollout: 'r-0', at: startedAt, reason: 'why' }
const out = { host: hostIdOf('web-4'), name: 'web-4', reason: 'sold' }
const troubled = {
  participants: [
    participant('web-1', { phase: 'failed', failure, counted: true }),
    participant('web-2', { phase: 'unknown', failure, state: 'left-behind' }),
    participant('web-3', { counted: true, state: 'dropped', failure }),
  ],
  excluded: [out],
  drained: [out],
  waves: [
    { name: 'canary', soakMs: 1000 },
    { name: 'rest', soakMs: null },
  ],
  once: { state: 'failed' as const, name: 'web-1', message: 'no table' },
  targetFailed: mark,
}
const ends = (['failed', 'rolled-back', 'aborted'] as const).map((phase) =>
  rollout({
    ...troubled,
    phase,
    reason: 'host-failed',
    exitCode: 1,
    endedAt: startedAt + 9000,
    phases: phasesOf(['staging', 5000], [phase, 0]),
  }),
)
const done = committed({ ...troubled, unknown: ['web-3'], exitCode: 5, reason: 'whatever' })
const open = rollout({ ...troubled, between: { step: 'pause', since: startedAt } })
const item = host('web-1', {
  labels: { [anyName]: 'web' },
  apps: [servedApp({ failure, excluded: 'old', drained: 'new disks', phase: 'failed' })],
})
const freeze = { reason: 'the sale', owner: 'ana', by: 'token-1', at: startedAt }
const fencedBy = [{ host: hostIdOf('web-2'), name: 'web-2', term: 2, epoch: 1, why: 'a decision' }]
const failed = [{ release: newRelease, mark }]
const place = environment({ freeze, fencedBy, failed, hosts: [item], rollout: done })
const requires = { os: ['linux'], arch: ['x64'], libc: ['glibc'], commands: { [anyName]: '>= 8' } }
const signedBy = ['SHA256:of-a-key']
const statement = { environments: ['production'], expiresAt: null, floor: 1, signedBy }
const signed = { statement, sequence: 1 }
const shown = { ...release('0.0.12', 1), requires, failed: [mark], ...signed }
/** What says otherwise of the tarball than it is would be refused before it is shown. */
const taken = { ...shown, ...(await publishedView('0.0.12')), requires, ...signed }
const file = {
  type: 'file' as const,
  mode: 0o644,
  sizeBytes: 1,
  sha256: 'a'.repeat(64),
  target: '',
}
const link = { type: 'link' as const, mode: null, sizeBytes: null, sha256: null, target: 'a' }
const tally = { entries: 1, bytes: 5 }
const difference: DiffView = {
  app: 'shop',
  from: oldRelease,
  to: newRelease,
  totals: { added: tally, removed: tally, changed: tally, same: tally },
  delta: { files: 1, bytes: 5 },
  items: [
    { path: 'a', change: 'added', what: [], from: null, to: link },
    { path: 'b', change: 'removed', what: [], from: link, to: null },
    { path: 'c', change: 'changed', what: ['target'], from: link, to: { ...link, target: 'b' } },
    { path: 'd', change: 'changed', what: ['mode', 'type'], from: link, to: file },
  ],
  next: null,
}
const plan: PlanView = {
  app: 'shop',
  environment: 'production',
  release: newRelease,
  outcome: 'refused',
  refusal: failure,
  supersedes: null,
  fallback: oldRelease,
  require: '50%',
  hostsMin: 1,
  waves: troubled.waves,
  hosts: [],
  excluded: [out],
  drained: [out],
  once: null,
  notes: ['it failed before'],
}
const token = {
  id: 'abcdefghijk',
  kind: 'api' as const,
  role: 'admin',
  apps: [{ app: 'shop', environment: 'production' }],
  createdAt: startedAt,
  expiresAt: startedAt + 1000,
  usesLeft: null,
  lastUsedAt: null,
}
const said = { id: 1, at: startedAt, host: 'web-1', hook: 'once', text: 'hello', truncated: true }
const fact = {
  id: 7,
  at: startedAt,
  app: 'shop',
  environment: 'production',
  type: 'frozen',
  rollout: 'r-1',
  host: 'web-1',
  text: 'frozen by ana',
}
const list = (...items: unknown[]) => ({ items, next: null })

interface Scene {
  readonly argv: readonly string[]
  readonly answers: readonly (readonly [question: RegExp, body: unknown, schema: TSchema])[]
}

const e = ['--env', 'production']
const rolloutAt = /^GET \/v1\/rollouts\/[^/]+$/
const placeAt = /^GET .*\/environments\/[^/]+$/
const output = [
  /^GET \/v1\/rollouts\/[^/]+\/output$/,
  list({ ...said, stream: 'out' }, { ...said, id: 2, stream: 'err' }),
  HookOutputList,
] as const

function following(argv: readonly string[], end: views.RolloutView): Scene {
  const answer = { outcome: 'started', rollout: open, release: newRelease, notes: ['a note'] }
  const desired = /^(PUT|POST) .*\/(desired|promote|rollback)$/
  return {
    argv: [...argv, ...e],
    answers: [[desired, answer, DesiredAnswer], [rolloutAt, end, views.RolloutView], output],
  }
}

const scene = (line: string, ...answers: Scene['answers']): Scene => ({
  argv: line.split(' '),
  answers,
})

const at = 'shop --env production'
const environmentAnswer = [placeAt, place, views.EnvironmentView] as const
const openAnswer = [placeAt, { ...place, rollout: open }, views.EnvironmentView] as const
const hostsAnswer = [/^GET \/v1\/hosts$/, list(item), views.HostList] as const
const appsAnswer = [
  /^GET \/v1\/apps$/,
  list({ app: 'shop', environments: ['production'], releases: 2 }),
  views.AppList,
] as const
const decided = { outcome: 'cancelled', rollout: open }
const actAt = /^POST \/v1\/rollouts\/[^/]+\/(cancel|continue|pause)$/
const drainAt = /^(POST|DELETE) \/v1\/hosts\/[^/]+\/drain$/
const settingsAt = /\/(freeze|settings)$/

const scenes: readonly Scene[] = [
  ...[done, ...ends].map((end) => following(['deploy', 'shop', '0.0.12'], end)),
  following(['rollback', 'shop'], done),
  scene('deploy shop 0.0.12 --env production --no-wait', [
    /\/desired$/,
    { outcome: 'started', rollout: open },
    DesiredAnswer,
  ]),
  scene('promote shop --from staging --to production', [
    /\/promote$/,
    { outcome: 'started', rollout: done, release: newRelease, notes: ['a note'] },
    DesiredAnswer,
  ]),
  scene(`status ${at}`, environmentAnswer),
  scene(`status ${at}`, openAnswer),
  scene('status', appsAnswer, environmentAnswer),
  scene('hosts', hostsAnswer),
  scene('hosts drain web-1 --reason x', hostsAnswer, [drainAt, item, views.HostView]),
  scene('hosts undrain web-1', hostsAnswer, [drainAt, item, views.HostView]),
  scene('releases shop', [/\/releases$/, list(shown), views.ReleaseList]),
  scene('publish shop 0.0.12 -', [/^PUT .*\/releases\//, taken, views.ReleaseView]),
  scene('diff shop 0.0.11 0.0.12', [/\/diff$/, difference, DiffView]),
  scene(`plan shop 0.0.12 --env production`, [/\/plan$/, plan, PlanView]),
  scene('releases prune shop', [
    /\/prune$/,
    {
      app: 'shop',
      dryRun: false,
      keep: 3,
      removed: [{ version: '1', tree: 'a'.repeat(64), publishedAt: 1, treeBytes: 8 }],
      needed: [{ version: '2', by: [{ environment: 'production', need: 'told' }] }],
      swept: { files: 1, bytes: 5 },
    },
    PruneAnswer,
  ]),
  scene(`history ${at}`, [/\/rollouts$/, list(done, ...ends), views.RolloutList]),
  scene(`history ${at} --facts`, [/\/facts$/, list(fact), views.FactList]),
  scene(`freeze ${at} --reason x`, [settingsAt, { freeze, requires: null }, SettingsView]),
  scene(`unfreeze ${at}`, environmentAnswer, [
    settingsAt,
    { freeze: null, requires: null },
    SettingsView,
  ]),
  scene(`cancel ${at}`, openAnswer, [actAt, decided, DesiredAnswer]),
  scene(`continue ${at}`, openAnswer, [actAt, decided, DesiredAnswer]),
  scene(`pause ${at}`, openAnswer, [actAt, decided, DesiredAnswer]),
  scene('token list', [/\/tokens$/, list(token), views.TokenList]),
  scene('token create --role admin', [
    /\/tokens$/,
    { token: 'lsk1.x', view: token },
    views.TokenCreated,
  ]),
  scene(`controller recover ${at} --run 0.0.12`, environmentAnswer, [
    /\/recover$/,
    { environment: place },
    RecoverAnswer,
  ]),
]

const forms: readonly (RunOptions & { readonly more: readonly string[] })[] = [
  { more: [] },
  { more: [], isStyled: true, canRedraw: true },
  { more: ['--json'] },
]

/** What the command itself writes on a terminal: its styles, and the drawing over of one line. */
// oxlint-disable-next-line no-control-regex
const ours = /\u001b\[(?:1|2|22|31|32|33|39)m|\r\u001b\[2K/g

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
    return index < 0 ? undefined : { status, headers, raw: JSON.stringify(bodies[index]) }
  })
}

async function holesOf({ out, err, exitCode }: Run): Promise<string[]> {
  await exitCode
  const text = out.text.replace(ours, '') + err.text.replace(ours, '')
  const replacement = text.includes('\ufffd') ? ['half a pair'] : []
  const silence = text === '' ? ['it says nothing'] : []
  return [...rawCharactersIn(text), ...forgedLinesIn(text), ...replacement, ...silence]
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
  const one = scene(`watch ${at}`, openAnswer, [rolloutAt, done, views.RolloutView], output)
  const hostile = one.answers.map(([, body, schema]) => new HostileAnswer(body, schema))
  for (const pack of packs) {
    for (const form of forms) {
      answers(
        fake,
        one,
        hostile.map((answer) => answer.filled(pack)),
      )
      const watching = run([...one.argv, ...form.more], { ...form, url: fake.url })
      await fake.listened()
      fake.send('fact', { ...fact, type: pack, host: pack, text: `${pack} at last` })
      await watching.out.line(/at last/)
      watching.interrupt()
      t.same(await holesOf(watching), [], form.more.join(' '))
      await fake.stop()
      await fake.start()
    }
  }
  t.comment(`${payloads.length} payloads x ${forms.length} forms of watch: 0 raw`)
})

void t.test('what the command line and its environment name', async (t) => {
  const lines: readonly ((text: string) => readonly [string[], Record<string, string>])[] = [
    (text) => [['publish', 'shop', '1', `./no-${text}`], {}],
    (text) => [['status', text, ...e], {}],
    (text) => [['status', 'shop', '--env', text], {}],
    (text) => [['status', '--url', text], {}],
    (text) => [['status'], { LOCKSTEP_TOKEN: '', LOCKSTEP_TOKEN_FILE: `./no-${text}` }],
    (text) => [['deploy', 'shop', text, ...e], {}],
  ]
  for (const payload of payloads.filter((text) => !text.includes('\0'))) {
    for (const [index, line] of lines.entries()) {
      const [argv, env] = line(payload)
      const told = run(argv, { env, url: 'http://127.0.0.1:9', clock: new HastyClock() })
      t.same(await holesOf(told), [], `${index}: ${nameOf(payload)}`)
    }
  }
  t.comment(`${payloads.length} payloads but NUL x ${lines.length} command lines: 0 raw`)
})

void t.test('doctor, on a host whose files are hostile', async (t) => {
  for (const pack of packs) {
    const found = { check: 'nginx', app: pack, found: pack, remedy: pack } as const
    const findings = (['ok', 'warn', 'fail', 'unknown'] as const).map((outcome) => ({
      ...found,
      outcome,
    }))
    for (const form of forms) {
      const looked = run(['doctor', ...form.more], { ...form, examineHost: async () => findings })
      t.same(await holesOf(looked), [], form.more.join(' '))
    }
  }
  t.comment(`${payloads.length} payloads x ${forms.length} forms of doctor: 0 raw`)
})
