// `lockstep doctor`: what on this host would disturb a swap, and what to do about it. Asks no controller but
// for its time; looking and judging are the agent's.

import type { Command } from 'commander'
import type { Finding } from '#shared/finding.ts'
import { countText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import { bad, dim, good, type Styled, type Text, warning } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'

interface DoctorOptions {
  readonly config: string
  readonly json?: true
}

const words: Readonly<Record<Finding['outcome'], Styled>> = {
  ok: good('ok'),
  warn: warning('warn'),
  fail: bad('fail'),
  unknown: dim('unknown'),
}

export function addDoctor(program: Command, run: RunJob): void {
  program
    .command('doctor')
    .description('look at this host for what would disturb a swap, and say what to do')
    .option('--config <file>', 'the agent’s configuration', '/etc/lockstep/agent.toml')
    .option('--json', 'print every finding as JSON')
    .action(({ config, json }: DoctorOptions) =>
      run(async (session) => {
        const findings = await session.examineHost({ configFile: config })
        if (json) session.terminal.json({ items: findings })
        else tellFindings(session, findings)
        return findings.some(({ outcome }) => outcome === 'fail') ? 1 : 0
      }),
    )
}

function tellFindings({ terminal }: Session, findings: readonly Finding[]): void {
  const rows = findings.map(({ outcome, app, check, found }): Text[] => [
    words[outcome],
    app ?? '',
    check,
    found,
  ])
  terminal.lines(table(['', 'APP', 'CHECK', 'FOUND'], rows))
  const remedies = findings.filter(({ remedy }) => remedy !== null)
  if (remedies.length > 0) terminal.line()
  for (const { outcome, app, check, remedy } of remedies) {
    const place = app === null ? check : `${app}, ${check}`
    terminal.line([words[outcome], ` ${place}: ${remedy ?? ''}`])
  }
  const count = (outcome: Finding['outcome']) =>
    findings.filter((finding) => finding.outcome === outcome).length
  terminal.line()
  terminal.line(
    `${countText(findings.length, 'check')}: ${count('fail')} failed, ` +
      `${count('warn')} doubtful, ${count('unknown')} unknown`,
  )
}
