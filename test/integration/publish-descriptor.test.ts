// The descriptor at publishing: judged where it is in the tarball, laid into the tree where the
// publisher asks for it, and never a release with one that no host could read.

import t from 'tap'
import { descriptorText, parseDescriptor } from '#shared/descriptor.ts'
import { sha256Hex } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import { parseManifest } from '#shared/manifest.ts'
import { archive, directory, file, hardLink, link } from '../support/archives.ts'
import { buildPublisher, openTestStore, streamOf } from '../support/publishing.ts'
import { RunningController } from '../support/running-controller.ts'

const requires = parseDescriptor('{"requires":{"os":["linux"],"commands":{"php":">= 8.2"}}}')
const text = descriptorText(requires)

async function published(t: Parameters<typeof openTestStore>[0], tarball: Buffer, asked = false) {
  const store = await openTestStore(t)
  const tree = await buildPublisher(store)({
    stream: streamOf(tarball, 64 * 1024),
    strip: 0,
    signal: new AbortController().signal,
    ...(asked ? { requires } : {}),
  })
  return { ...tree, store }
}

void t.test('the one in the tarball is read, whatever else its text is', async (t) => {
  const spaced = JSON.stringify(
    { requires: { ...requires, arch: undefined, libc: undefined } },
    null,
    2,
  )
  const tree = await published(t.testdir(), archive(file('a'), file('lockstep.json', spaced)))
  t.same(tree.requires, requires)
  const entry = parseManifest(tree.manifest).find(({ path }) => path === 'lockstep.json')
  t.match(entry, { sha256: sha256Hex(spaced) }, 'the file stays as it is')
  t.equal((await published(t.testdir(), archive(file('a')))).requires, null)
  const deep = await published(t.testdir(), archive(file('a/lockstep.json', 'of somebody else')))
  t.equal(deep.requires, null, 'only at the top')
})

void t.test('the one that is asked for becomes a file that the tree digest covers', async (t) => {
  const asked = await published(t.testdir(), archive(file('a'), file('z')), true)
  t.same(asked.requires, requires)
  t.equal((await asked.store.readWhole('content', sha256Hex(text))).toString(), text)
  const written = await published(
    t.testdir(),
    archive(file('lockstep.json', text), file('z'), file('a')),
  )
  t.equal(asked.tree, written.tree, 'the same release as with the file')
  t.not(asked.tree, (await published(t.testdir(), archive(file('a'), file('z')))).tree)
})

void t.test('what is no descriptor is refused, with the place and what to write', async (t) => {
  const many = ' '.repeat(limits.descriptorBytesMax + 1)
  const cases: [tarball: Buffer, asked: boolean, message: RegExp][] = [
    [
      archive(file('lockstep.json', '{"requires":{"os":["Linux"]}}')),
      false,
      /os\[0\] is "Linux"; write "linux"/,
    ],
    [archive(file('lockstep.json', '')), false, /is no JSON/],
    [archive(file('lockstep.json', many)), false, /has 65537 bytes; write at most 65536/],
    [
      archive(file('a', text), link('lockstep.json', 'a')),
      false,
      /is a link; write a file of its own/,
    ],
    [archive(file('a', text), hardLink('lockstep.json', 'a')), false, /is a hard link/],
    [archive(directory('lockstep.json/'), file('a')), false, /is a directory/],
    [archive(file('lockstep.json/a')), false, /is a directory/],
    [archive(file('lockstep.json', text)), true, /is in the tarball already/],
    [archive(file('lockstep.json/a')), true, /is in the tarball already/],
  ]
  for (const [tarball, asked, message] of cases) {
    await t.rejects(published(t.testdir(), tarball, asked), { code: 'bad-descriptor', message })
  }
  await t.rejects(published(t.testdir(), archive(directory('./')), true), { code: 'bad-archive' })
})

void t.test('over HTTP it comes as a parameter, and is shown with the release', async (t) => {
  const controller = await RunningController.start(t)
  const body = archive(file('a'))
  const put = (version: string, parameter: string) =>
    controller.call(
      'PUT',
      `/v1/apps/shop/releases/${version}?requires=${encodeURIComponent(parameter)}`,
      {
        body,
      },
    )
  const asked = await put('1', '{"os":["linux"],"commands":{"php":">=8.2"}}')
  t.match(asked, {
    status: 201,
    body: { requires: { os: ['linux'], commands: { php: '>= 8.2' } } },
  })
  t.match(await controller.call('GET', '/v1/apps/shop/releases'), {
    body: { items: [{ version: '1', requires: { os: ['linux'], arch: [], libc: [] } }] },
  })
  t.match(await put('1', '{"os":["linux"],"commands":{"php":">= 8.2"}}'), { status: 200 })
  t.match(await put('1', '{}'), { status: 409, body: { code: 'version-exists' } })
  for (const parameter of ['', '{', '{"ram":1}', '{},"x":1', '[]']) {
    t.match(await put('2', parameter), { status: 422, body: { code: 'bad-descriptor' } }, parameter)
  }
  t.match(await put('2', `{${' '.repeat(9000)}}`), { status: 400 })
  const tarball = archive(file('lockstep.json', '{"requires":{"os":["Linux"]}}'))
  t.match(await controller.call('PUT', '/v1/apps/shop/releases/2', { body: tarball }), {
    status: 422,
    body: {
      code: 'bad-descriptor',
      message: /lockstep\.json: requires\.os\[0\]/,
      hint: /Correct it/,
    },
  })
})
