// What `agent install` knows of agent.toml: how the first one is written from options, and whether
// options given later say something else than the file, which is then kept. Judging a file is the agent's.

import { LockstepError } from '#shared/errors.ts'

/** What the installer needs of the agent's configuration; the agent's own parser gives it. */
export interface AgentSettings {
  readonly controller: string
  readonly name: string
  readonly state: string
  readonly apps: readonly {
    readonly app: string
    readonly environment: string
    readonly root: string
    /** Whose group the files of releases are; null: the account's own. */
    readonly group: string | null
    readonly reload: readonly string[]
    readonly restart: readonly string[]
    readonly hooks: Readonly<Partial<Record<string, HookSettings>>>
    readonly once: HookSettings | null
  }[]
}

/** Of a hook, what the agent needs a right for. */
interface HookSettings {
  readonly command: { readonly kind: 'run' } | { readonly kind: 'unit'; readonly template: string }
}

/** The agent's own parser. @throws LockstepError `bad-configuration` with every mistake */
export type ParseAgentSettings = (
  text: string,
  context: { file: string; hostname: string },
) => AgentSettings

/** What a first installation is told instead of a file. */
export interface AgentOptions {
  readonly controller?: string | undefined
  /** The machine's own name where absent. */
  readonly name?: string | undefined
  readonly app?: string | undefined
  readonly environment?: string | undefined
  readonly root?: string | undefined
}

/**
 * The text of a first agent.toml.
 * @throws LockstepError `bad-usage` when an option is missing
 */
export function renderAgentSettings(options: AgentOptions): string {
  const { controller, app, environment, root } = options
  const missing = Object.entries({
    '--controller': controller,
    '--app': app,
    '--env': environment,
    '--root': root,
  }).flatMap(([flag, value]) => (value === undefined ? [flag] : []))
  if (missing.length > 0) {
    throw new LockstepError('bad-usage', `the first installation needs ${missing.join(', ')}`, {
      hint: 'Give these options, or a whole configuration with --config FILE. Nothing was changed.',
    })
  }
  return [
    '# The Lockstep agent of this host. After a change: `systemctl restart lockstep-agent`; after a',
    '# change of `root`, `group`, `reload`, `restart` or a `unit`: `lockstep agent install`.',
    `controller = ${quoted(controller)}`,
    ...(options.name === undefined ? [] : [`name = ${quoted(options.name)}`]),
    '',
    `[apps.${quoted(app)}]`,
    `environment = ${quoted(environment)}`,
    `root = ${quoted(root)}`,
    '',
  ].join('\n')
}

/** Each option that the file contradicts, as `--root /a (the file says /b)`. */
export function differingOptions(options: AgentOptions, settings: AgentSettings): string[] {
  const found = settings.apps.find(({ app }) => app === options.app) ?? settings.apps[0]
  const pairs: [string, string | undefined, string | undefined][] = [
    ['--controller', withoutSlash(options.controller), settings.controller],
    ['--name', options.name, settings.name],
    ['--app', options.app, found?.app],
    ['--env', options.environment, found?.environment],
    ['--root', withoutSlash(options.root), found?.root],
  ]
  return pairs.flatMap(([flag, given, kept]) =>
    given === undefined || given === kept
      ? []
      : [`${flag} ${given} (the file says ${kept ?? 'nothing'})`],
  )
}

/** TOML's basic strings are JSON's, but for the one control character that JSON lets stand. */
function quoted(text: string | undefined): string {
  return JSON.stringify(text ?? '').replaceAll('\u007f', '\\u007f')
}

function withoutSlash(text: string | undefined): string | undefined {
  return text?.replace(/(?<=.)\/+$/, '')
}
