// Publishing that does not come to its end: bombs, aborts, stalls, broken uploads, full disks. The
// outcome is a named error, and the disk is as it was.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { createGzip, createZstdCompress } from 'node:zlib'
import t from 'tap'
import { openFileContentStore } from '#controller/content/file-content-store.ts'
import { createPublisher } from '#controller/publishing/publish-release.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { archive, file, header, pax } from '../support/archives.ts'
import {
  buildPublisher,
  listingOf,
  openTestStore,
  publishBytes,
  realTimer,
} from '../support/publishing.ts'

const never = new AbortController().signal

/** A tar archive of one file of zeros, `chunks` MiB long, made while it is read. */
function* zeros(chunks: number): Generator<Buffer> {
  const mebibyte = Buffer.alloc(1 << 20)
  yield header({ name: 'zeros', size: chunks * mebibyte.length })
  for (let index = 0; index < chunks; index += 1) yield mebibyte
}

void t.test('bombs are refused as soon as they are seen', async (t) => {
  const root = t.testdir()
  const publish = buildPublisher(await openTestStore(root))
  const before = listingOf(root)
  for (const [name, compressor] of [
    ['gzip', createGzip()],
    ['zstd', createZstdCompress()],
  ] as const) {
    // Two gibibytes, of which no more than what the ratio allows may be unpacked.
    const stream = Readable.from(zeros(2048)).pipe(compressor)
    await t.rejects(
      publish({ stream, strip: 0, signal: never }),
      { code: 'archive-too-large', message: /more than 200 times its size/ },
      name,
    )
    t.notOk(stream.destroyed, 'the upload is left to its owner')
    stream.destroy()
    t.same(listingOf(root), before)
  }
})

void t.test('more entries than a release may have are refused', async (t) => {
  const root = t.testdir()
  const publish = buildPublisher(await openTestStore(root))
  const deep = Array.from({ length: 62 }, () => 'd').join('/')
  const files = Array.from({ length: Math.ceil(limits.entriesMax / 63) + 1 }, (_, index) =>
    Buffer.concat([pax({ path: `${index}/${deep}/f` }), file('f', '')]),
  )
  await t.rejects(publishBytes(publish, archive(...files)), {
    code: 'archive-too-large',
    message: /over 200000 entries/,
  })
})

void t.test('an aborted upload ends with the reason and leaves nothing', async (t) => {
  const root = t.testdir()
  const publish = buildPublisher(await openTestStore(root))
  const before = listingOf(root)
  const aborted = new AbortController()
  const stream = new PassThrough()
  const publishing = publish({ stream, strip: 0, signal: aborted.signal })
  stream.write(archive(file('a', Buffer.alloc(400_000))).subarray(0, 300_000))
  const reason = new Error('the client is gone')
  aborted.abort(reason)
  await t.rejects(publishing, reason)
  t.same(listingOf(root), before)
  t.same(
    ['readable', 'end', 'error', 'close'].map((event) => stream.listenerCount(event)),
    [0, 0, 0, 0],
  )
})

void t.test('an upload that was aborted before it began is not begun', async (t) => {
  const publish = buildPublisher(await openTestStore(t.testdir()))
  const reason = new Error('too late')
  const signal = AbortSignal.abort(reason)
  await t.rejects(publishBytes(publish, archive(file('a')), { signal }), reason)
})

void t.test('an upload that stops is given up', async (t) => {
  const root = t.testdir()
  const content = await openTestStore(root)
  const before = listingOf(root)
  const started = Promise.withResolvers<() => void>()
  const publish = createPublisher({
    content,
    startTimer: (_delayMs, fire) => {
      started.resolve(fire)
      return () => {}
    },
  })
  const publishing = publish({ stream: new PassThrough(), strip: 0, signal: never })
  const periodEnds = await started.promise
  periodEnds()
  await t.rejects(publishing, { code: 'stalled', message: /Nothing of the tarball arrived/ })
  t.same(listingOf(root), before)
})

void t.test('an upload that breaks off is a bad archive', async (t) => {
  const root = t.testdir()
  const publish = buildPublisher(await openTestStore(root))
  const before = listingOf(root)
  for (const end of [
    (stream: PassThrough) => stream.destroy(new Error('ECONNRESET')),
    (stream: PassThrough) => stream.destroy(),
  ]) {
    const stream = new PassThrough()
    stream.on('error', () => {})
    const publishing = publish({ stream, strip: 0, signal: never })
    stream.write(archive(file('a', Buffer.alloc(10_000))).subarray(0, 5000))
    end(stream)
    await t.rejects(publishing, { code: 'bad-archive', message: /broke off/ })
    t.same(listingOf(root), before)
  }
})

void t.test('an early refusal leaves the upload open for an answer', async (t) => {
  const publish = buildPublisher(await openTestStore(t.testdir()))
  const stream = new PassThrough()
  const publishing = publish({ stream, strip: 0, signal: never })
  stream.write(Buffer.alloc(2048, 'no tar'))
  await t.rejects(publishing, { code: 'bad-archive' })
  t.notOk(stream.destroyed)
  t.equal(stream.listenerCount('readable'), 0)
  stream.resume().end('the rest')
  await new Promise((resolve) => stream.once('end', resolve))
})

void t.test('a disk that refuses is named, and nothing is called published', async (t) => {
  const root = t.testdir()
  const publish = buildPublisher(await openTestStore(root))
  rmSync(join(root, 'incoming'), { recursive: true })
  await t.rejects(publishBytes(publish, archive(file('a'))), { code: 'disk-error' })
})

void t.test('when durability fails nothing becomes findable', async (t) => {
  const root = t.testdir()
  const failing = new LockstepError('disk-error', 'sync -f failed')
  const content = await openFileContentStore(root, () => Promise.reject(failing))
  const before = listingOf(root)
  const publish = createPublisher({ content, startTimer: realTimer })
  await t.rejects(publishBytes(publish, archive(file('a'))), { code: 'disk-error' })
  t.same(listingOf(root), before)
})
