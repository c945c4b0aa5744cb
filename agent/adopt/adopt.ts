// `lockstep adopt`: takes over an app's root from another tool, in place. Prepares what the agent
// needs beside what runs; only a real directory at `current` has to make way. Judges everything first,
// may be repeated, and says what it did and how it is undone. docs/adopting.md.

import { existsSync, lstatSync, readdirSync } from 'node:fs'
import { asDiskError, withDiskErrors } from '../adapters/disk-error.ts'
import type { AppConfig } from '../config.ts'
import { layoutOf, prepareLayout } from '../layout/app-layout.ts'
import { findExchange } from './exchange.ts'
import { findShared, lackingShared, sharedLineOf } from './found-shared.ts'
import { exchangeForLink, linkAgain, moveThenLink, removeHalf } from './move-aside.ts'
import { type Account, handOver, notWritable, workplaces } from './ownership.ts'
import { adoptedPrefix, checkVersions, refusal, type Survey, surveyRoot } from './survey.ts'
import { LockstepError } from '#shared/errors.ts'
import type { AdoptReport, AdoptRequest, FoundSharedPath } from '#shared/host-apps.ts'

export interface AdoptContext {
  /** The agent's own user; null where it is not installed. */
  readonly account: Account | null
  /** The effective user of this process. */
  readonly uid: number
  /** Epoch milliseconds, for the name of a directory that is moved. */
  readonly now: number
  readonly findExchange?: typeof findExchange
}

type AdoptWishes = Pick<AdoptRequest, 'dryRun' | 'acceptGap' | 'chown'>

/**
 * @throws LockstepError `not-adoptable`, `not-root`, `disk-error`, `no-space`: `current` is as it was
 */
export async function adopt(
  app: AppConfig,
  wishes: AdoptWishes,
  context: AdoptContext,
): Promise<AdoptReport> {
  try {
    return await new Adoption(app, wishes, context).run()
  } catch (error) {
    throw asDiskError(error, `Adopting ${app.root}`)
  }
}

class Adoption {
  readonly #app: AppConfig
  readonly #layout: ReturnType<typeof layoutOf>
  readonly #wishes: AdoptWishes
  readonly #context: AdoptContext
  readonly #steps: string[] = []
  readonly #todo: string[] = []
  readonly #undo: string[] = []

  constructor(app: AppConfig, wishes: AdoptWishes, context: AdoptContext) {
    this.#app = app
    this.#layout = layoutOf(app.root)
    this.#wishes = wishes
    this.#context = context
  }

