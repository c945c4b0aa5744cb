// What an operator does to one app on the host itself: what is asked, and what is told of it. The
// command asks, the agent's own code does it; both know these words only.

export interface AppPlace {
  readonly app: string
  /** The agent's configuration, which says where the app's root is. */
  readonly configFile: string
}

export interface HostApps {
  adopt(request: AdoptRequest): Promise<AdoptReport>
  hold(request: AppPlace & { reason: string }): Promise<HoldReport>
  unhold(request: AppPlace): Promise<HoldReport>
  link(request: AppPlace & { directory: string }): Promise<LinkReport>
  unlink(request: AppPlace): Promise<LinkReport>
  attest(request: AppPlace & { deep: boolean }): Promise<AttestReport>
  /** @param request `directory`: where to leave the list for the agent; null: nowhere */
  listUsage(request: AppPlace & { directory: string | null }): Promise<UsageReport>
}

/** What the one who asks knows of the machine that this is. */
export interface HostAppsContext {
  /** Who asks, for the reason of a hold. */
  readonly person: string
  /** The effective user of this process. */
  readonly uid: number
  /** Epoch milliseconds. */
  readonly now: () => number
  /** The agent's own user; null where it is not installed. */
  readonly account: () => Promise<{ readonly uid: number; readonly gid: number } | null>
  /** Whether an agent uses this state directory now. */
  readonly isAgentRunning: (state: string) => Promise<boolean>
}

export interface AdoptRequest extends AppPlace {
  readonly dryRun: boolean
  /** A moment without `current` is accepted where this host cannot do without. */
  readonly acceptGap: boolean
  /** Directories that the agent must own may be handed over to it. */
  readonly chown: boolean
}

export interface AdoptReport {
  readonly app: string
  readonly root: string
  /** Who made what stands at `current`; `lockstep`: there is nothing left to adopt. */
  readonly found: 'capistrano' | 'deployer' | 'releases' | 'link' | 'directory' | 'lockstep'
  /** The text of `current` afterwards: where a first rollout goes back to. */
  readonly current: string
  readonly dryRun: boolean
  readonly shared: readonly FoundSharedPath[]
  /** For the app's section of agent.toml; null where that says all of it. */
  readonly sharedLine: string | null
  /** What was done, or would be. */
  readonly steps: readonly string[]
  /** What is left for the operator to do. */
  readonly todo: readonly string[]
  readonly undo: readonly string[]
  /** How long `current` was not there; null where it always was. */
  readonly gapMs: number | null
}

export interface FoundSharedPath {
  /** In the release. */
  readonly path: string
  readonly type: 'file' | 'directory' | 'missing'
  /** Below `shared/`: Lockstep links only what has the same path there. */
  readonly target: string
}

export interface HoldReport {
  readonly app: string
  /** Why the app is held now; null when it is not. */
  readonly hold: string | null
  /** Why it was before. */
  readonly before: string | null
  readonly agentRuns: boolean
}

export interface LinkReport extends HoldReport {
  readonly root: string
  /** The texts of `current` now and before; null for none. */
  readonly current: string | null
  readonly replaced: string | null
}

export interface AttestReport {
  readonly app: string
  readonly root: string
  /** What `current` says; null when it is no link. */
  readonly current: string | null
  readonly deep: boolean
  readonly releases: readonly AttestedRelease[]
}

export interface AttestedRelease {
  readonly version: string
  readonly tree: string | null
  readonly isCurrent: boolean
  readonly outcome: 'whole' | 'drifted' | 'unrecorded'
  readonly differences: readonly { readonly path: string; readonly kind: string }[]
  /** Names that the release does not have. */
  readonly extras: readonly string[]
}

export interface UsageReport {
  readonly app: string
  readonly root: string
  /** Where the list was written to. */
  readonly file: string | null
  readonly directories: readonly string[]
  readonly used: readonly { readonly path: string; readonly pid: number; readonly how: string }[]
  /** Processes that could not be looked into, so that more may be in use. */
  readonly unseenCount: number
}
