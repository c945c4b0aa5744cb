// The part of the configuration that says what runs on this host around an activation, and as what.
// Only this file can name a program or a unit: no message does. docs/configuration.md, "Hooks".

import { limits } from '#shared/limits.ts'
import { durationOf } from './config-durations.ts'
import { type MistakeList, shownValue, type Table } from './config-mistakes.ts'

export const hookNames = [
  'after-stage',
  'before-activate',
  'after-activate',
  'on-rollback',
  'on-failure',
] as const
export type HookName = (typeof hookNames)[number]

/** A program with its arguments: no shell reads them. */
export interface ProgramCommand {
  readonly kind: 'run'
  /** Absolute; or with a slash, inside the release; or a bare name, looked for in PATH. */
  readonly program: string
  readonly args: readonly string[]
}

export type HookCommand =
  | ProgramCommand
  /** A template of systemd's that root owns: `name@.service`. */
  | { readonly kind: 'unit'; readonly template: string }

export interface HookConfig {
  readonly command: HookCommand
  readonly timeoutMs: number
}

/** What a fleet runs once for each release: a migration. */
export interface OnceConfig extends HookConfig {
  readonly whenRollingBack: boolean
}

export type HooksConfig = Readonly<Partial<Record<HookName, HookConfig>>>

const hookKeys = ['run', 'unit', 'timeout']
const hookTimes = {
  minMs: limits.hookTimeoutMinMs,
  maxMs: limits.hookTimeoutMaxMs,
  defaultMs: limits.hookTimeoutDefaultMs,
}
const onceTimes = {
  minMs: limits.hookTimeoutMinMs,
  maxMs: limits.declaredMsMax,
  defaultMs: limits.onceDeadlineMs,
}
const templatePattern = /^[0-9A-Za-z:_.][0-9A-Za-z:_.\\-]{0,100}@\.service$/
const runExample = 'a program and its arguments, such as ["bin/console", "cache:warmup"]'
const unitExample = 'the name of a template unit, such as "shop-migrate@.service"'

/** @param at the path of the app's section */
export function hooksOf(table: Table, at: string, mistakes: MistakeList): HooksConfig {
  if (!Object.hasOwn(table, 'hooks')) return {}
  const hooks = mistakes.table(table, 'hooks', at, `sections [${at}.hooks.NAME]`)
  if (hooks === undefined) return {}
  mistakes.refuseUnknownKeys(hooks, `${at}.hooks`, hookNames)
  const found = hookNames.flatMap((name): [HookName, HookConfig][] => {
    if (!Object.hasOwn(hooks, name)) return []
    const path = `${at}.hooks.${name}`
    const hook = mistakes.table(hooks, name, `${at}.hooks`, `a section [${path}]`)
    if (hook === undefined) return []
    mistakes.refuseUnknownKeys(hook, path, hookKeys)
    const command = commandOf(hook, path, mistakes)
    const timeoutMs = durationOf(hook, 'timeout', path, hookTimes, mistakes)
    return command === undefined ? [] : [[name, { command, timeoutMs }]]
  })
  return Object.fromEntries(found)
}

/** @returns null without the section, and after noting that it names nothing to run */
export function onceOf(table: Table, at: string, mistakes: MistakeList): OnceConfig | null {
  if (!Object.hasOwn(table, 'once')) return null
  const path = `${at}.once`
  const once = mistakes.table(table, 'once', at, `a section [${path}]`)
  if (once === undefined) return null
  mistakes.refuseUnknownKeys(once, path, [...hookKeys, 'when-rolling-back'])
  const command = commandOf(once, path, mistakes)
  const timeoutMs = durationOf(once, 'timeout', path, onceTimes, mistakes)
  const whenRollingBack = mistakes.flag(once, 'when-rolling-back', path, false)
  return command === undefined ? null : { command, timeoutMs, whenRollingBack }
}

/** Of the key `run`. @returns undefined after noting a mistake */
export function programOf(
  table: Table,
  at: string,
  mistakes: MistakeList,
): ProgramCommand | undefined {
  const key = `${at}.run`
  const words = mistakes.texts(table, 'run', at, runExample)
  const [program, ...args] = words.map(({ text }) => text)
  const found = words.find(({ text }) => text.length > limits.hookWordCharsMax)
  const problem = !Array.isArray(table['run'])
    ? null
    : table['run'].length === 0
      ? 'is empty'
      : words.length > limits.hookWordsMax
        ? `has ${words.length} words, over ${limits.hookWordsMax}`
        : found !== undefined
          ? `has a word of ${found.text.length} characters, over ${limits.hookWordCharsMax}`
          : words.some(({ text }) => text.includes('\0'))
            ? 'has a NUL character, which no program can be given'
            : program === undefined
              ? null
              : problemOfProgram(program)
  if (problem !== null) mistakes.add(key, problem, runExample)
  return program === undefined || problem !== null ? undefined : { kind: 'run', program, args }
}

function problemOfProgram(program: string): string | null {
  if (program === '' || program.endsWith('/')) return `names no program but ${shownValue(program)}`
  if (program.startsWith('/')) return null
  const isLeaving = program.split('/').includes('..')
  return isLeaving ? `${shownValue(program)} leads out of the release` : null
}

function commandOf(table: Table, at: string, mistakes: MistakeList): HookCommand | undefined {
  const hasRun = Object.hasOwn(table, 'run')
  const hasUnit = Object.hasOwn(table, 'unit')
  if (hasRun === hasUnit) {
    const problem = hasRun ? 'has both run and unit' : 'has neither run nor unit'
    mistakes.add(at, problem, `either run, ${runExample}, or unit, ${unitExample}`)
    return undefined
  }
  return hasRun ? programOf(table, at, mistakes) : templateOf(table, at, mistakes)
}

function templateOf(table: Table, at: string, mistakes: MistakeList): HookCommand | undefined {
  const template = mistakes.text(table, 'unit', at, unitExample)
  if (template === undefined) return undefined
  if (templatePattern.test(template)) return { kind: 'unit', template }
  mistakes.add(`${at}.unit`, `${shownValue(template)} is no name of a template unit`, unitExample)
  return undefined
}
