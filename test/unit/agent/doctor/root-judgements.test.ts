// What the doctor says of an app's place on the disk.

import t from 'tap'
import {
  judgeLayout,
  judgeMount,
  judgeRights,
  judgeSpace,
  type RightsFacts,
} from '#agent/doctor/root-judgements.ts'
import type { Mount } from '#agent/layout/mounts.ts'

const mount = (type: string): Mount => ({
  device: '8:1',
  root: '/',
  point: '/srv',
  type,
  options: 'rw',
})

void t.test('a file system is good, doubtful or impossible', async (t) => {
  for (const type of ['ext4', 'xfs', 'btrfs', 'zfs', 'f2fs']) {
    t.match(judgeMount(mount(type), false), { outcome: 'ok', found: `${type} at /srv` })
  }
  for (const type of ['nfs', 'nfs4', 'cifs', '9p', 'fuse.sshfs', 'ceph']) {
    t.match(judgeMount(mount(type), false), { outcome: 'warn', found: /not supported/ }, type)
  }
  t.match(judgeMount(mount('overlay'), false), { outcome: 'warn', remedy: /not at `current`/ })
  t.match(judgeMount(mount('tmpfs'), false), { outcome: 'warn', found: /every start/ })
  for (const type of ['vfat', 'exfat', 'fuseblk']) {
    t.match(judgeMount(mount(type), false), { outcome: 'fail', found: /no symbolic links/ }, type)
  }
  t.match(judgeMount(mount('ext4'), true), { outcome: 'fail', found: /read-only/ })
  t.match(judgeMount(null, false), { outcome: 'unknown' })
})

void t.test('what is renamed into place is on one file system', async (t) => {
  t.match(judgeLayout({ root: 1, versions: 1, lockstep: 1 }), { outcome: 'ok' })
  t.match(judgeLayout({ root: 1, versions: null, lockstep: null }), { outcome: 'ok' })
  t.match(judgeLayout({ root: 1, versions: 2, lockstep: 1 }), {
    outcome: 'fail',
    found: 'versions/ of the root is on another file system',
  })
  t.match(judgeLayout({ root: 1, versions: 2, lockstep: 3 }), {
    found: /^versions\/ and .* are on/,
  })
})

void t.test('another release like the present one has to fit', async (t) => {
  const release = { bytes: 500_000_000, entries: 20_000 }
  const enough = { freeBytes: 10_000_000_000, freeInodes: 900_000, release }
  t.match(judgeSpace(enough), {
    outcome: 'ok',
    found: /10 GB and 900000 inodes .* 500 MB in 20000/,
  })
  t.match(judgeSpace({ ...enough, freeInodes: null }), { outcome: 'ok', found: /any number/ })
  t.match(judgeSpace({ ...enough, freeBytes: 900_000_000 }), { outcome: 'warn' })
  t.match(judgeSpace({ ...enough, freeBytes: 400_000_000 }), { outcome: 'fail' })
  t.match(judgeSpace({ ...enough, freeInodes: 30_000 }), { outcome: 'warn' })
  t.match(judgeSpace({ ...enough, freeInodes: 19_000 }), { outcome: 'fail', remedy: /`keep`/ })
  t.match(judgeSpace({ freeBytes: 1000, freeInodes: 9, release: null }), { outcome: 'fail' })
})

const directory = (path: string, uid: number, mode: number, gid = uid) => ({ path, uid, gid, mode })
const rights: RightsFacts = {
  user: { name: 'lockstep', uid: 990, gids: [990, 33] },
  above: [directory('/', 0, 0o40755), directory('/srv', 0, 0o40755)],
  own: [directory('/srv/shop', 990, 0o40755), directory('/srv/shop/versions', 990, 0o40755)],
  writablePaths: ['/srv/shop'],
}

void t.test('the agent’s user may write to the root, and get there', async (t) => {
  t.match(judgeRights(rights), { outcome: 'ok', found: 'lockstep may write to the root' })
  t.match(judgeRights({ ...rights, above: [directory('/srv', 0, 0o40750)] }), {
    outcome: 'fail',
    found: 'lockstep may not pass /srv (mode 0750)',
    remedy: 'Let it through: chmod o+x /srv',
  })
  t.match(judgeRights({ ...rights, above: [directory('/srv', 0, 0o40750, 33)] }), { outcome: 'ok' })
  t.match(judgeRights({ ...rights, own: [directory('/srv/shop', 0, 0o40755)] }), {
    outcome: 'fail',
    found: /may not write to \/srv\/shop \(owner 0, mode 0755\)/,
  })
  t.match(judgeRights({ ...rights, own: [directory('/srv/shop', 0, 0o40775, 33)] }), {
    outcome: 'warn',
    found: '/srv/shop may be written by others too (mode 0775)',
    remedy: /chmod go-w \/srv\/shop/,
  })
  t.match(judgeRights({ ...rights, user: { name: 'root', uid: 0, gids: [0] } }), { outcome: 'ok' })
})

void t.test('the sandbox of the service leaves the root open', async (t) => {
  t.match(judgeRights({ ...rights, writablePaths: ['/srv/other', '/srv/sho'] }), {
    outcome: 'fail',
    found: /sandbox keeps \/srv\/shop read-only/,
    remedy: /agent install/,
  })
  t.match(judgeRights({ ...rights, writablePaths: ['/srv'] }), { outcome: 'ok' })
  t.match(judgeRights({ ...rights, writablePaths: null }), { outcome: 'ok' })
})
