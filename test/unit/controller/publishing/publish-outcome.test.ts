// What publishing a version means beside what it named before.

import t from 'tap'
import { publishOutcome } from '#controller/publishing/publish-outcome.ts'

const release = { app: 'shop', version: '0.0.12', tree: 'a'.repeat(64) }

void t.test('a new version is created', async (t) => {
  t.equal(publishOutcome(release, null), 'created')
})

void t.test('the same tree under the same version is unchanged', async (t) => {
  t.equal(publishOutcome(release, 'a'.repeat(64)), 'unchanged')
})

void t.test('another tree under the same version is refused with both digests', async (t) => {
  t.throws(() => publishOutcome(release, 'b'.repeat(64)), {
    code: 'version-exists',
    message: 'shop 0.0.12 was published before with other content',
    details: { existingTree: 'b'.repeat(64), tree: 'a'.repeat(64) },
  })
})
