// Certificates as operators bring them: made by an authority of the test's own, in files that a test
// may replace, break or take away.

import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import {
  issueLeaf,
  type KeyedCertificate,
  makeAuthority,
} from '#controller/tls/certificate-authority.ts'

export class TlsFiles {
  readonly directory: string
  readonly authority: KeyedCertificate
  readonly certificateFile: string
  readonly keyFile: string

  constructor(t: Test, at = Date.now()) {
    this.directory = mkdtempSync(join(tmpdir(), 'lockstep-tls-'))
    t.teardown(() => rmSync(this.directory, { recursive: true, force: true }))
    this.authority = makeAuthority(at)
    this.certificateFile = join(this.directory, 'certificate.pem')
    this.keyFile = join(this.directory, 'key.pem')
    this.issue(at)
  }

  /** Replaces both files by a new pair, with the authority in the chain. */
  issue(at = Date.now(), names: readonly string[] = ['127.0.0.1', 'localhost']): KeyedCertificate {
    const leaf = issueLeaf(this.authority, names, at)
    this.write(leaf.certificate + this.authority.certificate, leaf.key)
    return leaf
  }

  /** Each file by a rename, as tools that renew certificates do. */
  write(certificate: string, key: string): void {
    for (const [path, text] of [
      [this.certificateFile, certificate],
      [this.keyFile, key],
    ] as const) {
      writeFileSync(`${path}.new`, text, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    }
  }
}
