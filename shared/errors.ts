// The one error class for what the world does wrong, and the table of every code.
// A fault of the program itself is an assertion, never one of these.

interface CodeFacts {
  /** The HTTP status that the controller answers with. */
  status: number
  /** Whether the same call may succeed later without anybody changing anything. */
  retryable: boolean
  /** What happened, in one sentence; docs/errors.md lists it with what to do. */
  meaning: string
}

const permanent = (status: number, meaning: string): CodeFacts => ({
  status,
  retryable: false,
  meaning,
})
const passing = (status: number, meaning: string): CodeFacts => ({
  status,
  retryable: true,
  meaning,
})

export const errorCodes = {
  // Requests
  'bad-name': permanent(400, 'An app, environment, version, host name or digest is malformed.'),
  'bad-request': permanent(400, 'A request body, parameter or header is malformed.'),
  'bad-configuration': permanent(400, 'A configuration file or option is wrong.'),
  'bad-usage': permanent(400, 'A command was used wrongly.'),
  'exposed-secret': permanent(400, 'A token or private key stands where others could read it.'),
  'wrong-host': permanent(421, 'The request names a host that this controller does not go by.'),
  'unauthorised': permanent(401, 'No token, or one that is unknown, expired or revoked.'),
  'forbidden': permanent(403, 'The token is known but not good for this.'),
  'not-told': permanent(403, 'Nothing that the host is told now names this content.'),
  'unknown-app': permanent(404, 'No release of this app was ever published.'),
  'unknown-environment': permanent(404, 'The app has no such environment.'),
  'unknown-version': permanent(404, 'The app has no release of this version.'),
  'unknown-rollout': permanent(404, 'There is no such rollout.'),
  'unknown-host': permanent(404, 'There is no such host.'),
  'unknown-tree': permanent(404, 'No release has this tree digest.'),
  'not-found': permanent(404, 'There is nothing at this address.'),
  'too-large': permanent(413, 'A body or message is over its limit.'),
  'bad-range': permanent(416, 'The range that was asked for lies behind the end of the content.'),
  'too-many-requests': passing(429, 'Somebody calls more often than is allowed; wait.'),
  'environment-full': permanent(409, 'The environment has as many hosts as there may be.'),
  'busy': passing(503, 'The controller has too much of this under way; try again.'),
  'unreachable': passing(503, 'The controller does not answer.'),
  'wrong-pin': permanent(502, 'What answers has none of the pinned keys of the controller.'),
  'bad-answer': permanent(502, 'What answers is no controller, or of another version.'),
  'internal': permanent(500, 'The controller failed; its log says why.'),
  // Publishing
  'bad-archive': permanent(
    422,
    'The tarball is truncated, corrupt, empty or in an unknown format.',
  ),
  'refused-entry': permanent(422, 'An entry of the tarball is of a kind that is never accepted.'),
  'archive-too-large': permanent(422, 'The tarball or what it unpacks to is over a limit.'),
  'bad-manifest': permanent(422, 'A manifest is not in its canonical form.'),
  'version-exists': permanent(409, 'The version was published before with other content.'),
  'bad-descriptor': permanent(422, 'The descriptor `lockstep.json` of a release is malformed.'),
  'release-needed': permanent(409, 'An environment still needs the release.'),
  // Trust
  'bad-envelope': permanent(
    422,
    'The signed statement of a release is malformed or its signatures do not hold.',
  ),
  'bad-public-key': permanent(400, 'A public key is malformed or not fit for signing.'),
  'other-release': permanent(409, 'A statement was sent for another release than it is of.'),
  'statement-exists': permanent(
    409,
    'The release has a statement that this one would take signatures from, or a higher one.',
  ),
  'not-signed': permanent(404, 'The release has no signed statement.'),
  'bad-trust-file': permanent(400, 'A trust file is malformed or trusts nobody.'),
  'cannot-sign': permanent(
    400,
    'A private key is malformed, encrypted or readable by others, or its ssh-agent does not sign.',
  ),
  'not-trusted': permanent(
    409,
    'A signed statement is not what the trust file, or the keys that were given, ask for.',
  ),
  'false-answer': permanent(
    502,
    'The controller says of a published release what is not true of what was sent.',
  ),
  // Building
  'unclean-source': permanent(409, 'The repository has changes that are not committed.'),
  'untagged-source': permanent(409, 'No tag names the commit that is to be built.'),
  'build-failed': permanent(500, 'A release could not be built from its repository.'),
  // Desired state and rollouts
  'fenced': permanent(409, 'Hosts hold a decision that this controller does not know.'),
  'rollout-open': permanent(409, 'Another rollout of this environment is past the barrier.'),
  'no-hosts': permanent(409, 'The environment has no hosts.'),
  'nobody-selected': permanent(409, 'The policy or the exclusions leave no host.'),
  'too-few-hosts': permanent(409, 'More hosts are required than take part.'),
  'nothing-to-cancel': permanent(409, 'The rollout has ended.'),
  'not-waiting': permanent(409, 'The rollout has no further wave that could wait or go on.'),
  'nothing-to-return-to': permanent(409, 'There is no earlier committed release.'),
  'not-fenced': permanent(409, 'Recover is for a fenced environment only.'),
  'no-higher-term': permanent(409, 'A host holds the highest term there is; none can follow it.'),
  'once-unknown': permanent(
    409,
    'Whether the once run of this release happened is not known; say done or run.',
  ),
  'once-running': permanent(409, 'The once run of this release may still be under way.'),
  'unknown-approval': permanent(404, 'There is no such request for an approval.'),
  'own-request': permanent(403, 'Whoever asked for something cannot be who approves it.'),
  'approval-over': permanent(
    409,
    'The request was decided, withdrawn, void or ran out of its time.',
  ),
  'frozen': permanent(409, 'The environment is frozen.'),
  'not-promotable': permanent(409, 'The release was not committed where it has to be first.'),
  'run-required': permanent(409, 'Hosts run another release than the stored one; choose one.'),
  'key-reused': permanent(409, 'The Idempotency-Key was used for another request.'),
  'pin-not-stored': permanent(409, 'Hosts have not stored the pin of the next authority.'),
  'no-rotation': permanent(409, 'The controller\u2019s authority is not being changed.'),
  'audit-broken': permanent(
    409,
    'An audit trail is not the one that was recorded: it was changed, cut off or written anew.',
  ),
  // Enrolment and sessions
  'bad-join-token': permanent(401, 'The join token is unknown, expired or used up.'),
  'join-not-allowed': permanent(403, 'The join token is not good for this app and environment.'),
  'name-taken': permanent(409, 'Another host has this name.'),
  'bad-signature': permanent(401, 'The signature does not fit key and challenge.'),
  'cloned-identity': permanent(409, 'Two agents use one identity.'),
  'bad-message': permanent(400, 'A message of the agents\u2019 channel is malformed.'),
  'protocol-version': permanent(400, 'Agent and controller speak different protocol versions.'),
  // On a host
  'untrusted-release': permanent(
    409,
    'The host\u2019s trust file does not let the release in: the message says why.',
  ),
  'fence-conflict': permanent(409, 'Two different decisions bear one epoch.'),
  'current-is-directory': permanent(
    409,
    'There is a real directory or file where `current` should be.',
  ),
  'shared-missing': permanent(409, 'A shared file does not exist on the host.'),
  'no-space': permanent(507, 'Too few bytes or inodes are free on the host.'),
  'content-mismatch': passing(502, 'Fetched content does not hash to what the manifest says.'),
  'stalled': passing(504, 'A content stream stopped sending.'),
  'fetch-failed': passing(502, 'Content could not be fetched.'),
  'stage-failed': passing(500, 'A release could not be written on the host.'),
  'tree-drifted': permanent(409, 'A staged release is not what was staged.'),
  'activate-failed': permanent(500, 'The swap of `current` failed on the host.'),
  'reload-failed': permanent(500, 'A reload step failed on the host.'),
  'hook-failed': permanent(500, 'A hook of the host failed or could not be started.'),
  'hook-timeout': permanent(504, 'A hook of the host ran out of its time and was killed.'),
  'unhealthy': permanent(503, 'The release did not pass the health gate on the host.'),
  'unfit': permanent(409, 'The host lacks what the release requires.'),
  'on-hold': permanent(409, 'The host was told by its own operator to hold what it runs.'),
  'once-failed': permanent(500, 'The run that a fleet makes once per release failed.'),
  'not-served': permanent(
    409,
    'The host\u2019s configuration does not name this app and environment.',
  ),
  'already-running': permanent(409, 'Another process uses the same data or state directory.'),
  'bad-identity': permanent(500, 'The agent\u2019s identity file is damaged.'),
  'bad-journal': permanent(500, 'The agent\u2019s journal is damaged or of another version.'),
  'bad-database': permanent(
    500,
    'The controller\u2019s database is damaged, of a newer version or cannot be written.',
  ),
  'disk-error': permanent(500, 'The operating system refused a file operation.'),
  'usage-unknown': passing(
    503,
    'Whether processes use a release could not be learnt, so it was not removed.',
  ),
  'not-adoptable': permanent(
    409,
    'What stands in the app\u2019s root cannot be taken over as it is.',
  ),
  // Installing as a service
  'not-root': permanent(403, 'Only root may install or uninstall a service.'),
  'unsupported-host': permanent(501, 'The host lacks what a Lockstep service needs.'),
  'install-failed': permanent(500, 'A service could not be installed, started or removed.'),
} as const satisfies Record<string, CodeFacts>

export type ErrorCode = keyof typeof errorCodes

export interface ErrorOptions {
  /** What to do about it: one or two sentences. */
  hint?: string
  /** Facts for programs: JSON values only, never a secret. */
  details?: Record<string, unknown>
  cause?: unknown
}

/** What crosses the wire of an error. */
export interface WireError {
  code: ErrorCode
  message: string
  hint?: string
  details?: Record<string, unknown>
}

export class LockstepError extends Error {
  override readonly name = 'LockstepError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: Record<string, unknown> | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details
  }

  get status(): number {
    return errorCodes[this.code].status
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable
  }

  toWire(): WireError {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.details === undefined ? {} : { details: this.details }),
    }
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCodes, text)
}

/** Node's `code` of a system error (`ENOENT`), or undefined for anything else. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
