// The canonical tar as GNU tar reads it, and its bytes, which must never change.

import { spawnSync } from 'node:child_process'
import t from 'tap'
import {
  canonicalTarBytes,
  tarEndBytes,
  tarHeaderOf,
  tarPaddingBytes,
} from '#shared/canonical-tar.ts'
import { sha256Hex } from '#shared/ids.ts'
import type { ManifestEntry } from '#shared/manifest.ts'

const content = 'hello\n'
const long = 'é'.repeat(60)
const entries: ManifestEntry[] = [
  { type: 'directory', path: 'bin', mode: 0o700 },
  { type: 'file', path: 'bin/start', mode: 0o755, sizeBytes: 6, sha256: sha256Hex(content) },
  { type: 'link', path: 'current', target: 'bin/start' },
  { type: 'directory', path: long, mode: 0o755 },
  { type: 'file', path: `${long}/f`, mode: 0o644, sizeBytes: 6, sha256: sha256Hex(content) },
  { type: 'link', path: 'target', target: 'x'.repeat(101) },
  { type: 'directory', path: 'y'.repeat(100), mode: 0o755 },
  { type: 'link', path: 'z'.repeat(100), target: 'x'.repeat(100) },
]

const tarball = Buffer.concat([
  ...entries.flatMap((entry) =>
    entry.type === 'file'
      ? [tarHeaderOf(entry), Buffer.from(content), Buffer.alloc(tarPaddingBytes(entry.sizeBytes))]
      : [tarHeaderOf(entry)],
  ),
  Buffer.alloc(tarEndBytes),
])

void t.test('GNU tar reads every name, mode, size, time and target', async (t) => {
  const listing = spawnSync('tar', ['-tvf', '-', '--full-time', '--numeric-owner'], {
    input: tarball,
    env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC' },
  })
  t.equal(listing.stderr.toString(), '')
  // 5891b5b is where the SHA-256 of the content begins: 946684800 + 0x5891b5b seconds.
  const lines = listing.stdout.toString().replaceAll(/ +/g, ' ').trimEnd().split('\n')
  t.same(lines, [
    'drwx------ 0/0 0 2000-01-01 00:00:00 bin/',
    '-rwxr-xr-x 0/0 6 2002-12-10 21:38:35 bin/start',
    'lrwxrwxrwx 0/0 0 2000-01-01 00:00:00 current -> bin/start',
    `drwxr-xr-x 0/0 0 2000-01-01 00:00:00 ${long}/`,
    `-rw-r--r-- 0/0 6 2002-12-10 21:38:35 ${long}/f`,
    `lrwxrwxrwx 0/0 0 2000-01-01 00:00:00 target -> ${'x'.repeat(101)}`,
    `drwxr-xr-x 0/0 0 2000-01-01 00:00:00 ${'y'.repeat(100)}/`,
    `lrwxrwxrwx 0/0 0 2000-01-01 00:00:00 ${'z'.repeat(100)} -> ${'x'.repeat(100)}`,
  ])
})

void t.test('a header is one block, and three where a name is over 100 bytes', async (t) => {
  t.same(
    entries.map((entry) => tarHeaderOf(entry).length),
    [512, 512, 512, 1536, 1536, 1536, 1536, 512],
  )
})

void t.test('the length of the whole is known before', async (t) => {
  t.equal(canonicalTarBytes(entries), tarball.length)
  t.equal(canonicalTarBytes([]), 1024)
  t.same([0, 1, 511, 512, 513].map(tarPaddingBytes), [0, 511, 1, 0, 511])
})

void t.test('the largest file fits, a larger one is a fault of the program', async (t) => {
  const file = { type: 'file', path: 'a', mode: 0o644, sha256: sha256Hex('') } as const
  t.equal(tarHeaderOf({ ...file, sizeBytes: 8 * 2 ** 30 - 1 }).length, 512)
  t.throws(() => tarHeaderOf({ ...file, sizeBytes: 8 * 2 ** 30 }), { name: 'AssertionError' })
})

void t.test('the bytes of a header never change', async (t) => {
  t.equal(
    sha256Hex(tarball),
    '0dac926499fa92d96714774cf9c1f62c6bb6568a13edc73d55450f471b7618d6',
    'agents of other versions compare with these bytes',
  )
})
