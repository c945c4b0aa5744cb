// What every command that asks a controller is answered in the tests of its output. A command that lands
// without a scene here, or among output-host-scenes.ts, fails output-coverage.test.ts.

import { type TSchema, Type } from 'typebox'
import { ControllerView } from '#shared/api/controller-schemas.ts'
import { AuditHeadView, AuditList } from '#shared/api/audit-schemas.ts'
import { HookOutputList } from '#shared/api/output-schemas.ts'
import { PlanView } from '#shared/api/plan.ts'
import { DiffView, KeepView, PruneAnswer, RemovedRelease } from '#shared/api/release-schemas.ts'
import {
  ApprovalList,
  ApprovalView,
  DesiredAnswer,
  RecoverAnswer,
  SettingsView,
} from '#shared/api/requests.ts'
import * as views from '#shared/api/schemas.ts'
import { TokenCreated, TokenList, WhoAmI } from '#shared/api/token-schemas.ts'
import { publishedView } from './cli-tarball.ts'
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
import { anyName } from './hostile-answers.ts'

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
const about = {
  id: 'a controller',
  version: '1.2.3',
  tls: {
    mode: 'own-ca' as const,
    pins: ['p'.repeat(43), 'q'.repeat(43)],
    certificates: 'PEM',
    expiresAt: startedAt,
  },
  warnings: ['it is so'],
}
const token = {
  id: 'abcdefghijk',
  kind: 'api' as const,
  grants: [{ role: 'admin' as const, app: 'shop', environment: 'production' }],
  owner: 'the build server',
  apps: [{ app: 'shop', environment: 'production' }],
  createdAt: startedAt,
  expiresAt: startedAt + 1000,
  usesLeft: null,
  lastUsedAt: null,
}
const everything = [{ role: 'viewer' as const, app: '*', environment: '*' }]
const allSeen = [/\/whoami$/, { ...token, grants: everything }, WhoAmI] as const
const said = { id: 1, at: startedAt, host: 'web-1', hook: 'once', text: 'hello', truncated: true }
export const fact = {
  id: 7,
  at: startedAt,
  app: 'shop',
  environment: 'production',
  type: 'frozen',
  rollout: 'r-1',
  host: 'web-1',
  text: 'frozen by ana',
}
const entry = {
  sequence: 1,
  at: startedAt,
  who: 'token-1',
  what: 'deploy',
  app: 'shop',
  environment: 'production',
  why: 'the sale',
  outcome: 'denied',
  details: { [anyName]: 'web', hosts: 3 },
  hash: 'a'.repeat(64),
}
const list = (...items: unknown[]) => ({ items, next: null })

export interface Scene {
  readonly argv: readonly string[]
  /** A body that is undefined is an answer without one. */
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

const approval = {
  id: 'a-1',
  app: 'shop',
  environment: 'production',
  what: 'deploy',
  release: newRelease,
  policy: {},
  requestedBy: 'token-1',
  owner: 'ana',
  why: 'the sale',
  requestedAt: startedAt,
  expiresAt: startedAt + 1000,
  state: 'declined',
  decidedBy: 'token-2',
  decidedAt: startedAt,
  rollout: null,
}

export const scenes: readonly Scene[] = [
  scene(`approvals ${at}`, [
    /\/approvals$/,
    list(approval, { ...approval, owner: null, state: 'waiting', decidedBy: null }),
    ApprovalList,
  ]),
  scene(`approve shop a-1 --env production --no-wait`, [
    /\/approve$/,
    { outcome: 'started', rollout: open },
    DesiredAnswer,
  ]),
  scene(`withdraw shop a-1 --env production`, [/\/withdraw$/, approval, ApprovalView]),
  scene('deploy shop 0.0.13 --env production --no-wait', [
    /\/desired$/,
    { outcome: 'waiting', rollout: null, release: newRelease, approval },
    DesiredAnswer,
  ]),
  scene('rollback shop --env production', [
    /\/rollback$/,
    { outcome: 'waiting', rollout: null, release: newRelease, approval },
    DesiredAnswer,
  ]),
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
  scene('hosts remove web-1', hostsAnswer, [/^DELETE \/v1\/hosts\//, undefined, Type.Unknown()]),
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
  scene('releases remove shop 0.0.11', [
    /^DELETE .*\/releases\//,
    { app: 'shop', version: '0.0.11', tree: 'a'.repeat(64), swept: { files: 1, bytes: 5 } },
    RemovedRelease,
  ]),
  scene('releases keep shop', [/\/keep$/, { app: 'shop', keep: 5 }, KeepView]),
  scene('releases keep shop 7', [/\/keep$/, { app: 'shop', keep: 7 }, KeepView]),
  scene(`history ${at}`, [/\/rollouts$/, list(done, ...ends), views.RolloutList]),
  scene(`history ${at} --facts`, [/\/facts$/, list(fact), views.FactList]),
  scene('audit list', [/\/audit$/, list(entry), AuditList]),
  scene('audit export', allSeen, [/\/audit$/, list(entry), AuditList]),
  scene('audit head', [/\/head$/, { sequence: 1, hash: 'a'.repeat(64) }, AuditHeadView]),
  scene(
    'audit verify',
    allSeen,
    [/\/head$/, { sequence: 1, hash: 'a'.repeat(64) }, AuditHeadView],
    [/\/audit$/, list(entry), AuditList],
  ),
  scene(`freeze ${at} --reason x`, [
    settingsAt,
    { freeze, requires: null, approvals: 0 },
    SettingsView,
  ]),
  scene(`unfreeze ${at}`, environmentAnswer, [
    settingsAt,
    { freeze: null, requires: null, approvals: 0 },
    SettingsView,
  ]),
  scene(`environment set ${at} --requires staging --reason x`, [
    settingsAt,
    { freeze, requires: 'staging', approvals: 0 },
    SettingsView,
  ]),
  scene(`cancel ${at}`, openAnswer, [actAt, decided, DesiredAnswer]),
  scene(`continue ${at}`, openAnswer, [actAt, decided, DesiredAnswer]),
  scene(`pause ${at}`, openAnswer, [actAt, decided, DesiredAnswer]),
  scene('token list', [/\/tokens$/, list(token), TokenList]),
  scene('token create --role admin', [/\/tokens$/, { token: 'lsk1.x', view: token }, TokenCreated]),
  scene('whoami', [/\/whoami$/, token, WhoAmI]),
  scene('token revoke abcdefghijk', [/^DELETE \/v1\/tokens\//, undefined, Type.Unknown()]),
  ...['pin', 'rotate-ca', 'rotate-ca --finish'].map((line) =>
    scene(`controller ${line}`, [/\/controller/, about, ControllerView]),
  ),
  scene(`controller recover ${at} --run 0.0.12`, environmentAnswer, [
    /\/recover$/,
    { environment: place },
    RecoverAnswer,
  ]),
]

/** `watch` ends with Ctrl-C only: its test says what it hears while it looks. */
export const watching: Scene = scene(
  `watch ${at}`,
  openAnswer,
  [rolloutAt, done, views.RolloutView],
  output,
)
