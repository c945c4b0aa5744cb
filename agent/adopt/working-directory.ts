// `lockstep link`: has `current` lead to a working directory on a developer's machine, and back. The
// app is held meanwhile, so that the agent does not take it for drift. docs/cli.md.

import { existsSync, realpathSync, statSync } from 'node:fs'
import { prepareLayout, type AppLayout } from '../layout/app-layout.ts'
import { goBackTo, observeCurrent, removeCurrent } from '../layout/current-link.ts'
import { readHold, removeHold, writeHold } from '../layout/hold-file.ts'
import { readLinked, removeLinked, writeLinked } from '../layout/linked-file.ts'
import { isWithin } from '../layout/mounts.ts'
import { linkTextOf } from './survey.ts'
import { LockstepError } from '#shared/errors.ts'

interface Change {
  readonly current: string | null
  readonly replaced: string | null
}

/**
 * @param directory absolute
 * @param hold why the app is held, on one line
 * @throws LockstepError `bad-usage` for a directory that cannot be linked; `on-hold` when somebody
 *   holds the app; `current-is-directory`, `activate-failed`, `disk-error`, `no-space`
 */
export function linkDirectory(layout: AppLayout, directory: string, hold: string): Change {
  checkDirectory(layout, directory)
  if (observeCurrent(layout).kind === 'directory') {
    throw new LockstepError('current-is-directory', `${layout.current} is no symbolic link`, {
      hint: 'Run `lockstep adopt` first: it moves the directory and puts a link in its place.',
    })
  }
  prepareLayout(layout)
  const linked = readLinked(layout)
  const held = readHold(layout)
  if (held !== null && held !== linked?.hold) {
    throw new LockstepError('on-hold', `the app is held: ${held}`, {
      hint: 'End that hold first: `lockstep agent unhold`.',
    })
  }
  const replaced = linkTextOf(layout.current)
  // A second directory instead of the first: what was before both is what to go back to.
  const isLinked = linked !== null && linked.directory === replaced
  writeHold(layout, hold)
  writeLinked(layout, { directory, hold, before: isLinked ? linked.before : replaced })
  goBackTo(layout, directory)
  return { current: directory, replaced }
}

/**
 * Back to what `current` was before; one that was changed by hand meanwhile is left as it is.
 * @throws LockstepError `bad-usage` when nothing is linked; as `linkDirectory`
 */
export function unlinkDirectory(layout: AppLayout): Change {
  const linked = readLinked(layout)
  if (linked === null) {
    throw new LockstepError('bad-usage', `${layout.current} leads to no linked directory`, {
      hint: '`lockstep link APP DIRECTORY` links one.',
    })
  }
  const replaced = linkTextOf(layout.current)
  if (replaced === linked.directory) {
    if (linked.before === null) removeCurrent(layout)
    else goBackTo(layout, linked.before)
  }
  // What remembers all this goes last: until then it can be done again after a crash.
  if (readHold(layout) === linked.hold) removeHold(layout)
  removeLinked(layout)
  return { current: linkTextOf(layout.current), replaced }
}

function checkDirectory(layout: AppLayout, directory: string): void {
  const isDirectory = statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
  const [real, root] = isDirectory ? [directory, layout.root].map(realPathOf) : []
  const wrong =
    real === undefined || root === undefined
      ? 'is no directory'
      : isWithin(real, root)
        ? 'is in the app’s own root; `lockstep deploy` runs a release'
        : isWithin(root, real)
          ? 'holds the app’s own root'
          : null
  if (wrong === null) return
  throw new LockstepError('bad-usage', `${directory} ${wrong}`, {
    hint: 'Name the directory that you work in. Nothing was changed.',
  })
}

function realPathOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : path
}
