// What a role allows, and where: against a table of its own, and by every pair of grants.

import t from 'tap'
import { type Action, may, mayGive, mayInApp, maySomewhere } from '#controller/access/permission.ts'
import type { Grant, Role } from '#shared/api/token-schemas.ts'

const actions: readonly Action[] = ['read', 'publish', 'deploy', 'admin']
const allowed: Readonly<Record<Role, string>> = {
  viewer: 'read',
  publisher: 'read publish',
  deployer: 'read deploy',
  admin: 'read publish deploy admin',
}
const roles: readonly Role[] = ['viewer', 'publisher', 'deployer', 'admin']
const words = ['shop', 'blog', '*']
const grants = roles.flatMap((role) =>
  words.flatMap((app) =>
    ['production', 'staging', '*'].map((environment): Grant => ({ role, app, environment })),
  ),
)
const place = { app: 'shop', environment: 'production' }

function reaches({ app, environment }: Grant): boolean {
  return ['shop', '*'].includes(app) && ['production', '*'].includes(environment)
}

void t.test('a grant allows exactly what its role does, where it reaches', async (t) => {
  for (const grant of grants) {
    for (const action of actions) {
      const isAllowed = allowed[grant.role].split(' ').includes(action)
      const what = `${grant.role} ${grant.app} ${grant.environment}: ${action}`
      t.equal(may([grant], action, place), isAllowed && reaches(grant), what)
      t.equal(maySomewhere([grant], action), isAllowed, what)
    }
  }
})

void t.test('two grants allow what one of them does, and never more', async (t) => {
  let pairs = 0
  for (const one of grants) {
    for (const other of grants) {
      for (const action of actions) {
        const either = may([one], action, place) || may([other], action, place)
        if (may([one, other], action, place) !== either) {
          t.fail(`${JSON.stringify([one, other])} ${action}`)
        }
        pairs += 1
      }
    }
  }
  t.notOk(
    may(
      [
        { role: 'admin', app: 'blog', environment: '*' },
        { role: 'viewer', app: 'shop', environment: '*' },
      ],
      'admin',
      place,
    ),
    'a high role there and a far one here are no high role here',
  )
  t.comment(`${pairs} pairs of grants and actions`)
})

void t.test('no grants allow nothing', async (t) => {
  for (const action of actions) {
    t.notOk(may([], action, place))
    t.notOk(maySomewhere([], action))
    t.notOk(mayInApp([], action, 'shop'))
  }
})

void t.test('an app is read from any of its environments, and changed from all', async (t) => {
  for (const grant of grants) {
    for (const action of actions) {
      const isAllowed = allowed[grant.role].split(' ').includes(action)
      const isHere = ['shop', '*'].includes(grant.app)
      const isWide = action === 'read' || grant.environment === '*'
      const what = `${grant.role} ${grant.app} ${grant.environment}: ${action}`
      t.equal(mayInApp([grant], action, 'shop'), isAllowed && isHere && isWide, what)
    }
  }
})

void t.test('nobody gives what reaches further than what they administer', async (t) => {
  for (const held of grants) {
    for (const given of grants) {
      const covers =
        held.role === 'admin' &&
        (held.app === '*' || held.app === given.app) &&
        (held.environment === '*' || held.environment === given.environment)
      const what = `${JSON.stringify(held)} gives ${JSON.stringify(given)}`
      if (mayGive([held], given) !== covers) t.fail(what)
    }
  }
  const here = { role: 'admin', app: 'shop', environment: 'production' } as const
  const there = { role: 'admin', app: 'shop', environment: 'staging' } as const
  t.notOk(mayGive([here, there], { role: 'viewer', app: 'shop', environment: '*' }))
})

void t.test(
  'a name that is a star asks for all, and gets nothing from a grant for one',
  async (t) => {
    const one: Grant = { role: 'admin', app: 'shop', environment: 'production' }
    t.notOk(may([one], 'read', { app: '*', environment: '*' }))
    t.notOk(may([one], 'read', { app: 'shop', environment: '*' }))
    t.notOk(mayInApp([one], 'read', '*'))
  },
)
