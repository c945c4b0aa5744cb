// Why either side closes the agents' channel: WebSocket close codes (RFC 6455, 7.4) of
// docs/protocol.md, "Closing".

export const closeCodes = {
  /** The peer broke the protocol; where the controller closes, a `refused` message says how. */
  refused: 4400,
  /** A newer connection of the same agent took over. */
  replaced: 4409,
  /** Nothing was heard for too long. */
  silent: 4408,
  /** Nothing more is wanted: the agent is stopping. */
  done: 1000,
  /** The controller is stopping; connect again. */
  stopping: 1001,
} as const
