// What `install` and `uninstall` have in common: the report of what was done on this machine.

import type { InstallReport } from '#systemd/report.ts'
import { bold, warning } from '../output/text.ts'
import type { Session } from '../session.ts'

export function tellReport({ terminal }: Session, report: InstallReport, json: boolean): void {
  const { role, program, steps, notes } = report
  if (json) {
    terminal.json(report)
    return
  }
  terminal.lines(steps)
  const state = program === null ? 'is not installed' : `is installed, version ${program}`
  const isSame = steps.length === 0 ? '; there was nothing to do' : ''
  terminal.line([bold(`the ${role} ${state}`), isSame])
  for (const note of notes) terminal.line([warning('note'), `: ${note}`])
}
