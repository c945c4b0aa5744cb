// The rules for one entry of a release: its path, its link target, its mode. Pure, and the only
// place that knows them: publishing judges an archive with them, and every reader of a manifest,
// the agent too, judges it again. Rules about entries among each other are in tree-rules.ts.

import { LockstepError } from './errors.ts'
import { limits } from './limits.ts'

/** Why an entry is never accepted: said in the message, and as `details.rule` for programs. */
export const entryRules = {
  'empty-path': 'has no name',
  'absolute-path': 'is an absolute path',
  'parent-segment': 'has a ".." segment',
  'dot-segment': 'has a "." segment',
  'empty-segment': 'has an empty segment',
  'nul-character': 'has a NUL character in its name',
  'control-character': 'has a control character in its name',
  'bidi-character': 'has a character in its name that changes the direction of text',
  'not-utf8': 'has a name that is not UTF-8',
  'backslash': 'has a backslash in its name',
  'segment-too-long': `has a segment over ${limits.segmentBytesMax} bytes`,
  'path-too-long': `has a path over ${limits.pathBytesMax} bytes`,
  'path-too-deep': `has more than ${limits.pathDepthMax} levels`,
  'reserved-name': 'is in ".lockstep", which is the agent\'s own',
  'nothing-left': 'has no name left after stripping its leading segments',
  'special-mode': 'is setuid, setgid or sticky',
  'file-capability': 'has file capabilities',
  'empty-target': 'is a link to nothing',
  'absolute-target': 'is a link to an absolute path',
  'leaving-target': 'is a link that leaves the release',
  'unsafe-target': 'is a link to a name with a control, direction or backslash character',
  'target-too-long': `is a link to a path over ${limits.linkTargetBytesMax} bytes`,
  'link-loop': 'is a link that leads round in a circle',
  'duplicate': 'occurs twice',
  'below-non-directory': 'lies below an entry that is no directory',
  'above-entries': 'is no directory though other entries lie below it',
  'hard-link-target': 'is a hard link to something that is no earlier file of the archive',
  'device': 'is a device',
  'fifo': 'is a named pipe',
  'sparse-file': 'is a sparse file',
  'unknown-type': 'is of an unknown type',
  'misplaced-content': 'has content though it is no file',
} as const

export type EntryRule = keyof typeof entryRules

const hints: Partial<Record<EntryRule, string>> = {
  'absolute-path': 'Create the archive with `tar -C DIRECTORY -cf FILE .`.',
  'nothing-left': 'Use a smaller --strip, or put everything below one directory.',
  'special-mode': 'Remove the bits with `chmod ug-s,-t` before creating the archive.',
  'file-capability': "Grant capabilities in the service's unit (AmbientCapabilities=).",
  'duplicate': 'Create the archive anew; do not append to one (`tar -r`).',
  'absolute-target': 'Use a relative link; what outlives releases belongs to the shared paths.',
  'leaving-target': "What lies outside the release belongs to the host's shared paths.",
  'sparse-file': 'Create the archive without `--sparse`.',
}

/** The error for an entry that breaks `rule`; `note` may add what it collides with. */
export function refusedEntry(rule: EntryRule, path: string, note = ''): LockstepError {
  const message = `${shownName(path)} ${entryRules[rule]}${note === '' ? '' : ` (${note})`}`
  const hint = hints[rule] ?? 'Leave the entry out, or rename it, and create the archive again.'
  return new LockstepError('refused-entry', message, { hint, details: { rule, entry: path } })
}

/** A name as it may stand in a message or on a terminal: quoted, escaped, at most 200 characters. */
export function shownName(name: string): string {
  const short = name.length > 200 ? `${name.slice(0, 200)}…` : name
  return JSON.stringify(short).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * Judges only the characters of an entry's names, for readers that have not put them together yet.
 * @param target of a link, or empty
 * @throws LockstepError `refused-entry`, `details.rule` says which rule.
 */
export function checkCharacters(path: string, target: string): void {
  const rule = brokenCharacterRule(path)
  if (rule !== null) throw refusedEntry(rule, path)
  if (brokenCharacterRule(target) !== null) {
    throw refusedEntry('unsafe-target', path, `target ${shownName(target)}`)
  }
}

/**
 * Judges the path of an entry: relative, `/` between segments, no slash at either end.
 * Names that differ in case or in Unicode normalisation only are two names, as on the hosts.
 * @throws LockstepError `refused-entry`, `details.rule` says which rule.
 */
export function checkPath(path: string): void {
  const rule = brokenCharacterRule(path) ?? brokenShapeRule(path)
  if (rule !== null) throw refusedEntry(rule, path)
}

/**
 * Judges the target of the symbolic link at `path` for itself: relative, and inside the release
 * when resolved as text. That it may leave through another link is for tree-rules.ts.
 * @throws LockstepError `refused-entry`, `details.rule` says which rule.
 */
export function checkLinkTarget(path: string, target: string): void {
  const rule = brokenTargetRule(path, target)
  if (rule !== null) throw refusedEntry(rule, path, `target ${shownName(target)}`)
}

/**
 * The mode that a release keeps of an archive's: `mode & 0755`.
 * @throws LockstepError `refused-entry` for setuid, setgid and sticky.
 */
export function keptMode(path: string, mode: number): number {
  if ((mode & 0o7000) !== 0) throw refusedEntry('special-mode', path, `mode 0${mode.toString(8)}`)
  return mode & 0o755
}

function brokenCharacterRule(text: string): EntryRule | null {
  if (text.includes('\0')) return 'nul-character'
  // U+2028 and U+2029 end a line for some readers of logs, as the C0 and C1 controls do.
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) return 'control-character'
  if (/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(text)) return 'bidi-character'
  // A decoder puts U+FFFD for bytes that are no UTF-8: the host's name would not be the built one.
  if (text.includes('\ufffd') || !text.isWellFormed()) return 'not-utf8'
  return text.includes('\\') ? 'backslash' : null
}

function brokenShapeRule(path: string): EntryRule | null {
  if (path === '') return 'empty-path'
  if (path.startsWith('/')) return 'absolute-path'
  const segments = path.split('/')
  if (segments.includes('..')) return 'parent-segment'
  if (segments.includes('.')) return 'dot-segment'
  if (segments.includes('')) return 'empty-segment'
  if (segments.length > limits.pathDepthMax) return 'path-too-deep'
  if (Buffer.byteLength(path) > limits.pathBytesMax) return 'path-too-long'
  const longest = segments.find((segment) => Buffer.byteLength(segment) > limits.segmentBytesMax)
  if (longest !== undefined) return 'segment-too-long'
  return segments[0] === '.lockstep' ? 'reserved-name' : null
}

function brokenTargetRule(path: string, target: string): EntryRule | null {
  if (target === '') return 'empty-target'
  if (brokenCharacterRule(target) !== null) return 'unsafe-target'
  if (target.startsWith('/')) return 'absolute-target'
  if (Buffer.byteLength(target) > limits.linkTargetBytesMax) return 'target-too-long'
  return leavesAsText(path, target) ? 'leaving-target' : null
}

/** Whether `target`, read from the directory of `path`, ever goes above the release's top. */
function leavesAsText(path: string, target: string): boolean {
  let depth = path.split('/').length - 1
  for (const segment of target.split('/')) {
    if (segment === '..') depth -= 1
    else if (segment !== '' && segment !== '.') depth += 1
    if (depth < 0) return true
  }
  return false
}
