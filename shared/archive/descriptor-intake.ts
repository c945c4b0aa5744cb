// The descriptor of a release that is being published: the one in the tarball, judged, or the one
// that the publisher asks for, laid into the tree so that its digest covers it. Never both.

import assert from 'node:assert/strict'
import {
  descriptorPath,
  descriptorRefused,
  descriptorText,
  parseDescriptor,
  type Requires,
} from '../descriptor.ts'
import { limits } from '../limits.ts'
import type { ContentSink } from './content-intake.ts'
import type { ExpectedFile, ReleaseTree } from './release-tree.ts'

const bothWrite = 'the requirements in one place: into the file, or as options of publishing'

export class DescriptorIntake {
  readonly #asked: Requires | null
  #found: Requires | null = null

  /** @param asked by the publisher, for a tarball without one */
  constructor(asked: Requires | null) {
    this.#asked = asked
  }

  /** At the header of each file. @throws LockstepError `bad-descriptor`. */
  expect({ path, sizeBytes }: ExpectedFile): void {
    if (path !== descriptorPath) return
    if (this.#asked !== null) throw descriptorRefused('is in the tarball already', bothWrite)
    if (sizeBytes <= limits.descriptorBytesMax) return
    throw descriptorRefused(`has ${sizeBytes} bytes`, `at most ${limits.descriptorBytesMax}`)
  }

  /** With the content of each small file. @throws LockstepError `bad-descriptor`. */
  take({ path }: ExpectedFile, bytes: Buffer): void {
    if (path === descriptorPath) this.#found = parseDescriptor(bytes.toString('utf8'))
  }

  /**
   * When all entries are in: what the release requires; null for nothing that is said.
   * @throws LockstepError `bad-descriptor`.
   */
  async settle(tree: ReleaseTree, sink: ContentSink): Promise<Requires | null> {
    const entry = tree.entryAt(descriptorPath)
    if (this.#asked !== null) {
      if (entry !== undefined) throw descriptorRefused('is in the tarball already', bothWrite)
      await layDescriptor(this.#asked, tree, sink)
      return this.#asked
    }
    if (entry === undefined) return null
    // What came as a link to something else was never read.
    if (entry.type === 'file' && this.#found !== null) return this.#found
    const what = entry.type === 'file' ? 'hard link' : entry.type
    throw descriptorRefused(`is a ${what}`, 'a file of its own')
  }
}

async function layDescriptor(
  requires: Requires,
  tree: ReleaseTree,
  sink: ContentSink,
): Promise<void> {
  assert(tree.entries().length > 0, 'a tarball without entries is refused')
  const bytes = Buffer.from(descriptorText(requires))
  const file = { path: descriptorPath, mode: 0o644, sizeBytes: bytes.length }
  tree.addFile(file, await sink.put(bytes))
}
