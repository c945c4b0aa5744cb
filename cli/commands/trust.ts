// `lockstep trust check`: what a trust file asks for, and what of it will not work, before a host follows
// it. Changes nothing and needs no controller.

import type { Command } from 'commander'
import { limits } from '#shared/limits.ts'
import {
  countsAt,
  parseTrustPolicy,
  type Rule,
  type TrustedKey,
} from '#shared/trust/trust-policy.ts'
import { readGivenFile } from '../given-file.ts'
import { instantText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import { good, warning } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'

export function addTrust(program: Command, run: RunJob): void {
  program
    .command('trust')
    .description('look at trust files')
    .command('check')
    .description('say what a trust file asks for, and what of it will not work')
    .argument('<file>', 'such as /etc/lockstep/trust.json')
    .option('--json', 'print keys, environments and notes as JSON')
    .action((file: string, { json }: { json?: true }) =>
      run((session) => check(session, file, json === true)),
    )
}

async function check(
  { terminal, clock }: Session,
  path: string,
  json: boolean,
): Promise<undefined> {
  const { content, mode } = await readGivenFile(path, 'the trust file', limits.trustFileBytesMax)
  const { version, keys, rules } = parseTrustPolicy(content)
  const now = clock.now()
  const notes = [...modeNotes(mode), ...keyNotes(keys, rules), ...ruleNotes(rules, now)]
  if (json) {
    const environments = [...rules].map(([environment, rule]) => ruleFacts(environment, rule))
    const shown = keys.map(({ name, key, notBeforeAt, notAfterAt }) => {
      return { name, id: key.id, notBeforeAt, notAfterAt }
    })
    terminal.json({ version, keys: shown, environments, notes })
    return
  }
  terminal.line([good('good'), ` ${path}, version ${version}`])
  const asked = [...rules].map(([environment, rule]) => {
    const { policy, threshold, keys: names } = ruleFacts(environment, rule)
    return [environment, policy, policy === 'off' ? '' : `${threshold} of ${names.join(', ')}`]
  })
  terminal.lines(table(['ENVIRONMENT', 'POLICY', 'SIGNATURES'], asked))
  const rows = keys.map((key) => [key.name, key.key.id, validText(key)])
  terminal.lines(table(['KEY', 'ID', 'COUNTS'], rows))
  for (const note of notes) terminal.note([warning('note'), `: ${note}`])
}

interface RuleFacts {
  readonly environment: string
  readonly policy: Rule['policy']
  readonly threshold: number
  /** Their names. */
  readonly keys: readonly string[]
}

function ruleFacts(environment: string, rule: Rule): RuleFacts {
  if (rule.policy === 'off') return { environment, policy: 'off', threshold: 0, keys: [] }
  const { policy, threshold, keys } = rule
  return { environment, policy, threshold, keys: keys.map(({ name }) => name) }
}

function validText({ notBeforeAt, notAfterAt }: TrustedKey): string {
  const from = notBeforeAt === null ? [] : [`from ${instantText(notBeforeAt)}`]
  const until = notAfterAt === null ? [] : [`until ${instantText(notAfterAt)}`]
  return [...from, ...until].join(' ') || 'always'
}

function modeNotes(mode: number | null): string[] {
  if (mode === null || (mode & 0o022) === 0) return []
  return [`others may write it (mode 0${mode.toString(8)}): a host lets nothing in by such a file`]
}

function keyNotes(keys: readonly TrustedKey[], rules: ReadonlyMap<string, Rule>): string[] {
  const asked = new Set([...rules.values()].flatMap((rule) => ('keys' in rule ? rule.keys : [])))
  return keys
    .filter((key) => !asked.has(key))
    .map(({ name }) => `no environment asks for the key "${name}"`)
}

function ruleNotes(rules: ReadonlyMap<string, Rule>, now: number): string[] {
  const unmet = [...rules].flatMap(([environment, rule]) => {
    if (rule.policy === 'off') return []
    const counting = rule.keys.filter((key) => countsAt(key, now)).length
    if (counting >= rule.threshold) return []
    return [
      `"${environment}" asks for ${rule.threshold} signatures; keys that count now: ${counting}`,
    ]
  })
  if (rules.has('*')) return unmet
  return [...unmet, 'there is no "*": in an environment that is not named nothing is let in']
}
