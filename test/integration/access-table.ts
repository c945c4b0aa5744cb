// What every route takes, written down by hand and apart from the code: the matrix test judges the
// server by it. A route that is not in it fails the test.

/** An action and where it has to be granted, or who calls besides people. */
export const accessTable: Readonly<Record<string, string>> = {
  'GET /healthz': 'open',
  'GET /readyz': 'open',
  'GET /openapi.json': 'open',

  'GET /v1/agent/challenge': 'agents',
  'POST /v1/enrol': 'agents',
  'GET /v1/trees/:digest/manifest': 'content',
  'GET /v1/trees/:digest/pack': 'content',
  'GET /v1/trees/:digest/statements/:app/:version': 'content',

  'GET /v1/controller': 'read anywhere',
  'POST /v1/controller/rotate-ca': 'admin everything',

  'GET /v1/apps': 'read anywhere',
  'GET /v1/apps/:app/releases': 'read app',
  'PUT /v1/apps/:app/releases/:version': 'publish app',
  'DELETE /v1/apps/:app/releases/:version': 'admin app',
  'POST /v1/apps/:app/releases/prune': 'admin app',
  'GET /v1/apps/:app/releases/:version/diff': 'read app',
  'GET /v1/apps/:app/releases/:version/artifact': 'read app',
  'PUT /v1/apps/:app/releases/:version/statement': 'publish app',
  'GET /v1/apps/:app/releases/:version/statement': 'read app',
  'GET /v1/apps/:app/keep': 'read app',
  'PUT /v1/apps/:app/keep': 'admin app',

  'GET /v1/apps/:app/environments/:environment': 'read environment',
  'GET /v1/apps/:app/environments/:environment/rollouts': 'read environment',
  'POST /v1/apps/:app/environments/:environment/plan': 'read environment',
  'PUT /v1/apps/:app/environments/:environment/desired': 'deploy environment',
  'POST /v1/apps/:app/environments/:environment/promote': 'deploy environment',
  'POST /v1/apps/:app/environments/:environment/rollback': 'deploy environment',
  'POST /v1/apps/:app/environments/:environment/recover': 'admin environment',
  'POST /v1/apps/:app/environments/:environment/freeze': 'admin environment',
  'DELETE /v1/apps/:app/environments/:environment/freeze': 'admin environment',
  'PUT /v1/apps/:app/environments/:environment/settings': 'admin environment',

  'GET /v1/apps/:app/environments/:environment/approvals': 'read environment',
  'GET /v1/apps/:app/environments/:environment/approvals/:id': 'read environment',
  'POST /v1/apps/:app/environments/:environment/approvals/:id/approve': 'deploy environment',
  'POST /v1/apps/:app/environments/:environment/approvals/:id/withdraw': 'deploy environment',

  'GET /v1/rollouts/:id': 'read rollout',
  'GET /v1/rollouts/:id/output': 'read rollout',
  'POST /v1/rollouts/:id/cancel': 'deploy rollout',
  'POST /v1/rollouts/:id/continue': 'deploy rollout',
  'POST /v1/rollouts/:id/pause': 'deploy rollout',

  'GET /v1/hosts': 'read anywhere',
  'DELETE /v1/hosts/:id': 'admin host',
  'POST /v1/hosts/:id/drain': 'deploy host',
  'DELETE /v1/hosts/:id/drain': 'deploy host',

  'GET /v1/facts': 'read anywhere',
  'GET /v1/events': 'read anywhere',
  'GET /v1/audit': 'read anywhere',
  'GET /v1/audit/head': 'read anywhere',
  'GET /v1/whoami': 'read anywhere',
  'POST /v1/tokens': 'admin anywhere',
  'GET /v1/tokens': 'admin anywhere',
  'DELETE /v1/tokens/:id': 'admin anywhere',
}

export const roles = ['viewer', 'publisher', 'deployer', 'admin'] as const

const actionsOf: Readonly<Record<(typeof roles)[number], readonly string[]>> = {
  viewer: ['read'],
  publisher: ['read', 'publish'],
  deployer: ['read', 'deploy'],
  admin: ['read', 'publish', 'deploy', 'admin'],
}

/** Where a grant reaches, seen from shop in production, which every request of the matrix is about. */
export const scopes = {
  'everything': { app: '*', environment: '*' },
  'the app': { app: 'shop', environment: '*' },
  'the environment in every app': { app: '*', environment: 'production' },
  'the place itself': { app: 'shop', environment: 'production' },
  'another environment': { app: 'shop', environment: 'staging' },
  'another environment in every app': { app: '*', environment: 'staging' },
  'another app': { app: 'blog', environment: '*' },
  'another place': { app: 'blog', environment: 'staging' },
} as const

export type Scope = keyof typeof scopes

const here: readonly Scope[] = [
  'everything',
  'the app',
  'the environment in every app',
  'the place itself',
]
const wholeApp: readonly Scope[] = ['everything', 'the app']
const elsewhere: readonly Scope[] = ['another app', 'another place']

export type Outcome = 'allowed' | 'forbidden' | 'hidden' | 'unauthorised'

/** What a good token with this one grant gets at a route of the table. */
export function expectedOf(entry: string, role: (typeof roles)[number], scope: Scope): Outcome {
  if (entry === 'open' || entry === 'agents') return 'allowed'
  if (entry === 'content') return scope === 'everything' ? 'allowed' : 'forbidden'
  const [action = '', where = ''] = entry.split(' ')
  const can = actionsOf[role].includes(action)
  if (where === 'everything') return can && scope === 'everything' ? 'allowed' : 'forbidden'
  if (where === 'anywhere') return can ? 'allowed' : 'forbidden'
  if (where === 'app') {
    if (elsewhere.includes(scope)) return 'hidden'
    if (action === 'read') return 'allowed'
    return can && wholeApp.includes(scope) ? 'allowed' : 'forbidden'
  }
  if (!here.includes(scope)) return 'hidden'
  return can ? 'allowed' : 'forbidden'
}
