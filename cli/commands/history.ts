// `lockstep history`: the rollouts of an environment, newest first.

import type { Command } from 'commander'
import type { FactView, RolloutView } from '#shared/api/schemas.ts'
import { durationText, instantText } from '../output/quantities.ts'
import { bad, good, type Text, warning } from '../output/text.ts'
import { whyText } from '../follow/reasons.ts'
import type { RunJob } from '../session.ts'
import { readList, tellList } from './long-list.ts'
import { appArgument, environmentOption, withJson } from './place.ts'

interface HistoryOptions {
  readonly env: string
  readonly all?: true
  readonly facts?: true
  readonly json?: true
}

export function addHistory(program: Command, run: RunJob): void {
  const command = program
    .command('history')
    .description('list the rollouts of an environment, newest first')
    .addArgument(appArgument())
    .addOption(environmentOption())
    .option('--facts', 'everything that was recorded there, decisions of people too')
    .option('--all', 'all of them, not only the newest')
  withJson(command, 'the list').action((app: string, options: HistoryOptions) =>
    run(async (session) => {
      const client = session.client()
      const place = { app, environment: options.env }
      if (options.facts) {
        const facts = await readList((after) => client.facts(place, after), options.all === true)
        if (options.json) session.terminal.json(facts)
        else tellList(session.terminal, facts, { ...options, ...factWords })
        return undefined
      }
      const list = await readList((after) => client.rollouts(place, after), options.all === true)
      if (options.json) session.terminal.json(list)
      else tellList(session.terminal, list, { ...options, noun: 'rollout', headings, row })
      return undefined
    }),
  )
}

const factWords = {
  noun: 'fact',
  headings: ['AT', 'WHAT', 'FACT'],
  row: ({ at, type, text }: FactView): Text[] => [instantText(at), type, text],
}

const headings = ['STARTED', 'FROM', 'TO', 'END', 'HOSTS', 'SKEW', 'TOOK', 'BY', 'WHY']

function row(view: RolloutView): Text[] {
  const { fallback, target, participants, skewMs, startedAt, endedAt, requestedBy, reason } = view
  const { targetFailed } = view
  return [
    instantText(startedAt),
    fallback?.version ?? '-',
    targetFailed === undefined || targetFailed === null
      ? target.version
      : [target.version, bad(' (failed)')],
    phaseCell(view),
    String(participants.length),
    skewMs === null ? '-' : durationText(skewMs),
    endedAt === null ? '-' : durationText(endedAt - startedAt),
    requestedBy,
    reason === null || reason === 'all-healthy' ? '' : (whyText(view) ?? ''),
  ]
}

/** The phase, with what the exit code of `deploy` told beyond it. */
export function phaseCell({ phase, unknown }: RolloutView): Text {
  switch (phase) {
    case 'committed':
      return good(phase)
    case 'rolled-back':
      return unknown.length === 0 ? warning(phase) : bad(`${phase}, ${unknown.length} unknown`)
    case 'failed':
      return bad(phase)
    case 'aborted':
      return warning(phase)
    case 'staging':
    case 'preparing':
    case 'activating':
    case 'verifying':
    case 'rolling-back':
      return phase
  }
}
