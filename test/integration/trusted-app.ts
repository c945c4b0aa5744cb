// One app on a disk with a trust file beside it: what the agent does of it, the machine left out.
// Its clock is the test's.

import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monotonicClock } from '#agent/adapters/monotonic-clock.ts'
import { AppDisk } from '#agent/app-disk.ts'
import { parseAgentConfig } from '#agent/config.ts'
import { type AppLayout, layoutOf } from '#agent/layout/app-layout.ts'
import { observeCurrent } from '#agent/layout/current-link.ts'
import { AppTrust } from '#agent/trust/app-trust.ts'
import { TrustFile } from '#agent/trust/trust-file.ts'
import type { Release } from '#shared/release.ts'
import type { TrustSight } from '#shared/report.ts'
import { ci, now, type Signer, signedStatement, statement } from '../unit/shared/trust/signing.ts'
import { whoOfOursUses } from './clean-up-facts.ts'
import { ContentServer, type Scope, token } from './content-server.ts'
import type { TestRelease } from './test-release.ts'

type Statement = typeof statement

const requireAll = {
  trust: 1,
  version: 1,
  keys: { ci: { key: ci.line } },
  environments: { production: { policy: 'require', threshold: 1, keys: ['ci'] } },
}

export class TrustedApp {
  readonly layout: AppLayout
  readonly server: ContentServer
  readonly trustFile: string
  /** The host's clock. */
  now = now
  environment = 'production'
  /** Whether agent.toml names the trust file. */
  isNamed = false
  readonly sights: TrustSight[] = []
  readonly doubts: string[] = []
  readonly found: string[] = []
  readonly problems: string[] = []
  readonly #root: string
  #disk: AppDisk | null = null
  #trust: AppTrust | null = null

  private constructor(directory: string, server: ContentServer) {
    this.#root = join(directory, 'shop')
    this.layout = layoutOf(this.#root)
    this.server = server
    mkdirSync(join(directory, 'etc'))
    this.trustFile = join(directory, 'etc/trust.json')
  }

  static async start(t: Scope, ...releases: TestRelease[]): Promise<TrustedApp> {
    return new TrustedApp(t.testdir({}), await ContentServer.start(t, ...releases))
  }

  /** Writes the trust file; the given environments in place of one that requires a signature. */
  writeTrust(content: unknown = requireAll): void {
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    rmSync(this.trustFile, { force: true })
    writeFileSync(this.trustFile, text)
    chmodSync(this.trustFile, 0o644)
  }

  ask(policy: 'require' | 'warn' | 'off', keys: Record<string, Signer> = { ci }): void {
    const written = Object.entries(keys).map(([name, { line }]) => [name, { key: line }])
    const rule = policy === 'off' ? { policy } : { policy, threshold: 1, keys: Object.keys(keys) }
    const environments = { production: rule }
    this.writeTrust({ ...requireAll, keys: Object.fromEntries(written), environments })
  }

  /** Lets the controller have a signed statement of the release. */
  sign(release: Release, changes: Partial<Statement> = {}, ...signers: Signer[]): void {
    const { version, tree } = release
    const { floor: _, ...rest } = statement
    const content = { ...rest, version, tree, ...changes }
    const envelope = signedStatement(content, ...(signers.length === 0 ? [ci] : signers))
    this.server.put(`/v1/trees/${tree}/statements/shop/${version}`, envelope)
  }

  /** As a new process of the agent does. */
  async open(): Promise<AppDisk> {
    const { trustFile: file, isNamed, environment } = this
    this.#trust = await AppTrust.open({
      app: 'shop',
      environment,
      file: new TrustFile({ file, isNamed }, process.getuid?.() ?? 0),
      record: this.layout.trust,
      now: () => this.now,
      onSight: (sight) => this.sights.push(sight),
      onDoubt: (_release, message) => this.doubts.push(message),
      onFound: ({ version }) => this.found.push(version),
      onProblem: (doing) => this.problems.push(doing),
    })
    const [config] = parseAgentConfig(
      `controller = "${this.server.url}"
[apps.shop]
environment = "${environment}"
root = "${this.#root}"
`,
      { file: 'agent.toml', hostname: 'web-1' },
    ).apps
    if (config === undefined) throw new Error('there is no app')
    const fault = (_doing: string, error: unknown) => this.problems.push(String(error))
    this.#disk = await AppDisk.open(
      this.layout,
      config,
      {
        controllerUrl: this.server.url,
        redirects: [],
        tls: () => ({}),
        contentToken: () => token,
        clock: monotonicClock,
        trust: this.#trust,
        groupId: null,
        whoUses: whoOfOursUses,
        onStaged: () => undefined,
        onDrift: () => undefined,
        onRemoved: () => undefined,
        onProblem: fault,
        onFault: fault,
      },
      [],
    )
    return this.#disk
  }

  get disk(): AppDisk {
    if (this.#disk === null) throw new Error('nothing is open')
    return this.#disk
  }

  get sight(): TrustSight | undefined {
    return this.#trust?.sight()
  }

  /** @returns `staged`, or the code and message of what was refused */
  async stage(
    { version, tree }: Release,
    options: { isSettled?: boolean; signal?: AbortSignal } = {},
  ): Promise<string> {
    const { isSettled = false, signal = new AbortController().signal } = options
    const release = { version, tree }
    const outcome = await this.disk.stage(release, {
      signal,
      isSettled,
      onProgress: () => undefined,
    })
    if (outcome.kind !== 'failed') return outcome.kind
    return `${outcome.failure.code}: ${outcome.failure.message}`
  }

  /** @returns `swapped`, or the code of what was refused */
  swap({ version, tree }: Release): string {
    const outcome = this.disk.swap({ kind: 'release', release: { version, tree } })
    return outcome.kind === 'failed' ? outcome.failure.code : outcome.kind
  }

  /** Stages, swaps and commits; everything has to go well. */
  async run(release: Release): Promise<void> {
    for (const outcome of [await this.stage(release), this.swap(release)]) {
      if (outcome !== 'staged' && outcome !== 'swapped') throw new Error(outcome)
    }
    await this.disk.commit(release)
  }

  get current(): string | null {
    const current = observeCurrent(this.layout)
    return current.kind === 'release' ? current.version : null
  }

  held(): string[] {
    return this.disk
      .held()
      .map(({ version }) => version)
      .toSorted()
  }

  /** Everything in the app's root that a stage could have written. */
  written(): string[] {
    return readdirSync(this.#root, { recursive: true, encoding: 'utf8' })
      .filter((path) =>
        /^versions\/|^shared\/|^\.lockstep\/(stage|manifests\/|records\/)/.test(path),
      )
      .toSorted()
  }
}
