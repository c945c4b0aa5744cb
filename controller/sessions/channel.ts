// One agent's connection as a session sees it: messages out, and its end.

import type { DownMessage } from '#shared/wire/messages.ts'

export interface Channel {
  send(message: DownMessage): void
  /** Ends the connection; `code` is a WebSocket close code (RFC 6455, 7.4). */
  close(code: number, reason: string): void
}
