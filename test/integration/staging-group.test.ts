// Releases that a group of the host's own choice may read: who they belong to, what of them is shared
// with older ones, and what becomes of a crash in between.

import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ownGroupId } from '#agent/adapters/group-id.ts'
import { passGroupOn } from '#agent/layout/group-directory.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import { ContentServer, type Scope } from './content-server.ts'
import { expectedTree, StagedApp, treeOnDisk } from './staged-app.ts'
import { noise, releaseOf } from './test-release.ts'

const own = process.getegid?.() ?? 0
/** Any as root; else one that this process is in, where there is one beside its first. */
const group = process.geteuid?.() === 0 ? 12_345 : process.getgroups?.().find((gid) => gid !== own)
const options = group === undefined ? { skip: 'this user is in one group only' } : {}
const groupId = group ?? own

const described = {
  'index.php': '<?php echo 1;',
  'config/secret.php': { content: 'x', mode: 0o640 },
  'closed': { directory: 0o555 },
  'closed/file': { content: noise('x', 100_000), mode: 0o444 },
  'link': { target: 'index.php' },
  'storage/cache/seed': 'a first content',
}
const one = releaseOf('1.0.0', described)
const two = releaseOf('1.0.1', { ...described, 'new.txt': 'new' })

async function appOf(t: Scope): Promise<StagedApp> {
  const server = await ContentServer.start(t, one, two)
  const root = join(t.testdir({}), 'shop')
  mkdirSync(root)
  return new StagedApp(root, server)
}

/** Of everything below a directory, and of itself. */
function groupsOf(top: string): number[] {
  const paths = ['', ...readdirSync(top, { recursive: true, encoding: 'utf8' })]
  return [...new Set(paths.map((path) => lstatSync(join(top, path)).gid))]
}

void t.test(
  'everything in a release has the group, which alone may enter it',
  options,
  async (t) => {
    const app = await appOf(t)
    passGroupOn(app.layout, groupId)
    app.sharedPaths = [{ path: 'storage', type: 'directory' }]
    await app.stage(one, [], { groupId })
    const top = app.path('1.0.0')
    t.strictSame(groupsOf(top), [groupId])
    t.equal(statSync(top).mode & 0o7777, 0o750)
    t.equal(statSync(join(top, 'closed')).mode & 0o7777, 0o555, 'no bit is left of the building')
    t.equal(statSync(join(top, 'config/secret.php')).mode & 0o7777, 0o640)
    t.equal(statSync(join(app.layout.shared, 'storage/cache')).mode & 0o7777, 0o755)
    t.strictSame(groupsOf(join(app.layout.shared, 'storage')), [groupId])
  },
)

void t.test(
  'files of the group are shared between releases, others are copied',
  options,
  async (t) => {
    const app = await appOf(t)
    await app.stage(one)
    t.equal(statSync(app.path('1.0.0')).mode & 0o7777, 0o755)
    t.strictSame(groupsOf(app.path('1.0.0')), [own])
    passGroupOn(app.layout, groupId)
    const copied = await app.stage(two, [one], { groupId })
    t.equal(copied.bytes.linked, 0)
    t.ok(copied.bytes.copied > 100_000)
    t.strictSame(groupsOf(app.path('1.0.1')), [groupId])
    t.strictSame(groupsOf(app.path('1.0.0')), [own], 'the older release is as it was')
    const linked = await app.stage(one, [two], { groupId })
    t.match(linked, { outcome: 'staged' }, 'what does not run is built anew for its group')
    t.ok(linked.bytes.linked > 100_000)
    t.strictSame(groupsOf(app.path('1.0.0')), [groupId])
    t.same(treeOnDisk(app.path('1.0.0')), expectedTree(one))
  },
)

void t.test('what runs keeps the group that it has, and who may read it', options, async (t) => {
  const app = await appOf(t)
  await app.stage(one)
  activateVersion(app.layout, '1.0.0')
  passGroupOn(app.layout, groupId)
  t.match(await app.stage(one, [], { groupId }), { outcome: 'held' })
  chmodSync(app.path('1.0.0', 'index.php'), 0o600)
  t.match(await app.stage(one, [], { groupId }), { outcome: 'repaired' })
  t.equal(statSync(app.path('1.0.0')).mode & 0o7777, 0o755)
})

void t.test(
  'where nothing hands the group on, nothing is staged without it',
  options,
  async (t) => {
    const app = await appOf(t)
    await t.rejects(app.stage(one, [], { groupId }), { code: 'stage-failed' })
    t.notOk(lstatSync(app.path('1.0.0'), { throwIfNoEntry: false }))
  },
)

const asRoot = process.geteuid?.() === 0 ? {} : { skip: 'it changes who this process is' }

void t.test('only who may hand a directory on can set it up', asRoot, async (t) => {
  const app = await appOf(t)
  const { lockstep } = app.layout
  chownSync(lockstep, 65_534, 65_534)
  process.seteuid?.(65_534)
  try {
    t.throws(() => passGroupOn(app.layout, 12_345), {
      code: 'bad-configuration',
      message: `${lockstep} does not pass group 12345 on to what is built in it`,
    })
  } finally {
    process.seteuid?.(0)
  }
  passGroupOn(app.layout, 12_345)
  t.equal(statSync(lockstep).mode & 0o7777, 0o2755)
})

void t.test('a group is known by its name, and has to be one’s own', async (t) => {
  const name = execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim()
  t.equal(await ownGroupId('shop', name), own)
  await t.rejects(ownGroupId('shop', 'no-such-group'), {
    code: 'bad-configuration',
    message: 'apps.shop.group: this host has no group "no-such-group"',
  })
})

void t.test('a group that the user is not in is refused, by what to do', asRoot, async (t) => {
  process.seteuid?.(65_534)
  try {
    await t.rejects(ownGroupId('shop', 'shadow'), {
      code: 'bad-configuration',
      message:
        'apps.shop.group: the agent’s user is not in the group "shadow", and may give it no files',
      hint: /usermod --append --groups shadow lockstep/,
    })
  } finally {
    process.seteuid?.(0)
  }
})
