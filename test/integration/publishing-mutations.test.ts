// A small archive cut off everywhere and changed everywhere, one bit at a time: it is refused, or
// it means to us what it means to GNU tar, and nothing is left over. SEED repeats a run.

import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LockstepError } from '#shared/errors.ts'
import { sha256Hex } from '#shared/ids.ts'
import { formatManifest, treeDigestOf } from '#shared/manifest.ts'
import { archive, directory, file, gzip, hardLink, link, pax, zstd } from '../support/archives.ts'
import { randomNumbers } from '../support/archive-mutations.ts'
import { flipped } from '../support/hostile-archives.ts'
import { runMutations } from '../support/mutation-run.ts'
import {
  buildPublisher,
  listingOf,
  manifestOfDirectory,
  openTestStore,
  publishBytes,
} from '../support/publishing.ts'

const content = Array.from({ length: 90 }, (_, index) => `line ${index * 7919}\n`).join('')
const beforeContent = Buffer.concat([
  directory('./'),
  directory('./app/'),
  pax({ path: `app/${'n'.repeat(150)}`, mtime: '1.5' }),
  file('app/n', 'long name'),
  link('app/current', 'n'),
])
const plain = archive(beforeContent, file('data', content), hardLink('again', 'data'))
const data = { mode: 0o644, sizeBytes: content.length, sha256: sha256Hex(content) } as const
const long = { mode: 0o644, sizeBytes: 9, sha256: sha256Hex('long name') } as const
const whole = treeDigestOf(
  formatManifest([
    { type: 'directory', path: 'app', mode: 0o755 },
    { type: 'file', path: `app/${'n'.repeat(150)}`, ...long },
    { type: 'link', path: 'app/current', target: 'n' },
    { type: 'file', path: 'data', ...data },
    { type: 'file', path: 'again', ...data },
  ]),
)
const tarballs = { plain, gzip: gzip(plain), zstd: zstd(plain) }

void t.test('a tarball cut off anywhere is refused or complete', async (t) => {
  const root = t.testdir()
  const publish = buildPublisher(await openTestStore(root))
  const before = listingOf(root)
  for (const [name, tarball] of Object.entries(tarballs)) {
    const step = name === 'plain' ? 512 : 31
    for (let length = 0; length < tarball.length; length += step) {
      const outcome = await publishBytes(publish, tarball.subarray(0, length)).catch(
        (e: unknown) => e,
      )
      t.match(outcome, { code: 'bad-archive' }, `${name} cut off at ${length}`)
    }
    t.same(listingOf(root), before, 'nothing is left')
  }
  for (const tarball of Object.values(tarballs)) {
    t.equal((await publishBytes(publish, tarball)).tree, whole)
  }
})

void t.test('a tarball with one changed bit is refused or means what it says', async (t) => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`SEED=${seed}`)
  const random = randomNumbers(seed)
  const root = t.testdir()
  const scratch = join(root, 'scratch')
  const publish = buildPublisher(await openTestStore(root))
  const counts = { refused: 0, accepted: 0 }
  for (const [name, tarball] of Object.entries(tarballs)) {
    for (let round = 0; round < 300; round += 1) {
      const at = Math.floor(random() * tarball.length)
      const bit = Math.floor(random() * 8)
      const changed = flipped(tarball, at, bit)
      const outcome = await publishBytes(publish, changed).catch((error: unknown) => error)
      if (outcome instanceof LockstepError) {
        counts.refused += 1
        if (outcome.code !== 'bad-archive' && outcome.code !== 'refused-entry') t.fail(outcome.code)
      } else {
        counts.accepted += 1
        const expected = name === 'plain' ? treeOfGnuTar(changed, scratch) : whole
        t.match(outcome, { tree: expected }, `${name}, byte ${at}, bit ${bit}`)
      }
    }
  }
  t.same(listingOf(`${root}/incoming`), [], 'nothing is left')
  t.comment(`${counts.refused} refused, ${counts.accepted} accepted`)
  t.ok(counts.accepted > 0 && counts.refused > counts.accepted, 'both were seen')
})

void t.test('a tarball damaged in any way is refused or keeps every rule', async (t) => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`SEED=${seed}`)
  const { refused, accepted, wrong } = await runMutations(t.testdir(), seed, 500)
  t.same(wrong, [])
  t.comment(`${refused} refused, ${accepted} accepted`)
  t.ok(accepted > 0 && refused > accepted, 'both were seen')
})

/** The digest of what another program, GNU tar, makes of an archive. */
function treeOfGnuTar(tarball: Buffer, scratch: string): string {
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch)
  const args = ['-xpf', '-', '--no-same-owner', '-C', scratch]
  const { status, stderr } = spawnSync('tar', args, { input: tarball })
  if (status !== 0) throw new Error(`tar failed: ${stderr.toString()}`)
  return treeDigestOf(manifestOfDirectory(scratch))
}
