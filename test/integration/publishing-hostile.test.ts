// No hostile archive is accepted, each refusal says what is wrong, every rule for entries is seen to
// bite, and nothing is left behind: not in the content store, and not beside it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { entryRules } from '#shared/entry-rules.ts'
import { LockstepError } from '#shared/errors.ts'
import { hostileArchives } from '../support/hostile-archives.ts'
import { buildPublisher, listingOf, openTestStore, publishBytes } from '../support/publishing.ts'

void t.test('every hostile archive is refused by name and leaves nothing behind', async (t) => {
  const root = t.testdir({ a: 'beside', evil: 'beside', secret: 'beside' })
  // Deep enough that a path with a few `..` would still land where the listing sees it.
  const store = join(root, 'a-deep', 'er', 'store')
  mkdirSync(store, { recursive: true })
  writeFileSync(join(root, 'a-deep', 'x'), 'beside')
  const publish = buildPublisher(await openTestStore(store))
  const before = listingOf(root)
  const rules = new Set<unknown>()
  for (const [name, hostile] of Object.entries(hostileArchives)) {
    for (const chunkBytes of [64 * 1024, 333]) {
      const options = { strip: hostile.strip ?? 0, chunkBytes }
      const error = await publishBytes(publish, hostile.bytes, options).catch((e: unknown) => e)
      if (!(error instanceof LockstepError)) {
        t.fail(`${name}: ${error instanceof Error ? error.stack : JSON.stringify(error)}`)
        continue
      }
      rules.add(error.details?.['rule'])
      t.equal(error.code, hostile.code, `${name}: ${error.message}`)
      t.match(error.message, hostile.words, name)
      t.ok(error.hint, `${name} has a hint`)
      t.same(listingOf(root), before, `${name} leaves nothing`)
    }
  }
  const unseen = Object.keys(entryRules).filter((rule) => !rules.has(rule))
  t.same(unseen, [], 'every rule for entries refused at least one of them')
  const count = Object.keys(hostileArchives).length
  t.comment(`${count} hostile archives`)
  t.ok(count >= 120, 'the corpus has not shrunk')
})
