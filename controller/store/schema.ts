// The tables, as Kysely sees them. Booleans are 0/1, times epoch milliseconds, documents JSON text:
// the same queries run on SQLite and on PostgreSQL.

import type { Generated } from 'kysely'

export interface EnvironmentRow {
  app: string
  environment: string
  /** Compare-and-set: every save replaces the revision that it read. */
  revision: number
  /** The record without members and participants, which have rows of their own. */
  record: string
}

export interface MemberRow {
  app: string
  environment: string
  host: string
  name: string
}

export interface DecisionRow {
  app: string
  environment: string
  term: number
  epoch: number
  hash: string
  kind: string
  rollout: string | null
  wave: number | null
  decision: string
  decided_at: number
}

export interface RolloutRow {
  id: string
  number: Generated<number>
  app: string
  environment: string
  phase: string
  request_key: string | null
  started_at: number
  /** The tree digest of its target. */
  tree: string
  /** What its end says of that release in this environment; null where it says nothing. */
  verdict: 'committed' | 'failed' | null
  /** The rollout without its participants. */
  rollout: string
}

export interface ParticipantRow {
  rollout: string
  host: string
  wave: number
  counted: number
  participant: string
}

export interface FactRow {
  id: Generated<number>
  at: number
  app: string
  environment: string
  type: string
  rollout: string | null
  host: string | null
  text: string
}

export interface ReleaseRow {
  app: string
  version: string
  number: number
  tree: string
  artifact: string
  artifact_bytes: number
  tree_bytes: number
  entries: number
  published_at: number
  published_by: string
  statement: string | null
  sequence: number | null
  /** What its descriptor requires of hosts. */
  requires: string | null
  /** Null while it is there. The row stays: a version never means two trees. */
  removed_at: number | null
  removed_by: string | null
}

export interface HostRow {
  id: string
  name: string
  /** Raw Ed25519 public key, base64url. */
  public_key: string
  enrolled_at: number
  /** As its agent said last: a JSON object. */
  labels: Generated<string>
  /** When two agents were found to use its identity; null while one does. */
  cloned_at: Generated<number | null>
}

export interface HostAppRow {
  host: string
  app: string
  environment: string
}

export interface TokenRow {
  id: string
  kind: 'join' | 'api'
  /** SHA-256 of the secret; the secret itself is never stored. */
  secret_hash: string
  /** Of an API token: JSON of what it allows where. */
  grants: string
  /** Who holds it, where that was said. */
  owner: string | null
  apps: string
  created_at: number
  expires_at: number
  uses_max: number | null
  used: number
  last_used_at: number | null
}

/** What people decided about an environment; no row means nothing. */
export interface EnvironmentSettingRow {
  app: string
  environment: string
  /** JSON of who froze it, when and why; null while it is not frozen. */
  freeze: string | null
  /** The environment in which a release has to be committed first. */
  requires: string | null
  approvals: Generated<number>
}

/** A request that waits, or waited, for another person. */
export interface ApprovalRow {
  number: Generated<number>
  id: string
  app: string
  environment: string
  what: 'deploy' | 'promote' | 'rollback'
  version: string
  tree: string
  /** JSON, canonical. */
  policy: string
  requested_by: string
  owner: string | null
  why: string | null
  request_key: string | null
  requested_at: number
  expires_at: number
  state: 'waiting' | 'approving' | 'approved' | 'withdrawn' | 'declined' | 'void'
  decided_by: string | null
  decided_at: number | null
  rollout: string | null
}

/** What hooks of hosts have said in a rollout, some lines a row. */
export interface HookOutputRow {
  id: Generated<number>
  app: string
  environment: string
  rollout: string
  host: string
  at: number
  hook: string
  stream: 'out' | 'err'
  text: string
  truncated: number
}

/** One entry of the audit trail: never changed, never deleted. */
export interface AuditRow {
  /** From 1, without a gap. */
  sequence: number
  at: number
  who: string
  what: string
  app: string | null
  environment: string | null
  why: string | null
  outcome: 'done' | 'denied'
  /** Canonical JSON. */
  details: string
  /** Over the hash of the entry before it and everything above. */
  hash: string
}

export interface SettingRow {
  name: string
  value: string
}

export interface Tables {
  environment: EnvironmentRow
  member: MemberRow
  decision: DecisionRow
  rollout: RolloutRow
  participant: ParticipantRow
  fact: FactRow
  release: ReleaseRow
  host: HostRow
  host_app: HostAppRow
  token: TokenRow
  environment_setting: EnvironmentSettingRow
  hook_output: HookOutputRow
  approval: ApprovalRow
  audit: AuditRow
  setting: SettingRow
}
