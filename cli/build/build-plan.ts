// What a build does: the build file of the commit, and the options that are stronger. Pure.
//
// It is called lockstep.build.json because it is no part of a release: `lockstep.json`, the descriptor,
// travels with every release and is read on hosts, and the two are not to be confused.

import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { checkPath } from '#shared/entry-rules.ts'
import { LockstepError } from '#shared/errors.ts'
import { misuse } from '../arguments.ts'

export const buildFileName = 'lockstep.build.json'

/** A line for the shell, or a program with its arguments. */
export type BuildCommand = string | readonly string[]

export interface BuildPlan {
  /** The directory of the repository that commands run in; empty for its top. */
  readonly directory: string
  readonly commands: readonly BuildCommand[]
  /** The directory below it that becomes the release; empty for all of it. */
  readonly pack: string
  readonly exclude: readonly string[]
}

export interface PlanOptions {
  readonly sourceSubdir?: string
  readonly command?: readonly string[]
  readonly pack?: string
  readonly exclude?: readonly string[]
}

const text = Type.String({ minLength: 1 })
const schema = Type.Object(
  {
    commands: Type.Optional(Type.Array(Type.Union([text, Type.Array(text, { minItems: 1 })]))),
    pack: Type.Optional(text),
    exclude: Type.Optional(Type.Array(text)),
  },
  { additionalProperties: false },
)
const validator = Compile(schema)

/**
 * Each option takes the place of what the file says.
 * @param file the text of the build file, or null where the commit has none
 * @throws LockstepError `bad-configuration` for the file, `bad-usage` for the options
 */
export function planBuild(file: string | null, options: PlanOptions): BuildPlan {
  const written = file === null ? {} : parseBuildFile(file)
  return {
    directory: sourceSubdirectoryOf(options),
    commands: options.command ?? written.commands ?? [],
    pack: directoryOf('--pack', options.pack, written.pack),
    exclude: [...(written.exclude ?? []), ...(options.exclude ?? [])],
  }
}

/** The directory that the build file stands in. @throws LockstepError `bad-usage` */
export function sourceSubdirectoryOf({ sourceSubdir }: PlanOptions): string {
  return directoryOf('--source-subdir', sourceSubdir, undefined)
}

/** As a shell would be given it, for people. */
export function commandText(command: BuildCommand): string {
  if (typeof command === 'string') return command
  return command
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ')
}

/** The shell stops at the first command of a line that fails. */
export function argvOf(command: BuildCommand): readonly string[] {
  return typeof command === 'string' ? ['/bin/sh', '-ec', command] : command
}

function parseBuildFile(file: string): Static<typeof schema> {
  let value: unknown
  try {
    value = JSON.parse(file)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw badFile(`is no JSON: ${error.message}`)
  }
  if (validator.Check(value)) return value
  const [mistake] = validator.Errors(value)
  if (mistake === undefined) throw badFile('is wrong')
  const where = mistake.instancePath === '' ? '' : ` at ${mistake.instancePath}`
  // What the validator says of a member that no schema allows.
  const what = mistake.message === 'schema is false' ? 'unknown key' : mistake.message
  throw badFile(`is wrong${where}: ${what}`)
}

function directoryOf(
  flag: string,
  option: string | undefined,
  written: string | undefined,
): string {
  const given = option ?? written
  if (given === undefined || given === '.') return ''
  const path = given.replace(/^\.\//, '').replace(/\/$/, '')
  try {
    checkPath(path)
    return path
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    if (option === undefined) throw badFile(`names a bad directory: ${error.message}`)
    throw misuse(
      `${flag}: ${error.message}`,
      'Name a directory of the repository, such as web/dist.',
    )
  }
}

function badFile(what: string): LockstepError {
  return new LockstepError('bad-configuration', `${buildFileName} ${what}`, {
    hint: 'It may have "commands", "pack" and "exclude"; docs/cli.md says what they mean.',
  })
}
