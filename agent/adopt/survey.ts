// What stands in an app's root before Lockstep takes it over. Looks and judges; changes nothing. What
// it does not understand it refuses, since only its owner knows what that is for.

import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { readRecordHead } from '../attest/record.ts'
import type { AppLayout } from '../layout/app-layout.ts'
import { observeCurrent } from '../layout/current-link.ts'
import { LockstepError } from '#shared/errors.ts'
import type { AdoptReport } from '#shared/host-apps.ts'

export type Survey =
  /** `current` is a link already: nothing has to move. */
  | {
      readonly kind: 'link'
      readonly found: Exclude<AdoptReport['found'], 'directory'>
      readonly link: string
      /** The real directory that runs. */
      readonly runs: string
    }
  /** A real directory, which has to make way. */
  | { readonly kind: 'directory'; readonly runs: string }
  /** An adoption with a gap was cut off in it: the directory is in its new place, the link is not. */
  | { readonly kind: 'cut-off'; readonly name: string; readonly runs: string }

/** Beginning of the names under which directories are adopted. */
export const adoptedPrefix = 'adopted-'

/** @throws LockstepError `not-adoptable`, `disk-error` */
export function surveyRoot(layout: AppLayout): Survey {
  return withDiskErrors(`Looking at ${layout.root}`, () => {
    const { root } = layout
    if (lstatSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw refusal(`${root} is no directory`, 'Correct the root of the app in agent.toml.')
    }
    const current = observeCurrent(layout)
    if (current.kind === 'directory') return surveyDirectory(layout)
    if (current.kind === 'none') return surveyNothing(layout)
    if (current.kind === 'foreign' && !current.resolves) {
      throw refusal(
        `${layout.current} leads to ${current.link}, which is no directory`,
        `Point it to a release that is there, or remove it: then the first deployment makes it.`,
      )
    }
    const runs = realpathSync(layout.current)
    return { kind: 'link', found: makerOf(layout, runs), link: current.link, runs }
  })
}

/** A version that Lockstep did not make, in a directory that Lockstep calls its own. */
export function checkVersions(layout: AppLayout): void {
  const strangers = namesIn(layout.versions).filter(
    (name) => !name.startsWith(adoptedPrefix) && !existsSync(join(layout.records, name)),
  )
  if (strangers.length === 0 || existsSync(layout.lockstep)) return
  throw refusal(
    `${layout.versions} holds ${strangers.slice(0, 5).join(', ')}, which Lockstep did not make`,
    'Move it elsewhere: Lockstep keeps its releases there.',
  )
}

function surveyDirectory(layout: AppLayout): Survey {
  const { current, root } = layout
  const stats = lstatSync(current)
  if (!stats.isDirectory()) {
    throw refusal(`${current} is neither a link nor a directory`, 'Move it aside by hand.')
  }
  if (stats.dev !== lstatSync(root).dev) {
    throw refusal(
      `${current} is a file system of its own`,
      'A mount cannot be replaced by a link: mount it elsewhere, and point a link at that.',
    )
  }
  return { kind: 'directory', runs: realpathSync(current) }
}

function surveyNothing(layout: AppLayout): Survey {
  const adopted = namesIn(layout.versions).filter(
    (name) =>
      name.startsWith(adoptedPrefix) && lstatSync(join(layout.versions, name)).isDirectory(),
  )
  const [name] = adopted
  if (name !== undefined && adopted.length === 1) {
    return { kind: 'cut-off', name, runs: realpathSync(join(layout.versions, name)) }
  }
  throw refusal(
    `there is no ${layout.current}, so there is nothing to adopt`,
    'Start the agent: the first deployment makes it.',
  )
}

function makerOf(layout: AppLayout, runs: string): Exclude<AdoptReport['found'], 'directory'> {
  const { root } = layout
  const holder = dirname(runs)
  if (holder === realPathOf(layout.versions)) {
    const version = basename(runs)
    const isAdopted = version.startsWith(adoptedPrefix)
    return isAdopted || readRecordHead(layout, version) !== null ? 'lockstep' : 'link'
  }
  if (holder !== realPathOf(join(root, 'releases'))) return 'link'
  if (existsSync(join(root, '.dep'))) {
    checkNoDeployment(join(root, '.dep/deploy.lock'))
    return 'deployer'
  }
  const isCapistrano =
    existsSync(join(root, 'revisions.log')) ||
    existsSync(join(root, 'repo')) ||
    /^[0-9]{14}$/.test(basename(runs))
  return isCapistrano ? 'capistrano' : 'releases'
}

/** Deployer's lock; the others have none that could be seen. */
function checkNoDeployment(lock: string): void {
  if (!existsSync(lock)) return
  throw refusal(
    `${lock} says that a deployment is under way`,
    'Wait for it, or end it with `dep deploy:unlock`.',
  )
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

function realPathOf(path: string): string | null {
  return existsSync(path) ? realpathSync(path) : null
}

/** The text of a link, or null for anything else. */
export function linkTextOf(path: string): string | null {
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
  return isLink ? readlinkSync(path) : null
}

export function refusal(message: string, hint: string): LockstepError {
  return new LockstepError('not-adoptable', message, { hint: `${hint} Nothing was changed.` })
}
