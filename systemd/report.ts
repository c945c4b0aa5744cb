// What an installation or its undoing did, for people and for programs. Only words.

import type { Role } from './host.ts'

export interface InstallReport {
  readonly role: Role
  /** The program's name under /opt/lockstep/versions; null when nothing is installed any more. */
  readonly program: string | null
  /** What was done, in order; empty when there was nothing to do. */
  readonly steps: readonly string[]
  /** What the operator should know or do, each a whole sentence. */
  readonly notes: readonly string[]
}

/** One line for each step and note, without a line end. */
export function formatInstallReport(report: InstallReport): string {
  return [...report.steps, ...report.notes.map((note) => `note: ${note}`)].join('\n')
}
