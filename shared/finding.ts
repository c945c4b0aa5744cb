// What `lockstep doctor` finds on a host. The agent's code looks and judges, the command shows; both know
// these words only.

export interface Finding {
  /** What was looked at. */
  readonly check:
    | 'configuration'
    | 'service'
    | 'systemd'
    | 'polkit'
    | 'files'
    | 'controller'
    | 'clock'
    | 'mount'
    | 'layout'
    | 'space'
    | 'rights'
    | 'trust'
    | 'current'
    | 'processes'
    | 'nginx'
    | 'php'
  /** Null for what concerns the host as a whole. */
  readonly app: string | null
  /** `unknown`: it could not be looked at, which is neither good nor bad. */
  readonly outcome: 'ok' | 'warn' | 'fail' | 'unknown'
  readonly found: string
  /** What to do; null where there is nothing to do. */
  readonly remedy: string | null
}

/** What a judgement says; who asked for it knows what it is about. */
export type Judgement = Pick<Finding, 'outcome' | 'found' | 'remedy'>

export const ok = (found: string): Judgement => ({ outcome: 'ok', found, remedy: null })
export const warn = (found: string, remedy: string): Judgement => ({
  outcome: 'warn',
  found,
  remedy,
})
export const fail = (found: string, remedy: string): Judgement => ({
  outcome: 'fail',
  found,
  remedy,
})
export const unknown = (found: string, remedy: string): Judgement => ({
  outcome: 'unknown',
  found,
  remedy,
})

/** @param request `configFile`: the agent's configuration */
export type ExamineHost = (request: { configFile: string }) => Promise<readonly Finding[]>
