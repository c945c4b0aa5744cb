// Choosing among hosts by their labels: `role=web,zone=a` is both, and each alone is not enough.

import { LockstepError } from './errors.ts'
import { parseLabelName, parseLabelValue } from './ids.ts'

export type Labels = Readonly<Record<string, string>>

/**
 * @param text `NAME=VALUE`, or several between commas
 * @throws LockstepError `bad-name` naming what of it is no label
 */
export function parseSelector(text: string): Labels {
  const wanted: Record<string, string> = {}
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=')
    if (at < 0) {
      throw new LockstepError('bad-name', `${JSON.stringify(pair)} is no label`, {
        hint: 'Write NAME=VALUE, such as role=web; several between commas are all required.',
      })
    }
    const name = parseLabelName(pair.slice(0, at))
    if (Object.hasOwn(wanted, name)) {
      throw new LockstepError('bad-name', `${text} wants two values of ${name}`, {
        hint: 'A host has one value of each label: such a choice would select nobody.',
      })
    }
    wanted[name] = parseLabelValue(pair.slice(at + 1))
  }
  return wanted
}

/** Whether the labels have every one that is wanted, with its value. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value)
}

/** `role=web, zone=a`, in the order of their names. */
export function labelsText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(', ')
}
