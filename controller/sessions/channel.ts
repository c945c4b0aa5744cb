// One agent's connection as a session sees it: messages out, and its end.

import type { DownMessage } from '#shared/wire/messages.ts'

export interface Channel {
  send(message: DownMessage): void
  /** Ends the connection; `code` is a WebSocket close code (RFC 6455, 7.4). */
  close(code: number, reason: string): void
}

/** The close codes of docs/protocol.md, "Closing". */
export const closeCodes = {
  /** The peer broke the protocol; a `refused` message says how. */
  refused: 4400,
  /** A newer connection of the same agent took over. */
  replaced: 4409,
  /** Nothing was heard for too long. */
  silent: 4408,
  /** The controller is stopping; connect again. */
  stopping: 1001,
} as const
