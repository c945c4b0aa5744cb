// The options of how a rollout goes about it, which `deploy`, `promote` and `plan` take alike, and the
// body that they make.

import { type Command, Option } from 'commander'
import type { Policy, WaveBody } from '#shared/api/requests.ts'
import { limits } from '#shared/limits.ts'
import { misuse, parseDuration, parseExclude, parseRequire } from '../arguments.ts'
import { durationText } from '../output/quantities.ts'
import { parseCanary, parseOn, parseSoak, parseWave } from '../wave-arguments.ts'

export interface PolicyOptions {
  /** Milliseconds. */
  readonly wait?: number
  readonly require?: string
  readonly exclude?: Record<string, string>
  readonly on?: string[]
  readonly canary?: WaveBody
  /** Milliseconds. */
  readonly soak?: number
  readonly wave?: WaveBody[]
  readonly once?: 'done' | 'run'
  readonly force?: true
  readonly allowEmpty?: true
}

export function addPolicyOptions(command: Command): Command {
  return command
    .option(
      '--require <hosts>',
      'how many must be ready: all, a number, or a percentage such as 60%',
      parseRequire,
    )
    .option(
      '--wait <duration>',
      'how long hosts have to become ready, such as 90s or 10m',
      parseWait,
    )
    .option('--exclude <host=reason>', 'go without this host (repeatable)', parseExclude)
    .option('--on <labels>', 'only hosts with these labels, role=web,zone=a (repeatable)', parseOn)
    .option('--canary <hosts>', 'so many hosts first: a number, or a percentage', parseCanary)
    .option(
      '--soak <duration>',
      'how long the canary rests; without it that waits for `lockstep continue`',
      parseSoak,
    )
    .option(
      '--wave <name=hosts>',
      'a wave of its own: labels, a number or a percentage, with :SOAK (repeatable)',
      parseWave,
    )
    .addOption(
      new Option(
        '--once <answer>',
        'of the once run: it was done otherwise, or runs again',
      ).choices(['done', 'run']),
    )
    .option('--force', 'make the once run again although the last may be under way')
    .option('--allow-empty', 'even if the environment has no hosts yet')
}

export function policyOf(options: PolicyOptions): Policy {
  const { require, wait, exclude, on, once, force, allowEmpty } = options
  const waves = wavesOf(options)
  return {
    ...(require === undefined ? {} : { require }),
    ...(wait === undefined ? {} : { waitMs: wait }),
    ...(exclude === undefined ? {} : { exclude }),
    ...(on === undefined ? {} : { on }),
    ...(waves.length === 0 ? {} : { waves }),
    ...(once === undefined ? {} : { once }),
    ...(force === undefined ? {} : { force }),
    ...(allowEmpty === undefined ? {} : { allowEmpty }),
  }
}

function wavesOf({ canary, soak, wave = [], force, once }: PolicyOptions): WaveBody[] {
  if (soak !== undefined && canary === undefined) {
    throw misuse('--soak is given without --canary', 'A wave has its own: --wave NAME=HOSTS:SOAK.')
  }
  if (force === true && once !== 'run') {
    throw misuse('--force is given without --once run', 'It is for repeating a once run only.')
  }
  if (canary === undefined) return wave
  return [{ ...canary, ...(soak === undefined ? {} : { soakMs: soak }) }, ...wave]
}

function parseWait(text: string): number {
  const waitMs = parseDuration(text)
  if (waitMs <= limits.stageDeadlineMs) return waitMs
  throw misuse(
    `--wait ${text} is longer than hosts may stage, ${durationText(limits.stageDeadlineMs)}`,
    'Hosts that are not ready by then catch up by themselves after a later deploy.',
  )
}