  async run(): Promise<AdoptReport> {
    const { dryRun, chown } = this.#wishes
    if (chown && this.#context.uid !== 0) {
      throw new LockstepError('not-root', 'only root may hand directories over', {
        hint: 'Run it with sudo, or leave --chown out. Nothing was changed.',
      })
    }
    const survey = surveyRoot(this.#layout)
    checkVersions(this.#layout)
    const shared = withDiskErrors('Looking for shared paths', () =>
      findShared(this.#layout, survey.runs),
    )
    this.#prepare()
    const moved = await this.#makeWay(survey)
    this.#checkRights()
    const sharedLine = this.#tellShared(shared)
    const found = survey.kind === 'link' ? survey.found : 'directory'
    if (survey.kind === 'link' && found !== 'lockstep') this.#tellLink(survey.link)
    return {
      app: this.#app.app,
      root: this.#layout.root,
      found,
      current: survey.kind === 'link' ? survey.link : moved.link,
      dryRun,
      shared,
      sharedLine,
      steps: this.#steps,
      todo: this.#todo,
      undo: this.#undo,
      gapMs: moved.gapMs,
    }
  }

  /** What the agent needs beside what runs; what is made here is its user's. */
  #prepare(): void {
    const missing = workplaces(this.#layout).filter((path) => !existsSync(path))
    if (missing.length === 0) return
    this.#steps.push(`made ${missing.join(', ')}`)
    if (this.#wishes.dryRun) return
    prepareLayout(this.#layout)
    if (this.#context.uid === 0) handOver(missing, this.#owner())
  }

  /** The agent's user; before it is installed, whoever owns the root. */
  #owner(): Account {
    return this.#context.account ?? lstatSync(this.#layout.root)
  }

  async #makeWay(survey: Survey): Promise<{ link: string; gapMs: number | null }> {
    if (survey.kind === 'link') return { link: survey.link, gapMs: null }
    if (survey.kind === 'cut-off') {
      if (!this.#wishes.dryRun) linkAgain(this.#layout, survey.name)
      this.#steps.push(`pointed current to versions/${survey.name}, where the directory is already`)
      this.#tellMoved(survey.name)
      return { link: `versions/${survey.name}`, gapMs: null }
    }
    const stamp = new Date(this.#context.now).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const name = `${adoptedPrefix}${stamp}`
    const gapMs = await this.#moveAside(name)
    this.#tellMoved(name)
    return { link: `versions/${name}`, gapMs }
  }

  async #moveAside(name: string): Promise<number | null> {
    const { dryRun, acceptGap } = this.#wishes
    // Before a dry run there may be no directory of our own to try it in.
    const tryIn = existsSync(this.#layout.lockstep) ? this.#layout.lockstep : null
    const find = this.#context.findExchange ?? findExchange
    const way = tryIn === null ? null : await find(tryIn)
    if (dryRun) {
      const how = tryIn === null ? 'with an exchange where this host has one' : (way?.name ?? 'gap')
      this.#steps.push(`moved current to versions/${name} and pointed current there (${how})`)
      return null
    }
    if (way === null && !acceptGap) throw noExchange()
    for (const half of readdirSync(this.#layout.versions)) {
      if (half.startsWith(adoptedPrefix)) removeHalf(this.#layout, half)
    }
    if (way !== null) {
      await exchangeForLink(this.#layout, name, way.exchange)
      this.#steps.push(`exchanged current for a link to versions/${name}, at once (${way.name})`)
      return null
    }
    const gapMs = moveThenLink(this.#layout, name)
    this.#steps.push(
      `moved current to versions/${name} and pointed current there; there was no current for ` +
        `${gapMs.toFixed(3)} ms`,
    )
    return gapMs
  }

  #tellMoved(name: string): void {
    const { root } = this.#layout
    this.#undo.push(
      'systemctl stop lockstep-agent',
      `rm ${root}/current && mv ${root}/versions/${name} ${root}/current`,
    )
    this.#todo.push(
      `look for configurations that name files below ${root}/current by their real path, and for ` +
        'what the app keeps beside its code: it must become a shared path before the first rollout',
    )
  }

  #tellLink(link: string): void {
    this.#undo.push(
      'systemctl stop lockstep-agent',
      `ln -s ${link} ${this.#layout.root}/current.new && ` +
        `mv -T ${this.#layout.root}/current.new ${this.#layout.root}/current`,
    )
    this.#todo.push(
      'take the other tool out of use for this host: when it swaps current, the agent swaps back',
    )
  }

  #checkRights(): void {
    const owner = this.#owner()
    const closed = this.#wishes.dryRun
      ? notWritable(this.#layout, owner)
      : this.#opened(notWritable(this.#layout, owner), owner)
    if (closed.length === 0) return
    this.#todo.push(
      `let the agent’s user (${owner.uid}) write in ${closed.join(', ')}: run this again as root ` +
        'with --chown, or change owner or mode yourself',
    )
  }

  /** @returns what is still closed */
  #opened(closed: readonly string[], owner: Account): readonly string[] {
    if (!this.#wishes.chown || closed.length === 0) return closed
    handOver(closed, owner)
    this.#steps.push(`handed ${closed.join(', ')} over to user ${owner.uid}`)
    return notWritable(this.#layout, owner)
  }

  #tellShared(shared: readonly FoundSharedPath[]): string | null {
    for (const { path, target, type } of shared) {
      if (type === 'missing') {
        this.#todo.push(
          `${path} leads to shared/${target}, which is not there: make it, or forget it`,
        )
      } else if (path !== target) {
        this.#todo.push(
          `${path} leads to shared/${target}; Lockstep links shared/${path}: move it there, or ` +
            'leave a link to it under that name',
        )
      }
    }
    const lacking = lackingShared(shared, this.#app.shared)
    if (lacking.length === 0) return null
    this.#todo.push(`write the shared paths into [apps.${this.#app.app}] of agent.toml`)
    return sharedLineOf([...this.#app.shared, ...lacking])
  }
}

function noExchange(): LockstepError {
  return refusal(
    'this host has no way to exchange a directory for a link at once',
    'Install perl or coreutils 9.5; or take the site out of service for a moment and say ' +
      '--accept-gap: current is then missing for less than a millisecond, which is measured.',
  )
}
