// Staging when the network and the server do what they should not. Whatever comes, no version
// appears that is not the published tree, and what passes by itself is overcome.

import { readdirSync } from 'node:fs'
import t from 'tap'
import { stageRelease } from '#agent/staging/stage-release.ts'
import { parseManifest, treeDigestOf } from '#shared/manifest.ts'
import { tarHeaderOf } from '#shared/canonical-tar.ts'
import { ContentServer, type Fault, type Scope } from './content-server.ts'
import { codeOf, expectedTree, quickTuning, StagedApp, treeOnDisk } from './staged-app.ts'
import { noise, packOf, type PackFaults, releaseOf, tarOf } from './test-release.ts'

const release = releaseOf('1.0.0', {
  'a.bin': noise('a', 300_000),
  'b/b.bin': noise('b', 300_000),
  'c.txt': 'c',
  'd': { target: 'c.txt' },
})
const packPath = `/v1/trees/${release.tree}/pack`

/** Sends this much of a sound answer, then does `what` with the connection. */
function cutAfter(sizeBytes: number, times: number, what: 'destroy' | 'stall'): Fault {
  let count = 0
  return (served) => {
    const { path, response, body, etag, request, answer } = served
    const isCut = path === packPath && count < times
    if (!isCut || body === null) return answer()
    count += 1
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const isRange = start > 0 && request.headers['if-range'] === etag
    response.writeHead(isRange ? 206 : 200, {
      etag,
      'content-length': body.length - (isRange ? start : 0),
      ...(isRange ? { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` } : {}),
    })
    response.write(body.subarray(isRange ? start : 0, start + sizeBytes), () => {
      if (what === 'destroy') response.destroy()
    })
  }
}

async function stagedUnder(
  t: Scope,
  fault: Fault | null,
): Promise<{ app: StagedApp; server: ContentServer }> {
  const server = await ContentServer.start(t, release)
  server.fault = fault
  return { app: new StagedApp(t.testdir({}), server), server }
}

void t.test('a cut connection is taken up where it broke off', async (t) => {
  const { app, server } = await stagedUnder(t, cutAfter(150_000, 3, 'destroy'))
  const staged = await app.stage(release)
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(release))
  t.equal(staged.resumes, 3)
  const ranges = server.requests.filter((line) => line.includes('bytes='))
  t.equal(ranges.length, 3)
  t.equal(staged.bytes.received, packOf(release).length, 'no byte came twice')
})

void t.test('a stream that stalls is taken up again', async (t) => {
  const { app } = await stagedUnder(t, cutAfter(150_000, 1, 'stall'))
  const tuning = { ...quickTuning, stallMs: 1_000 }
  t.equal((await app.stage(release, [], { tuning })).resumes, 1)
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(release))
})

void t.test('a server that does not begin to answer is a stall', async (t) => {
  const { app, server } = await stagedUnder(t, () => undefined)
  const tuning = { ...quickTuning, stallMs: 300, firstByteMs: 300, resumesMax: 2 }
  t.equal(await codeOf(app.stage(release, [], { tuning })), 'stalled')
  t.equal(server.requests.length, 3, 'tried three times')
})

void t.test('stalls without end are given up, and the next attempt goes on', async (t) => {
  const { app, server } = await stagedUnder(t, cutAfter(0, 100, 'stall'))
  const tuning = { ...quickTuning, stallMs: 300, firstByteMs: 300, resumesMax: 2 }
  t.equal(await codeOf(app.stage(release, [], { tuning })), 'stalled')
  t.same(readdirSync(app.layout.versions), [])
  t.same(await app.held(), [])
  server.fault = null
  t.match(await app.stage(release), { outcome: 'staged' })
})

void t.test(
  'files that stand when a stream is given up are kept for the next attempt',
  async (t) => {
    const { app, server } = await stagedUnder(t, cutAfter(400_000, 1, 'destroy'))
    const tuning = { ...quickTuning, resumesMax: 0 }
    t.equal(await codeOf(app.stage(release, [], { tuning })), 'fetch-failed')
    server.fault = null
    const staged = await app.stage(release)
    t.equal(staged.bytes.resumed, 300_000, 'the first file')
    t.equal(staged.bytes.written, 300_001)
    t.same(treeOnDisk(app.path('1.0.0')), expectedTree(release))
  },
)

void t.test('a server without ranges sends all again, and the stage ends well', async (t) => {
  const cut = cutAfter(150_000, 1, 'destroy')
  const { app } = await stagedUnder(t, (served) => {
    delete served.request.headers.range
    cut(served)
  })
  t.equal((await app.stage(release)).resumes, 1)
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(release))
})

void t.test('a pack that changes between two ranges is read anew', async (t) => {
  const cut = cutAfter(150_000, 1, 'destroy')
  const { app, server } = await stagedUnder(t, (served) => {
    cut(served)
    // The same tree, in other bytes: a controller restored or upgraded meanwhile.
    if (served.path === packPath) server.put(packPath, Buffer.concat([packOf(release), emptyFrame]))
  })
  const staged = await app.stage(release)
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(release))
  t.same(staged.packs, ['full'])
})

void t.test('a pack without a strong ETag is never resumed in the middle', async (t) => {
  let count = 0
  const { app, server } = await stagedUnder(t, ({ path, response, body, answer }) => {
    count += 1
    if (path !== packPath || body === null || count > 2) return answer()
    response.writeHead(200, { 'etag': 'W/"weak"', 'content-length': body.length })
    response.write(body.subarray(0, 100_000), () => response.destroy())
  })
  await app.stage(release)
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(release))
  t.notMatch(server.requests.join('\n'), 'bytes=')
})

void t.test('a broken answer that passes is overcome', async (t) => {
  for (const status of [500, 503, 429]) {
    let count = 0
    const { app } = await stagedUnder(t, ({ response, answer }) => {
      count += 1
      if (count % 2 === 1) response.writeHead(status).end('sorry')
      else answer()
    })
    t.match(await app.stage(release), { outcome: 'staged' }, String(status))
  }
})

void t.test('an answer that does not pass by itself is said as what it is', async (t) => {
  const cases: [status: number, code: string][] = [
    [401, 'unauthorised'],
    [403, 'not-told'],
    [404, 'unknown-tree'],
    [302, 'fetch-failed'],
    [400, 'fetch-failed'],
  ]
  for (const [status, code] of cases) {
    for (const part of ['manifest', 'pack']) {
      const { app, server } = await stagedUnder(t, ({ path, response, answer }) => {
        if (!path.endsWith(part)) return answer()
        response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end()
      })
      t.equal(await codeOf(app.stage(release)), code, `${status} for the ${part}`)
      t.equal(server.requests.filter((path) => path.endsWith(part)).length, 1, 'asked once')
      t.same(await app.held(), [])
    }
  }
})

void t.test('a redirect leads only to origins that the host\u2019s owner has named', async (t) => {
  const mirror = await ContentServer.start(t, release)
  mirror.isOpen = true
  const shown: (string | undefined)[] = []
  mirror.fault = ({ request, answer }) => {
    shown.push(request.headers.authorization)
    answer()
  }
  const { app, server } = await stagedUnder(t, ({ path, response }) => {
    response.writeHead(307, { location: `${mirror.url}${path}` }).end()
  })
  t.equal(await codeOf(app.stage(release)), 'fetch-failed')
  t.same(shown, [], 'not even asked')
  const { host } = new URL(mirror.url)
  for (const other of [`http://localhost:${new URL(mirror.url).port}`, `https://${host}`]) {
    t.equal(await codeOf(app.stage(release, [], { redirects: [other] })), 'fetch-failed', other)
  }
  t.same(shown, [])
  const staged = await app.stage(release, [], { redirects: [mirror.url] })
  t.equal(staged.outcome, 'staged')
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(release))
  t.same(shown, [undefined, undefined], 'and it is not shown the token')
  t.equal(server.requests.length, 5)
})

void t.test('a redirect to nowhere, or round and round, is an end', async (t) => {
  for (const location of ['', 'http://[', 'file:///etc/passwd', '/elsewhere']) {
    const { app, server } = await stagedUnder(t, ({ response }) => {
      response.writeHead(302, location === '' ? {} : { location }).end()
    })
    t.equal(await codeOf(app.stage(release)), 'fetch-failed', location)
    t.ok(server.requests.length <= 4, `${server.requests.length} requests`)
  }
})

void t.test('a delta that the controller does not grant is made up by another', async (t) => {
  const content = { 'a.bin': noise('a', 300_000), 'b/b.bin': noise('b', 300_000) }
  const one = releaseOf('0.1.0', content)
  const two = releaseOf('0.2.0', { ...content, 'c.txt': 'c' })
  const { app, server } = await stagedUnder(t, null)
  server.publish(one)
  server.publish(two)
  for (const held of [one, two]) await app.stage(held)
  server.fault = ({ path, response, answer }) => {
    if (path.endsWith(`?from=${two.tree}`)) response.writeHead(403).end()
    else answer()
  }
  const next = releaseOf('1.0.0', { ...content, 'c.txt': 'c', 'e.txt': 'e' })
  server.publish(next)
  const staged = await app.stage(next, [one, two])
  t.same(staged.packs, [{ from: two.tree }, { from: one.tree }])
})

void t.test('nobody there is fetch-failed', async (t) => {
  const { app, server } = await stagedUnder(t, null)
  const request = app.request(release)
  await server.stop()
  t.equal(await codeOf(stageRelease(request)), 'fetch-failed')
})

void t.test('a manifest with other bytes is refused before it is read', async (t) => {
  const other = releaseOf('1.0.0', { 'other': 'x' })
  for (const body of [other.manifest, `${release.manifest}\n`, '', '\u0000']) {
    const { app, server } = await stagedUnder(t, null)
    server.put(`/v1/trees/${release.tree}/manifest`, Buffer.from(body))
    t.equal(await codeOf(app.stage(release)), 'content-mismatch')
    t.same(app.leftovers(), [], 'nothing was written')
  }
})

void t.test(
  'a manifest that hashes right but breaks a rule is refused by the agent too',
  async (t) => {
    const hostile = release.manifest.replace('\tc.txt\n', '\tc.txt/../../../etc/passwd\n')
    const tree = treeDigestOf(hostile)
    t.throws(() => parseManifest(hostile))
    const { app, server } = await stagedUnder(t, null)
    server.put(`/v1/trees/${tree}/manifest`, Buffer.from(hostile))
    t.equal(await codeOf(app.stage({ version: '1.0.0', tree })), 'refused-entry')
  },
)

void t.test('a pack that is not what the manifest says is refused', async (t) => {
  const header = Buffer.from(tarHeaderOf({ type: 'directory', path: 'e', mode: 0o755 }))
  const flip = (bytes: Buffer, at: number): Buffer => {
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] ?? 0) ^ 1
    return flipped
  }
  const faults: Record<string, PackFaults> = {
    'wrong bytes': { alter: (path, content) => (path === 'b/b.bin' ? flip(content, 9) : content) },
    'a longer file': {
      alter: (path, content) => (path === 'c.txt' ? Buffer.from('cc') : content),
    },
    'a shorter file': {
      alter: (path, content) => (path === 'a.bin' ? content.subarray(512) : content),
    },
    'another path': { alterHeader: (path, bytes) => (path === 'c.txt' ? flip(bytes, 0) : bytes) },
    'another mode': { alterHeader: (path, bytes) => (path === 'c.txt' ? flip(bytes, 106) : bytes) },
    'an absolute path': {
      alterHeader: (path, bytes) => {
        if (path === 'c.txt') bytes.write('/etc/cron.d/x', 0, 'latin1')
        return bytes
      },
    },
    'another link target': {
      alterHeader: (path, bytes) => {
        if (path === 'd') bytes.write('/etc/passwd', 157, 'latin1')
        return bytes
      },
    },
    'one entry more': { more: header },
    'bytes behind the end': { trailing: Buffer.alloc(512) },
  }
  for (const [name, fault] of Object.entries(faults)) {
    const { app, server } = await stagedUnder(t, null)
    server.put(packPath, packOf(release, null, fault))
    t.equal(await codeOf(app.stage(release)), 'content-mismatch', name)
    t.same(readdirSync(app.layout.versions), [], `${name}: no version`)
    t.same(await app.held(), [], `${name}: nothing held`)
  }
})

void t.test('a stream that is no pack at all is refused', async (t) => {
  const bodies: Record<string, Buffer> = {
    'empty': Buffer.alloc(0),
    'text': Buffer.from('<html>502 Bad Gateway</html>'),
    'a tar without zstd': tarOf(release),
    'cut short with its length right': packOf(release).subarray(0, 200_000),
    'another release': packOf(releaseOf('2', { 'other': 'x' })),
  }
  for (const [name, body] of Object.entries(bodies)) {
    const { app, server } = await stagedUnder(t, null)
    server.put(packPath, body)
    t.equal(await codeOf(app.stage(release)), 'content-mismatch', name)
    t.same(await app.held(), [])
  }
})

/** An empty zstd frame: decodes to nothing. RFC 8878, 3.1.1. */
const emptyFrame = Buffer.from('28b52ffd2000010000', 'hex')
