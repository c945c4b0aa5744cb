// One agent's connection as a session sees it: messages out, and its end.

import type { DownMessage } from '#shared/wire/messages.ts'

/**
 * `bound`: the agent's signature was over this very TLS connection. `unbound`: a proxy ends TLS, and
 * nothing ties the two halves together. `plain`: there is no TLS.
 */
export type Binding = 'bound' | 'unbound' | 'plain'

export interface Channel {
  readonly binding: Binding
  send(message: DownMessage): void
  /** Ends the connection; `code` is a WebSocket close code (RFC 6455, 7.4). */
  close(code: number, reason: string): void
}
