// No hostile archive is accepted, each refusal says what is wrong, and nothing is left behind.

import t from 'tap'
import { LockstepError } from '#shared/errors.ts'
import { hostileArchives } from '../support/hostile-archives.ts'
import { buildPublisher, listingOf, openTestStore, publishBytes } from '../support/publishing.ts'

void t.test('every hostile archive is refused by name and leaves nothing behind', async (t) => {
  const root = t.testdir()
  const publish = buildPublisher(await openTestStore(root))
  const before = listingOf(root)
  for (const [name, hostile] of Object.entries(hostileArchives)) {
    for (const chunkBytes of [64 * 1024, 333]) {
      const options = { strip: hostile.strip ?? 0, chunkBytes }
      const error = await publishBytes(publish, hostile.bytes, options).catch((e: unknown) => e)
      if (!(error instanceof LockstepError)) {
        t.fail(`${name}: ${error instanceof Error ? error.stack : JSON.stringify(error)}`)
        continue
      }
      t.equal(error.code, hostile.code, `${name}: ${error.message}`)
      t.match(error.message, hostile.words, name)
      t.ok(error.hint, `${name} has a hint`)
      t.same(listingOf(root), before, `${name} leaves nothing`)
    }
  }
  t.comment(`${Object.keys(hostileArchives).length} hostile archives`)
})
