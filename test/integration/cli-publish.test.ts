// publish against a controller of the test's: what it sends, what it prints, and that it believes a
// controller nothing that it computed otherwise.

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { requiresOf } from '#shared/descriptor.ts'
import type { ReleaseView } from '#shared/api/schemas.ts'
import { archive, file, gzip, zstd } from '../support/archives.ts'
import { FakeController } from './cli-fake-controller.ts'
import { ran, run } from './cli-run.ts'
import { publishedView, tarball } from './cli-tarball.ts'

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

function fileOf(t: Test, bytes: Buffer): string {
  const path = join(t.testdir({}), 'shop.tar.gz')
  writeFileSync(path, bytes)
  return path
}

void t.test('publish sends the file as it is, with its length', async (t) => {
  const fake = await controller(t)
  const put = 'PUT /v1/apps/shop/releases/0.0.12%2B1'
  const content = gzip(archive(file('shop/image', randomBytes(3_000_000))))
  const view = await publishedView('0.0.12+1', content, { strip: 1 })
  fake.answer(put, view, 201)
  const publish = ['publish', 'shop', '0.0.12+1', fileOf(t, content), '--strip', '1']
  t.same(await ran(publish, { url: fake.url }), {
    exitCode: 0,
    out: `published shop 0.0.12+1
  content  1 entry, 3.0 MB
  tarball  3.0 MB
  tree     ${view.tree}
`,
    err: '',
  })
  const [asked] = fake.asked
  t.equal(asked?.url, '/v1/apps/shop/releases/0.0.12%2B1?strip=1')
  t.match(asked?.headers, {
    'content-type': 'application/octet-stream',
    'content-length': String(content.length),
  })
  t.ok(asked?.body.equals(content), 'byte for byte')

  fake.answer(put, view, 200)
  const again = await ran(publish, { url: fake.url })
  t.match(
    again.out,
    /^shop 0\.0\.12\+1 was published before with the same content \(1 min ago, by admin-1\)\n/,
  )
  const json = await ran([...publish, '--json'], { url: fake.url })
  t.same(JSON.parse(json.out), view)

  fake.answer(
    put,
    { code: 'version-exists', message: 'other content', hint: 'Take a new version.' },
    409,
  )
  t.same(await ran(publish, { url: fake.url }), {
    exitCode: 1,
    out: '',
    err: 'lockstep: other content (version-exists)\n  Take a new version.\n',
  })
})

void t.test('publish reads standard input, and draws how far it is', async (t) => {
  const fake = await controller(t)
  fake.answer('PUT /v1/apps/shop/releases/1', await publishedView('1'), 201)
  const piped = run(['publish', 'shop', '1', '-'], { url: fake.url })
  piped.stdin.end(tarball)
  t.equal(await piped.exitCode, 0)
  t.ok(fake.asked[0]?.body.equals(tarball))
  t.equal(fake.asked[0]?.url, '/v1/apps/shop/releases/1')
  t.match(fake.asked[0]?.headers, { 'transfer-encoding': 'chunked' })
  t.equal(piped.err.text, '', 'nothing is drawn where it cannot be drawn over')
  const publish = ['publish', 'shop', '1', fileOf(t, tarball)]
  const drawn = await ran(publish, { url: fake.url, canRedraw: true })
  t.equal(drawn.err, '\r\x1b[2Ksent 2.0 KB; the controller checks and stores it\r\x1b[2K')
})

void t.test('a controller that says another digest than what was sent is found out', async (t) => {
  const fake = await controller(t)
  const truth = await publishedView('1')
  const other = 'e'.repeat(64)
  const lies: [lie: Partial<ReleaseView>, status: number, message: RegExp][] = [
    [{ tree: other }, 201, new RegExp(`its tree is ${other}, but it is ${truth.tree}`)],
    [{ tree: other }, 200, /of shop 1 that its tree is eeee/],
    [
      { artifact: other },
      201,
      /the tarball is e{64} of 2048 bytes, but it is [0-9a-f]{64} of 2048/,
    ],
    [{ artifactBytes: 5 }, 201, /the tarball is [0-9a-f]{64} of 5 bytes, but it is/],
  ]
  for (const [lie, status, message] of lies) {
    fake.answer('PUT /v1/apps/shop/releases/1', { ...truth, ...lie }, status)
    for (const more of [[], ['--json']]) {
      const publish = ['publish', 'shop', '1', fileOf(t, tarball), ...more]
      const { exitCode, out, err } = await ran(publish, { url: fake.url })
      t.match({ exitCode, out }, { exitCode: 1, out: '' })
      t.match(err, message)
      t.match(err, /\(false-answer\)\n {2}Do not deploy it\./)
    }
  }
  // The same tree from another tarball was there before.
  fake.answer('PUT /v1/apps/shop/releases/1', { ...truth, artifact: other }, 200)
  t.equal((await ran(['publish', 'shop', '1', fileOf(t, tarball)], { url: fake.url })).exitCode, 0)
})

