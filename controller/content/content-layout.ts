// Where things lie below the controller's data directory. Pure; the only place that knows it.
//
//   content/ab/cdef…            files of releases, by the SHA-256 of their bytes
//   manifests/<tree digest>     artifacts/<sha256>     as they were made and uploaded
//   packs/<to>.<from>.<sha256>  a cache; `from` is `full` for whole releases
//   incoming/<random>/          what is being published; removed at the next start

import { join } from 'node:path'
import { parseDigest } from '#shared/ids.ts'
import type { ContentKind } from './ports.ts'

export class ContentLayout {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  get incoming(): string {
    return join(this.root, 'incoming')
  }

  get packs(): string {
    return join(this.root, 'packs')
  }

  /** @throws LockstepError `bad-name` when `sha256` is no digest: it would be part of a path. */
  pathOf(kind: ContentKind, sha256: string): string {
    const digest = parseDigest(sha256)
    if (kind !== 'content') return join(this.root, kind, digest)
    return join(this.root, kind, digest.slice(0, 2), digest.slice(2))
  }

  directories(): string[] {
    return ['content', 'manifests', 'artifacts', 'packs', 'incoming'].map((name) =>
      join(this.root, name),
    )
  }
}
