// The head of the audit trail as agents are told of it: read now and then, so that telling it costs no
// query and a fleet that comes back at once reads it once.

import type { AuditHead } from '#shared/audit/audit-entry.ts'
import type { Clock } from '#shared/clock.ts'
import { limits } from '#shared/limits.ts'

export interface HeadPorts {
  clock: Clock
  read: () => Promise<AuditHead>
  onTrouble: (error: unknown) => void
}

export class NewestAuditHead {
  readonly #ports: HeadPorts
  #head: AuditHead
  #cancel: () => void = () => undefined
  #stopped = false

  private constructor(ports: HeadPorts, head: AuditHead) {
    this.#ports = ports
    this.#head = head
    this.#readLater()
  }

  static async open(ports: HeadPorts): Promise<NewestAuditHead> {
    return new NewestAuditHead(ports, await ports.read())
  }

  /** Half a minute old at most; null before the first entry. */
  get head(): AuditHead | null {
    return this.#head.sequence === 0 ? null : this.#head
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #readLater(): void {
    const { clock } = this.#ports
    this.#cancel = clock.timer(clock.now() + limits.auditHeadEveryMs, () => void this.#readNow())
  }

  async #readNow(): Promise<void> {
    try {
      this.#head = await this.#ports.read()
    } catch (error) {
      this.#ports.onTrouble(error)
    }
    if (!this.#stopped) this.#readLater()
  }
}
