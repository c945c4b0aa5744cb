// The limits of who calls the controller, and how often: a part of limits.ts, with the same rules.

const second = 1000
const minute = 60 * second
const KiB = 1024

export const accessLimits = {
  // Calls. `Burst` may come at once, then `PerSecond` each second.
  /** Of one API token: a command that follows a rollout asks some ten times a second at most. */
  tokenCallsBurst: 1000,
  tokenCallsPerSecond: 50,
  /** Of one address, without or before a token that is good: a load balancer's checks, people, CI. */
  addressCallsBurst: 2000,
  addressCallsPerSecond: 200,
  /**
   * Of agents at one address: a fleet of the largest size behind one NAT reconnects within 30 s, with
   * two requests a host, and draws no more nonces than are kept.
   */
  agentCallsBurst: 20_000,
  agentCallsPerSecond: 1000,
  /** Of one host with its content token: three or so for each of its apps at once, and resumed ones. */
  contentCallsBurst: 1000,
  contentCallsPerSecond: 20,
  /** Refused credentials of one address: many hosts behind it may have been removed. */
  refusedCallsBurst: 200,
  refusedCallsPerSecond: 2,
  /** Tokens, hosts and addresses that are remembered of each kind: some 10 MB. */
  callersMax: 100_000,

  // Approvals
  /** A request that waits for another person: long enough for the next working day. */
  approvalMs: 24 * 60 * minute,
  /** Requests that wait in one environment: more are nobody's to look through. */
  approvalsWaitingMax: 50,
  /** What is kept of those that were decided. */
  approvalsShown: 50,

  // Connections
  /** A fleet of the largest size, reconnecting while its old connections linger, and people. */
  connectionsMax: 25_000,
  /** A request line and its headers; the longest is one that says what a release requires. */
  headBytesMax: 16 * KiB,
  /** Headers of one request. */
  headersMax: 100,
  /** Until a request line and its headers have arrived. */
  headPatienceMs: 1 * minute,
  /** Streams of events that one token holds open: people with several windows, and CI. */
  streamsPerTokenMax: 50,
  /** Connections of one host that have not introduced themselves; one that reconnects leaves one. */
  arrivingPerHostMax: 4,
  /** Messages of one agent: states and progress of all its apps at once, and what their hooks say. */
  messagesBurst: 2000,
  messagesPerSecond: 200,
  /** Messages of one agent that wait to be saved: each is 64 KiB at most. */
  messagesPendingMax: 200,
} as const