void t.test('what is laid into the tree and what is stripped is counted in', async (t) => {
  const fake = await controller(t)
  const requires = requiresOf({ requires: { os: ['linux'], commands: { php: '>= 8.2' } } })
  const view = await publishedView('1', zstd(tarball), { strip: 1, requires })
  t.not(view.tree, (await publishedView('1', tarball, { strip: 1 })).tree)
  fake.answer('PUT /v1/apps/shop/releases/1', view, 201)
  const path = fileOf(t, zstd(tarball))
  const publish = ['publish', 'shop', '1', path, '--require-os', 'linux', '--require', 'php>=8.2']
  t.equal((await ran([...publish, '--strip', '1'], { url: fake.url })).exitCode, 0)
  const unstripped = await ran(publish, { url: fake.url })
  t.match(unstripped.err, /\(false-answer\)/)
})

void t.test('a controller that takes what must be refused is found out', async (t) => {
  const fake = await controller(t)
  fake.answer('PUT /v1/apps/shop/releases/1', await publishedView('1'), 201)
  const hostile = archive(file('../../etc/passwd'))
  const { exitCode, err } = await ran(['publish', 'shop', '1', fileOf(t, hostile)], {
    url: fake.url,
  })
  t.equal(exitCode, 1)
  t.match(err, /says of shop 1 that it took the tarball, but .*etc\/passwd.*\(false-answer\)/)
  // All of it is sent, though it cannot be read from its first block on.
  const noTar = fileOf(t, Buffer.alloc(1_000_000, 7))
  const taken = await ran(['publish', 'shop', '1', noTar], { url: fake.url })
  t.match(taken.err, /took the tarball, but .*wrong checksum.*\(false-answer\)/)
  t.equal(fake.asked.at(-1)?.body.length, 1_000_000)
  // One that refuses it is heard.
  const refusal = { code: 'refused-entry', message: 'the entry is refused' }
  fake.answer('PUT /v1/apps/shop/releases/1', refusal, 422)
  const refused = await ran(['publish', 'shop', '1', fileOf(t, hostile)], { url: fake.url })
  t.match(refused.err, /^lockstep: the entry is refused \(refused-entry\)\n/)
})

void t.test('publish refuses what is no tarball before it sends anything', async (t) => {
  const directory = t.testdir({ folder: {} })
  const url = 'http://127.0.0.1:1'
  const missing = await ran(['publish', 'shop', '1', `${directory}/none`], { url })
  t.equal(missing.exitCode, 2)
  t.match(missing.err, /none cannot be read \(ENOENT\)/)
  const folder = await ran(['publish', 'shop', '1', `${directory}/folder`], { url })
  t.equal(folder.exitCode, 2)
  t.match(folder.err, /is a directory \(bad-usage\)\n {2}Pack it first: tar -C/)
  for (const words of [
    ['../x', '1'],
    ['shop', '1/2'],
    ['Shop', '1'],
  ]) {
    const bad = await ran(['publish', ...words, 'x.tar'], { url })
    t.equal(bad.exitCode, 2)
    t.match(bad.err, /\(bad-name\)/)
  }
})

void t.test('an answer before everything is sent is heard, and no success', async (t) => {
  const fake = await controller(t)
  // Answers at the first byte, as a controller does with a bad token.
  const publish = ['publish', 'shop', '1', fileOf(t, Buffer.alloc(50_000_000))]
  fake.refuseUploads({ code: 'unauthorised', message: 'the token is unknown' }, 401)
  const refused = await ran(publish, { url: fake.url })
  t.equal(refused.exitCode, 1)
  t.match(refused.err, /^lockstep: the token is unknown \(unauthorised\)\n/)
  fake.refuseUploads(await publishedView('1'), 201)
  const early = archive(file('shop/image', randomBytes(50_000_000)))
  const taken = await ran(['publish', 'shop', '1', fileOf(t, early)], { url: fake.url })
  t.equal(taken.exitCode, 1)
  t.match(taken.err, /took the tarball, but the tarball was not sent to its end \(false-answer\)/)
})
