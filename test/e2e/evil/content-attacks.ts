// Attacks with bytes: what is served in place of what was signed, and how.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { zstdCompressSync } from 'node:zlib'
import { treeDigestOf } from '#shared/manifest.ts'
import { packOf, type TestRelease, tarOf } from '../../integration/test-release.ts'
import { type Answer, withBytes } from './evil-controller.ts'
import { evilMark } from './guarded-host.ts'
import { type Attack, refOf, type Scene } from './scene.ts'

type Serve = (scene: Scene, release: TestRelease) => void

const manifestOf = ({ tree }: TestRelease) => `/v1/trees/${tree}/manifest`
const packs = ({ tree }: TestRelease) => `/v1/trees/${tree}/pack`

/** A signed release, and other bytes for it; the control serves the right ones. */
function served(name: string, kind: string, serve: Serve): Attack {
  return {
    name,
    kind,
    async attempt(scene, evil) {
      const release = scene.make()
      scene.sign(release)
      if (evil) serve(scene, release)
      return scene.stage(release)
    },
  }
}

/** Bytes without an end, as fast as they are taken. */
const endless: Answer = (response) => {
  const more = () => {
    if (!response.destroyed) response.write(Buffer.alloc(65_536, 32), () => setImmediate(more))
  }
  more()
}

/** A byte now and then: never an end, and never silent for long. */
const drop: Answer = (response) => {
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer))
}

function evilPack(release: TestRelease): Buffer {
  return packOf(release, null, {
    alter: (_path, content) => Buffer.alloc(content.length, evilMark),
  })
}

/** A manifest that says another path, with the tree digest that this gives. */
function escaping(release: TestRelease, path: string): TestRelease {
  const manifest = release.manifest.replace('\tsame\n', `\t${path}\n`)
  return { ...release, manifest, tree: treeDigestOf(manifest) }
}

/** Signed by those who may, though no honest publisher would have let it pass. */
function escape(name: string, path: string): Attack {
  return {
    name,
    kind: 'Nomad, node-tar: paths',
    async attempt(scene, evil) {
      const honest = scene.make()
      const release = evil ? escaping(honest, path) : honest
      scene.sign(release)
      scene.controller.answer(manifestOf(release), withBytes(Buffer.from(release.manifest)))
      scene.controller.answer(packs(release), withBytes(packOf(honest)))
      return scene.stage(release)
    },
  }
}

/** Something that answers at another address, and knows whether it was asked. */
async function redirected(
  scene: Scene,
  release: TestRelease,
  path: string,
): Promise<'asked' | 'not asked'> {
  let isAsked = false
  const other = createServer((_request, response) => {
    isAsked = true
    response.end(evilPack(release))
  })
  other.listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const { port } = other.address() as AddressInfo
  const location = `http://127.0.0.1:${port}/x`
  scene.controller.answerAll(path, (response) => response.writeHead(302, { location }).end())
  await scene.stage(release)
  other.closeAllConnections()
  other.close()
  return isAsked ? 'asked' : 'not asked'
}

function redirect(name: string, pathOf: (release: TestRelease) => string): Attack {
  return {
    name,
    kind: 'SSRF',
    async attempt(scene, evil) {
      const release = scene.make()
      scene.sign(release)
      if (!evil) return scene.stage(release)
      const outcome = await redirected(scene, release, pathOf(release))
      return outcome === 'asked' ? 'taken' : 'refused redirect'
    },
  }
}

export const contentAttacks: readonly Attack[] = [
  served('another manifest for a signed tree', 'Uptane: mixed bundles', (s, r) => {
    const other = s.make({ index: evilMark })
    s.controller.answer(manifestOf(r), withBytes(Buffer.from(other.manifest)))
    s.controller.answerAll(packs(r), withBytes(packOf(other)))
  }),
  served('other files than the manifest says', 'Mender: CVE-2025-67903', (s, r) =>
    s.controller.answerAll(packs(r), withBytes(evilPack(r))),
  ),
  served('a header in the pack that leads out', 'node-tar: paths', (s, r) => {
    const pack = packOf(r, null, {
      alterHeader: (path, header) => {
        if (path === 'same') header.write('../../../etc/evil\0', 0)
        return header
      },
    })
    s.controller.answerAll(packs(r), withBytes(pack))
  }),
  served('an entry more than the manifest says', 'node-tar: duplicates', (s, r) => {
    const more = tarOf(s.make({ zzz: evilMark })).subarray(0, 2048)
    s.controller.answerAll(packs(r), withBytes(packOf(r, null, { more })))
  }),
  served('bytes behind the end of the pack', 'TUF: endless data', (s, r) => {
    const trailing = Buffer.alloc(4096, evilMark)
    s.controller.answerAll(packs(r), withBytes(packOf(r, null, { trailing })))
  }),
  served('a delta against another base', 'delta', (s, r) => {
    // It has the file that is new, which is then not in the delta.
    const base = s.make({ index: `release ${r.version}` })
    s.controller.answerAll(packs(r), withBytes(packOf(r, base)))
  }),
  served('a pack that unpacks to more than was signed', 'TUF: endless data', (s, r) => {
    const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024))
    s.controller.answerAll(packs(r), withBytes(bomb))
  }),
  served('a pack of garbage', 'malformed', (s, r) =>
    s.controller.answerAll(packs(r), withBytes(Buffer.alloc(10_000, evilMark))),
  ),
  served('a pack that never ends', 'TUF: endless data', (s, r) =>
    s.controller.answerAll(packs(r), endless),
  ),
  served('a manifest that never ends', 'TUF: endless data', (s, r) =>
    s.controller.answer(manifestOf(r), endless),
  ),
  served('a statement that never ends', 'TUF: endless data', (s, r) =>
    s.controller.statement(r, endless),
  ),
  {
    name: 'a statement that comes drop by drop',
    kind: 'TUF: slow retrieval',
    async attempt(scene, evil) {
      const slow = scene.make()
      scene.sign(slow)
      if (!evil) return scene.stage(slow)
      scene.controller.statement(slow, drop)
      const from = scene.controller.requests.length
      const desired = scene.desired({ stage: refOf(slow) })
      scene.controller.tell(desired)
      await scene.controller.asked(`/v1/trees/${slow.tree}/statements`, from)
      // A newer decision does not wait for it, and this is how it fails.
      const next = scene.make()
      scene.sign(next)
      return (await scene.stage(next)) === 'taken' ? 'refused to wait' : 'taken'
    },
  },
  {
    name: 'another release as soon as the statement was fetched',
    kind: 'RAUC: CVE-2020-25860, time of check',
    async attempt(scene, evil) {
      const release = scene.make()
      scene.sign(release)
      const other = scene.make({ index: evilMark })
      const { controller } = scene
      const path = `/v1/trees/${release.tree}/statements/shop/${release.version}`
      if (evil) {
        controller.answer(path, (response, request) => {
          controller.answer(manifestOf(release), withBytes(Buffer.from(other.manifest)))
          controller.answerAll(packs(release), withBytes(packOf(other)))
          withBytes(scene.signed(release))(response, request)
        })
      }
      return scene.stage(release)
    },
  },
  escape('a signed manifest that leads out of the tree', '../../../../etc/evil'),
  escape('a signed manifest with an absolute path', '/etc/evil'),
  escape('a signed manifest with a control character', 'sa\u001bme'),
  redirect('a statement at another address', ({ tree }) => `/v1/trees/${tree}/statements`),
  redirect('a manifest at another address', manifestOf),
  redirect('a pack at another address', packs),
]
