// What a mount namespace says of itself, and where a directory lies in its file system.

import t from 'tap'
import { isWithin, parseMounts, placeOf } from '#agent/layout/mounts.ts'

const text = `21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
22 21 0:20 / /proc rw - proc proc rw,hidepid=invisible
30 21 254:1 / /var rw - ext4 /dev/vdb rw
31 30 254:1 /sites/shop/shared /var/media rw - ext4 /dev/vdb rw
32 30 0:40 /@data /var/with\\040space\\134 rw master:2 - btrfs /dev/vdc rw,subvol=/@data
33 30 0:41 / /var/twice rw - tmpfs one rw
34 30 0:42 / /var/twice rw - tmpfs two rw
`

void t.test('every mount is read, with its file system and what of it', async (t) => {
  const mounts = parseMounts(`${text}\nbroken line\n`)
  t.equal(mounts.length, 7)
  t.match(mounts[1], { point: '/proc', type: 'proc', options: 'rw,hidepid=invisible' })
  t.match(mounts[4], { point: '/var/with space\\', root: '/@data', device: '0:40' })
})

void t.test('a directory has one place, however it is mounted', async (t) => {
  const mounts = parseMounts(text)
  const cases: [directory: string, device: string, path: string][] = [
    ['/srv/shop', '254:0', '/srv/shop'],
    ['/var/sites/shop/versions/1', '254:1', '/sites/shop/versions/1'],
    ['/variety', '254:0', '/variety'],
    ['/var/media/a', '254:1', '/sites/shop/shared/a'],
    ['/var/with space\\/x', '0:40', '/@data/x'],
    ['/var/twice', '0:42', '/'],
  ]
  for (const [directory, device, path] of cases) {
    t.same(placeOf(directory, mounts), { device, path }, directory)
  }
  t.equal(placeOf('/srv', []), null)
})

void t.test('a path is within a directory by whole names', async (t) => {
  t.ok(isWithin('/a/b', '/a'))
  t.ok(isWithin('/a', '/a'))
  t.ok(isWithin('/a', '/'))
  t.notOk(isWithin('/ab', '/a'))
  t.notOk(isWithin('/', '/a'))
})
