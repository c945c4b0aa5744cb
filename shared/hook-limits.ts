// The limits of hooks and probes on a host, with their unit and reason; part of limits.ts, which is where
// they are taken from.

const second = 1000
const minute = 60 * second
const KiB = 1024
const MiB = 1024 * KiB

export const hookLimits = {
  /** A hook, unless its section says another time. */
  hookTimeoutDefaultMs: 60 * second,
  /** Below this a program can hardly be started. */
  hookTimeoutMinMs: 100,
  /** Others wait for it at the barrier: longer work belongs into the build. */
  hookTimeoutMaxMs: 30 * minute,
  /** Words of a hook's command line, the program counted. */
  hookWordsMax: 64,
  /** One word of it; the kernel takes 128 KiB. */
  hookWordCharsMax: 4096,
  /** What is kept of the output of one run; the rest is read and thrown away. */
  hookOutputBytesMax: 256 * KiB,
  /** One line of it; what is longer is cut off. */
  hookLineCharsMax: 1000,
  /** A shorter value of a shared file is no secret but a word: `true`, `local`, `redis`. */
  secretCharsMin: 8,
  /** What is read of a shared file to know its secrets. */
  secretFileBytesMax: 64 * KiB,
  /** Lines travel together: one message holds at most this much of them. */
  hookTextCharsMax: 4000,
  /** And waits no longer than this for more of them. */
  hookTextPauseMs: 200,
  /** Output beyond the limit is read at 64 KiB in this time, so that it costs the agent nothing. */
  hookDiscardPauseMs: 10,
  /** What the controller keeps of the output of all hooks of one rollout. */
  rolloutOutputBytesMax: 1 * MiB,
  /** Rollouts of one environment whose output is kept: those that somebody may still ask about. */
  rolloutOutputsKept: 20,
  /** After the end of everything that wrote, until its last output is given up. */
  hookDrainMs: 1 * second,
  /** How often it is looked whether a process that was killed is gone. */
  hookSweepPauseMs: 20,
  /** A killed process that is still there then hangs in the kernel, and is told of. */
  hookKillMs: 5 * second,
  /** How often it is looked whether anything of an interrupted once run is still there. */
  onceSweepEveryMs: 2 * second,
  /** One question to systemd. */
  systemctlTimeoutMs: 10 * second,
  /** The window of a health gate, unless its section says another. */
  gateWindowDefaultMs: 10 * second,
  /** A fleet between two releases waits for it. */
  gateWindowMaxMs: 30 * minute,
  probeIntervalDefaultMs: 1 * second,
  /** Ten probes a second are no load; more find out nothing sooner. */
  probeIntervalMinMs: 100,
  probeIntervalMaxMs: 60 * second,
  probeTimeoutDefaultMs: 2 * second,
  probeTimeoutMinMs: 50,
  probeTimeoutMaxMs: 60 * second,
  /** Successes in a row that make a release healthy, unless its section says another number. */
  probeHealthyDefault: 2,
  /** Failures in a row that make it unhealthy: a first request may well fail while caches fill. */
  probeUnhealthyDefault: 3,
  probeCountMax: 20,
  /** What is read of an answer to look for the words that it has to hold. */
  probeBodyBytesMax: 64 * KiB,
  /** Words that an answer has to hold. */
  probeWordsCharsMax: 1000,
  /** The script answers with one word; PHP may say what it dislikes beside it. */
  fastCgiAnswerBytesMax: 64 * KiB,
  /** The reset of PHP's opcode cache. */
  opcacheTimeoutMs: 5 * second,
  /** A release that requests may still be served from is left there this long. */
  drainDefaultMs: 24 * 60 * minute,
  drainMaxMs: 30 * 24 * 60 * minute,
} as const
