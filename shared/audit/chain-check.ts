// Checks an audit trail entry by entry, from its first to its last: that nothing in it was changed,
// left out, put in or moved, and that it still holds what anchors say. Keeps one entry at a time.

import { auditHash, type AuditEntry, type AuditHead, emptyTrail } from './audit-entry.ts'

/** What is wrong with a trail, told by the first entry that shows it. */
export interface ChainFault {
  readonly kind: 'missing' | 'out-of-order' | 'changed' | 'not-anchored' | 'cut-off'
  /** The entry that shows it; of `cut-off` the one of the anchor that is not there. */
  readonly sequence: number
  readonly message: string
}

export class ChainCheck {
  readonly #anchors: readonly AuditHead[]
  #head = emptyTrail

  /** @param anchors heads that were noted elsewhere; in any order, also several of one entry */
  constructor(anchors: readonly AuditHead[]) {
    this.#anchors = anchors
  }

  /** The last entry that was found good. */
  get head(): AuditHead {
    return this.#head
  }

  /** Null for an entry that follows the ones before it. */
  add(entry: AuditEntry): ChainFault | null {
    const { sequence, hash } = entry
    const due = this.#head.sequence + 1
    if (sequence > due) {
      const gap = sequence === due + 1 ? `entry ${due} is` : `entries ${due} to ${sequence - 1} are`
      return { kind: 'missing', sequence, message: `${gap} missing: entry ${sequence} is next` }
    }
    if (sequence !== due) {
      const message = `entry ${sequence} stands where entry ${due} is due`
      return { kind: 'out-of-order', sequence, message }
    }
    if (auditHash(this.#head.hash, entry) !== hash) {
      const message = `entry ${sequence} is not what was recorded there: its hash does not fit`
      return { kind: 'changed', sequence, message }
    }
    this.#head = { sequence, hash }
    if (this.#anchors.every((anchor) => anchor.sequence !== sequence || anchor.hash === hash)) {
      return null
    }
    const message = `entry ${sequence} is not the one of the anchor: the trail was written anew`
    return { kind: 'not-anchored', sequence, message }
  }

  /** After the last entry: null where the trail reaches every anchor. */
  end(): ChainFault | null {
    const { sequence } = this.#head
    const beyond = this.#anchors.find((anchor) => anchor.sequence > sequence)
    if (beyond === undefined) return null
    const last = sequence === 0 ? 'has no entry' : `ends with entry ${sequence}`
    const message = `the trail ${last}, and the anchor is of entry ${beyond.sequence}: it was cut off`
    return { kind: 'cut-off', sequence: beyond.sequence, message }
  }
}
