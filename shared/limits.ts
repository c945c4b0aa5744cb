// Every limit and every deadline, with its unit and its reason. Nothing else may hold such a number but
// hook-limits.ts and access-limits.ts, which are parts of this.

import { accessLimits } from './access-limits.ts'
import { hookLimits } from './hook-limits.ts'

const second = 1000
const minute = 60 * second
const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

export const limits = {
  // Leases and time
  /** An agent reports at least this often, so that a lost report costs a third of a lease. */
  reportEveryMs: 5 * second,
  /** Progress of a stage is told no more often: it is for people. */
  progressEveryMs: 500,
  /** A ready or any other report counts this long; three reports. */
  leaseMs: 15 * second,
  /** Lead before a timed activation: never below, so that the message can arrive everywhere. */
  leadMinMs: 50,
  /** Never above, so that a host with a bad line cannot hold the others up. */
  leadMaxMs: 5 * second,
  /** The lead as a multiple of the slowest host's round trip: there, back, and one spare. */
  leadRoundTrips: 3,
  /** A host less sure of the controller's clock than this goes on receipt, and says so. */
  clockErrorMaxMs: 20,

  // Deadlines of the phases
  /** Fetching 4 GiB at 40 Mbit/s; the operator's `--wait` may be shorter. */
  stageDeadlineMs: 15 * minute,
  /** A rename takes milliseconds; the rest is for a host that has to reconnect. */
  activationDeadlineMs: 30 * second,
  /** Longest health window (0 while no health check is configured) plus this. */
  verifyDeadlineMs: 30 * second,
  /** Going back needs one rename; twice the activation's, for hosts that reconnect. */
  rollBackDeadlineMs: 60 * second,
  /** A once hook: a migration may take minutes, and its host must be heard at the end of it. */
  onceDeadlineMs: 10 * minute,
  /** Between waves: those ready before have to be ready again. */
  waveDeadlineMs: 5 * minute,
  /** A pause between waves; nobody watching any more must not leave a fleet between two releases. */
  pauseDeadlineMs: 60 * minute,
  /** The longest that a host's own configuration may make a phase last. */
  declaredMsMax: 60 * minute,
  /** How long a repeat with the same Idempotency-Key is answered with the first rollout. */
  idempotencyMs: 24 * 60 * minute,

  // Connections
  reconnectMinMs: 500,
  reconnectMaxMs: 30 * second,
  /** An agent that hears nothing for this long takes the connection for dead. */
  silenceMaxMs: 15 * second,
  /** A challenge is good for one upgrade within this time. */
  challengeMs: 30 * second,
  /** An unauthenticated connection that does not say hello is closed. */
  helloDeadlineMs: 10 * second,
  /** A WebSocket that was closed waits this long for the peer to say so too. */
  closeWaitMs: 1 * second,
  /** Pins of the controller: the one that is good, and the next while it is replaced. */
  pinsMax: 2,
  /** A join token, unless another time is asked for. */
  joinTokenMs: 60 * minute,
  /** And at most: whoever prepares hosts for later has a week. */
  joinTokenMsMax: 7 * 24 * 60 * minute,
  /** Hosts that may join with one token: a fleet that scales by itself. */
  joinTokenUsesMax: 10_000,
  /** An API token, unless another time is asked for: a quarter, so that renewing stays a habit. */
  apiTokenMs: 90 * 24 * 60 * minute,
  /** And at most: none is for ever. */
  apiTokenMsMax: 365 * 24 * 60 * minute,
  /** Grants of one token: each is looked at by every request. */
  grantsMax: 64,
  /** A content token; renewed at half of it, so that a stolen one is of little use. */
  contentTokenMs: 15 * minute,
  /** A message of the agents' channel: states are small, lists travel over HTTP. */
  messageBytesMax: 64 * KiB,
  /** A sentence for people in a message: what is longer is cut off by who says it. */
  messageTextCharsMax: 2000,
  /** What is said of a malformed message: the peer chose the names of its members. */
  mistakesCharsMax: 500,
  /** Terms and epochs: far below 2^53, so that each has a next one that a number can hold. */
  fenceNumberMax: 2 ** 48,
  /** Tarballs taken in at once: each holds a parser, a decoder and open files. */
  publishesMax: 4,
  /** What may wait unsent on one socket before it is closed as too slow. */
  sendBufferBytesMax: 1 * MiB,
  /** A JSON request body arrives in one piece or two; who takes longer holds a socket for nothing. */
  bodyPatienceMs: 30 * second,
  /** What a client still sends after its answer is read this long: an answer crosses any network. */
  drainMs: 2 * second,
  /** A JSON request body. */
  bodyBytesMax: 64 * KiB,

  // TLS of the controller
  /** The controller's own authority; every agent pins its key, so that it is changed seldom. */
  authorityLifeMs: 3650 * 24 * 60 * minute,
  /** What is left of it when its operator is told to rotate it: agents may be away for months. */
  authorityEndingMs: 365 * 24 * 60 * minute,
  /** The certificate that is shown to whoever connects. */
  leafLifeMs: 90 * 24 * 60 * minute,
  /** It is renewed after two thirds: a month is left to notice that it was not. */
  leafRenewedAfterMs: 60 * 24 * 60 * minute,
  /** Begins this long ago, for hosts whose clocks are behind. */
  certificateBackdatedMs: 24 * 60 * minute,
  /** How often certificates are looked at: a timer of Node's cannot wait for two months. */
  certificateCheckMs: 60 * minute,
  /** Files of a given certificate: whoever renews it need not restart or tell anybody. */
  certificateFilesCheckMs: 10 * second,
  /** What is left of a given certificate when its operator is warned: most are renewed before. */
  certificateEndingMs: 14 * 24 * 60 * minute,
  /** A controller that runs for months repeats this often what its operator ought to know. */
  warnedAgainMs: 24 * 60 * minute,
  /** A TLS handshake; it takes two ways across the network. */
  handshakeMs: 10 * second,
  /** Handshakes under way; beyond it the oldest is given up. A fleet that comes back has 10,000. */
  handshakesMax: 2000,

  // Entries of a release
  artifactBytesMax: 4 * GiB,
  /** What a tarball may unpack to. */
  treeBytesMax: 16 * GiB,
  entriesMax: 200_000,
  /** One file: what the 11 octal digits of a tar header can say. */
  fileBytesMax: 8 * GiB - 1,
  pathBytesMax: 1024,
  segmentBytesMax: 255,
  pathDepthMax: 64,
  linkTargetBytesMax: 1024,
  /** Names that judging all links may walk through; 20 for each entry, a few seconds at worst. */
  linkStepsMax: 4_000_000,
  /** Unpacked over packed bytes; real releases stay below 30, a bomb of zeros goes over 1000. */
  unpackRatioMax: 200,
  /** Below this many bytes the ratio says nothing. */
  unpackRatioFromBytes: 64 * MiB,
  manifestBytesMax: 256 * MiB,
  /** Pax records or a GNU long name before one entry; names and owners need less than 2 KiB. */
  archiveMetaBytesMax: 1 * MiB,
  /** gzip members or zstd frames in one tarball: one for each entry in seekable formats. */
  compressedMembersMax: 200_000,
  /** A tarball of which no byte arrives or is worked on for this long is given up. */
  publishStallMs: 60 * second,

  /** The descriptor; it names what a release requires, and no more. */
  descriptorBytesMax: 64 * KiB,
  /** Words of one of its lists, and commands that it may name: each costs a host a process. */
  descriptorItemsMax: 32,

  // Content on the controller
  /** A file up to here is held in memory while it is hashed, and written in one go. */
  contentInMemoryBytesMax: 256 * KiB,
  /** How many small files are written or renamed at once; four threads do the work. */
  contentWritesMax: 16,
  /** How many small files are read ahead while a pack is built: 4 MiB at most. */
  contentReadsAheadMax: 16,
  /** Packs kept ready; the least recently used go first, but never one that is being read. */
  packCacheBytesMax: 8 * GiB,
  /** Packs compressed at once; each takes one thread of four. */
  packBuildsMax: 2,
  /** Packs that may wait to be built: more distinct pairs of releases than a fleet ever needs. */
  packBuildsWaitingMax: 100,
  /** What is read from a file at a time when it is served: fewer, larger reads cost less. */
  contentReadBytes: 1 * MiB,

  /** Releases of an app that pruning leaves, unless another number is asked for or set. */
  releasesKeptDefault: 20,
  releasesKeptMax: 10_000,
  /** Differences between two releases in one answer: some 3 MB. */
  differencesMax: 10_000,
  /** Pruning answers when the content is swept: a million files take minutes on a slow disk. */
  pruneSilenceMs: 15 * minute,

  // On a host
  /** One command that is asked for its version: a virtual machine on a busy host takes seconds. */
  commandVersionMs: 10 * second,
  /** What is read of its answer. */
  commandVersionBytesMax: 16 * KiB,
  /** Commands asked at once. */
  commandVersionsMax: 4,
  keepDefault: 5,
  keepMax: 50,
  /** Extra room asked for beyond what the release itself needs. */
  spaceMarginBytes: 64 * MiB,
  inodeMargin: 64,
  /** A content stream without a byte for this long is resumed. */
  stallMs: 10 * second,
  /** Until an answer begins: the controller may have to make the pack first. */
  firstByteMs: 60 * second,
  /** Redirections that one request for content follows, to origins of the host's configuration. */
  redirectsMax: 3,
  /** How often one stage attempt resumes its stream before it starts anew. */
  resumesMax: 5,
  /** A stream that brought this much since it was taken up last counts as going well again. */
  resumeProgressBytes: 1 * MiB,
  /** Until a full or failing disk is tried again with the journal. */
  journalRetryMs: 1 * second,
  retryMinMs: 1 * second,
  retryMaxMs: 60 * second,
  /** One unit that is restarted: a worker may finish what it is at. */
  restartTimeoutMs: 30 * second,
  /** One reload step. */
  reloadTimeoutMs: 10 * second,
  /** Quick attest of what `current` names, while nothing else happens. */
  attestEveryMs: 60 * second,
  /** Every byte of what runs is read: seldom enough that nobody notices, often enough for rot. */
  deepAttestEveryMs: 24 * 60 * minute,
  /** What clean-up held back is looked at again this often: most of it waits for a process. */
  cleanUpAgainMs: 60 * minute,
  /** Root's look at who uses what; it starts a program and reads all of /proc. */
  usageUnitTimeoutMs: 60 * second,
  /** The end of what systemctl says through root's socket: more than a message shows. */
  unitAnswerCharsMax: 4096,
  /** Why an app is held on its host; with who and when it is a line that everybody is shown. */
  holdReasonCharsMax: 400,
  /** One rename, by a program that has to start first. */
  exchangeTimeoutMs: 10 * second,
  /** A list of who uses what that is older was made for somebody else. */
  usageListAgeMaxMs: 60 * second,

  ...hookLimits,
  ...accessLimits,

  // As a service
  /** A daemon whose event loop stood still this long can no longer hold a lease. */
  eventLoopLagMaxMs: 5 * second,
  /** One notification to systemd; a helper that hangs must not hold up the daemon. */
  notifyTimeoutMs: 10 * second,
  /** One command of the installer; starting a service may take its whole TimeoutStartSec, 90 s. */
  installCommandTimeoutMs: 2 * minute,
  /** The journal's last lines that a failed start shows. */
  journalLinesShown: 20,
  /** A join token's file; a token has well below 200 bytes. */
  joinTokenBytesMax: 4 * KiB,

  // The operator's command
  /** An answer of the controller; it reads what it has and waits for nobody. */
  requestTimeoutMs: 10 * second,
  /** One answer or event: 10,000 hosts are about 10 MB. */
  answerBytesMax: 64 * MiB,
  /** A stream of events without any is opened anew: a proxy may have dropped it unseen. */
  eventSilenceMs: 60 * second,
  /** How often a rollout is looked at when no event says that it changed. */
  pollEveryMs: 2 * second,
  /** Changes come in crowds; this long they are gathered before the next look. */
  changePauseMs: 100,
  /** How long one request for a rollout is repeated: a controller restarts within seconds. */
  requestPatienceMs: 1 * minute,
  /** How long a rollout is followed without an answer: twice the longest phase. */
  followPatienceMs: 30 * minute,
  /** A lasting silence is mentioned this often. */
  stillTryingEveryMs: 30 * second,
  /** Percentages alone give a new line no more often than this, so that logs stay short. */
  progressLineEveryMs: 5 * second,
  /** Hosts that one line names. */
  namesShown: 6,
  /** Rows of a long list that are shown unless all are asked for. */
  rowsShown: 20,
  /** A token in a variable or file; real ones have well below 200 bytes. */
  tokenBytesMax: 4 * KiB,

  // A build
  /** Last lines of a command that failed: what went wrong is mostly said there. */
  buildLinesShown: 20,
  /** A line of a command's output; what is longer is cut into several. */
  buildLineCharsMax: 4 * KiB,
  /** A command that is told to stop may tidy up this long before it is killed. */
  buildKillGraceMs: 5 * second,
  /** Asking a tool for its version; one that downloads itself first is not waited for. */
  toolVersionTimeoutMs: 10 * second,
  /** The build file: a few commands and patterns. */
  buildFileBytesMax: 64 * KiB,

  // The doctor
  /** A program that is asked what it is; one that hangs must not keep the rest from being said. */
  doctorProgramTimeoutMs: 10 * second,
  /** nginx's whole configuration: some hosts have thousands of servers. */
  doctorOutputBytesMax: 64 * MiB,

  // Trust: read before anything in it is trusted
  /** A statement names one release and where it may run: well below 2 KiB. */
  statementBytesMax: 16 * KiB,
  statementEnvironmentsMax: 64,
  /** The largest statement in base64, and its signatures. */
  envelopeBytesMax: 64 * KiB,
  /** More people than ever sign one release; each signature costs a check. */
  envelopeSignaturesMax: 16,
  /** An SSH signature by an Ed25519 key has below 200 bytes. */
  signatureBytesMax: 1 * KiB,
  /** A private key with a comment, in whichever form. */
  privateKeyBytesMax: 16 * KiB,
  /** What an ssh-agent answers; its own limit. */
  sshAgentAnswerBytesMax: 256 * KiB,
  /** An ssh-agent may ask somebody to agree, or to touch a token. */
  sshAgentTimeoutMs: 2 * minute,
  /** How long a statement is good, unless another time is asked for. */
  statementMs: 90 * 24 * 60 * minute,
  /** An Ed25519 key with a comment. */
  publicKeyCharsMax: 1 * KiB,
  trustFileBytesMax: 64 * KiB,
  trustKeysMax: 64,
  /** Releases a host remembers having run, and may be returned to. */
  standingReleasesMax: 64,
  /** More than a host ever keeps on its disk; what is forgotten is verified again. */
  verifiedReleasesMax: 256,
  /** A statement is some kilobytes: from the first byte asked for to the last. */
  statementFetchMs: 20 * second,

  // The audit trail
  /** What an entry says beyond who, what, where and why; every deed says less. */
  auditDetailsBytesMax: 4 * KiB,
  /** Entries that one page of a filtered list looks at: some milliseconds. */
  auditSeenMax: 2_000,
  /** A line of an export: its details, and names that all have limits of their own. */
  auditLineBytesMax: 64 * KiB,
  /** How old a head of the trail may be that agents are told. */
  auditHeadEveryMs: 30 * second,
  /** Heads that a host keeps: some 13 KB. */
  auditAnchorsKept: 200,
  /** The same attempt again within this time is counted, not told; the time doubles while it goes on. */
  denialWindowMs: minute,
  denialWindowMaxMs: 60 * minute,
  /** Attempts that are told apart at a time, of strangers and of others each: more are a flood. */
  denialWindowsMax: 100,
  /** Entries of each at once, and then one in this time: 3,000 a day, 2 MB at most. */
  denialEntriesMax: 100,
  denialEntryEveryMs: 30 * second,
  /** All attempts beyond that make one entry in this time. */
  denialOthersMs: 10 * minute,

  // Lists
  pageItemsMax: 500,
  /** Releases named to agents as the order in which clean-up keeps them. */
  historyItemsMax: 50,
  /** Once runs that are remembered per environment; what is not done is never forgotten. */
  onceRecordsMax: 200,
  /** Waves of one rollout: more is a rolling update, host by host. */
  wavesMax: 20,
  hostsPerEnvironmentMax: 10_000,
  appsPerHostMax: 64,
  /** Labels of one host, each with a name and a value: they are for choosing among hosts. */
  labelsPerHostMax: 32,
  /** Why somebody did something, or who it was, as everybody is shown it. */
  reasonCharsMax: 200,
} as const
