// Heads of the controller's audit trail as this host was told of them, kept where the controller's owner
// cannot write: whoever shortens the trail or writes it anew is found out by them. docs/audit.md, "Anchors".

import { readFile } from 'node:fs/promises'
import type { AuditHead } from '#shared/audit/audit-entry.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { writeDurably } from '../adapters/durable-file.ts'

export interface AnchorPorts {
  /** The file; one `N:HASH` a line, the newest last. */
  path: string
  onKept: (head: AuditHead) => void
  /** The trail is shorter than it was, or another: what is kept stays as it is. */
  onWentBack: (told: AuditHead, kept: AuditHead) => void
  onTrouble: (error: unknown) => void
}

/** Only the agent's user may read it. */
const mode = 0o600

export class AuditAnchors {
  readonly #ports: AnchorPorts
  #kept: readonly AuditHead[] | null = null
  #last: Promise<void> = Promise.resolve()

  constructor(ports: AnchorPorts) {
    this.#ports = ports
  }

  /** Never in the way of anything else: a disk that fails costs an anchor, and is told of. */
  told(head: AuditHead): void {
    this.#last = this.#last.then(() => this.#keep(head)).catch(this.#ports.onTrouble)
  }

  /** Resolves when everything that was told so far is kept. */
  idle(): Promise<void> {
    return this.#last
  }

  async #keep(head: AuditHead): Promise<void> {
    const kept = this.#kept ?? (await this.#read())
    this.#kept = kept
    const newest = kept.at(-1)
    if (newest !== undefined && head.sequence <= newest.sequence) {
      if (head.sequence === newest.sequence && head.hash === newest.hash) return
      this.#ports.onWentBack(head, newest)
      return
    }
    const heads = [...kept, head].slice(-limits.auditAnchorsKept)
    const lines = heads.map(({ sequence, hash }) => `${sequence}:${hash}\n`)
    await writeDurably(this.#ports.path, lines.join(''), mode)
    this.#kept = heads
    this.#ports.onKept(head)
  }

  async #read(): Promise<readonly AuditHead[]> {
    const text = await readFile(this.#ports.path, 'utf8').catch((error: unknown) => {
      if (systemCodeOf(error) !== 'ENOENT') throw error
      return ''
    })
    return text.split('\n').flatMap((line) => {
      const [, sequence = '', hash = ''] = /^([1-9][0-9]{0,15}):([0-9a-f]{64})$/.exec(line) ?? []
      return hash === '' ? [] : [{ sequence: Number(sequence), hash }]
    })
  }
}
