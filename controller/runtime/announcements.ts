// Tells whoever follows that something people see has changed: a hint to read again, never the news
// itself, so that a lost one costs nothing.

import type { HostApp } from '../store/host-store.ts'

export interface Announcement extends HostApp {
  /** The environment's newest rollout, if it has one. */
  readonly rollout: string | null
}

export class Announcements {
  readonly #listeners = new Set<(announcement: Announcement) => void>()

  /** @returns what ends the subscription */
  listen(listener: (announcement: Announcement) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  announce(announcement: Announcement): void {
    for (const listener of this.#listeners) listener(announcement)
  }
}
