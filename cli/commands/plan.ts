// `lockstep plan`: what a deploy would do, as the controller's own planner says it. Changes nothing.

import type { Command } from 'commander'
import type { PlannedHost, PlanView } from '#shared/api/plan.ts'
import { limits } from '#shared/limits.ts'
import { waveText } from '../follow/wave-words.ts'
import { bytesText, countText, namesText } from '../output/quantities.ts'
import { facts, table } from '../output/table.ts'
import { bad, bold, good, type Text, warning } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { appArgument, environmentOption, versionArgument, withJson } from './place.ts'
import { addPolicyOptions, type PolicyOptions, policyOf } from './policy-options.ts'

interface PlanOptions extends PolicyOptions {
  readonly env: string
  readonly json?: true
}

export function addPlan(program: Command, run: RunJob): void {
  const command = program
    .command('plan')
    .description('say what a deploy with the same options would do, and do nothing')
    .addArgument(appArgument())
    .addArgument(versionArgument())
    .addOption(environmentOption())
  withJson(addPolicyOptions(command), 'the plan').action(
    (app: string, version: string, options: PlanOptions) =>
      run((session) => showPlan(session, { app, version }, options)),
  )
}

/** @returns 1 where the deploy would be refused */
async function showPlan(
  session: Session,
  { app, version }: { app: string; version: string },
  options: PlanOptions,
): Promise<number> {
  const place = { app, environment: options.env }
  const plan = await session.client().plan(place, { version, ...policyOf(options) })
  if (options.json) session.terminal.json(plan)
  else session.terminal.lines(planLines(plan))
  return plan.refusal === null ? 0 : 1
}

export function planLines(plan: PlanView): Text[] {
  const { notes, hosts, refusal } = plan
  return [
    headline(plan),
    ...(refusal === null ? [] : refusalLines(refusal)),
    ...facts([
      ['aborts', plan.supersedes === null ? undefined : `the rollout to ${plan.supersedes}`],
      ['goes back to', hosts.length === 0 ? undefined : fallbackText(plan)],
      ['barrier', barrierText(plan)],
      ...waveRows(plan),
      ['once', plan.once === null ? undefined : `${plan.once.name} makes the once run first`],
      ...plan.excluded.map(({ name, reason }) => ['excluded', `${name}: ${reason}`] as const),
      ...plan.drained.map(({ name, reason }) => ['drained', `${name}: ${reason}`] as const),
      ['fetches', hosts.length === 0 ? undefined : fetchesText(hosts)],
    ]),
    ...notes.map((note): Text => [warning('note'), `: ${note}`]),
    ...table(['HOST', 'WAVE', 'STATE', 'RUNS', 'FETCHES'], hosts.map(row)),
  ]
}

function headline({ app, environment, release, outcome, refusal }: PlanView): Text {
  const what = `${app} ${release.version} in ${environment}`
  if (refusal !== null) return [bad('would be refused'), `: ${what}`]
  switch (outcome) {
    case 'started':
      return [bold('would start'), `: a rollout of ${what}`]
    case 'included':
      return [bold('would include'), `: hosts that were excluded come to ${what}`]
    case 'open':
      return [good('open'), `: a rollout of ${what} is under way already`]
    case 'returned':
      return [bold('would return'), `: the open rollout is aborted; ${what} stays`]
    case 'unchanged':
    case 'refused':
      return [good('unchanged'), `: ${what} is committed already`]
  }
}

function refusalLines({ code, message, hint }: NonNullable<PlanView['refusal']>): Text[] {
  return [`  ${message} (${code})`, ...(hint === undefined ? [] : [`  what to do: ${hint}`])]
}

function fallbackText({ fallback }: PlanView): string {
  return fallback === null ? 'what each host ran before' : fallback.version
}

function barrierText({ hosts, hostsMin, require }: PlanView): string | undefined {
  if (hosts.length === 0) return undefined
  return require === 'all'
    ? `opens when ${hosts.length === 1 ? 'the one host is' : `all ${hosts.length} hosts are`} ready`
    : `needs ${hostsMin} of ${countText(hosts.length, 'host')} (${require})`
}

/** Only where there are several. */
function waveRows({ waves, hosts }: PlanView): (readonly [string, string])[] {
  if (waves.length < 2) return []
  return waves.map((wave, index) => {
    const names = hosts.filter((host) => host.wave === index).map(({ name }) => name)
    const isLast = index === waves.length - 1
    return [`wave ${index + 1}`, waveText(wave, namesText(names, limits.namesShown), isLast)]
  })
}

function fetchesText(hosts: readonly PlannedHost[]): string {
  const known = hosts.flatMap(({ fetch }) => (fetch === null ? [] : [fetch.bytes]))
  const sum = bytesText(known.reduce((total, bytes) => total + bytes, 0))
  const missing = hosts.length - known.length
  const unknown = missing === 0 ? '' : `; not known of ${countText(missing, 'host')}`
  return `at most ${sum} before compression${unknown}`
}

function row({ name, wave, phase, runs, fetch }: PlannedHost): Text[] {
  return [
    name,
    `${wave + 1}`,
    phase === 'unknown' ? warning(phase) : phase,
    runs ?? (phase === 'unknown' ? warning('unknown') : 'none'),
    fetch === null
      ? warning('unknown')
      : `${bytesText(fetch.bytes)}, ${countText(fetch.files, 'file')}`,
  ]
}
