// The part of the configuration that says whose group the files of releases are. Their owner is the
// agent's user and cannot be chosen: a daemon that gives files away needs rights that it must not have.
// docs/configuration.md, "Owner, group and modes".

import { type MistakeList, shownValue, type Table } from './config-mistakes.ts'

/** Keys of other tools for what is not for the agent to do. */
const ownerKeys = ['owner', 'user']
const namePattern = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/
const write = 'a group that the agent’s user is in, such as "www-data"'

/** @returns the group's name; null where left out: the agent's own */
export function groupOf(table: Table, at: string, mistakes: MistakeList): string | null {
  if (!Object.hasOwn(table, 'group')) return null
  const text = mistakes.text(table, 'group', at, write)
  if (text === undefined) return null
  if (namePattern.test(text) && text !== 'root') return text
  const problem = `${shownValue(text)} is ${text === 'root' ? 'root’s' : 'no name of a group'}`
  mistakes.add(`${at}.group`, problem, write)
  return null
}

/** The table without the keys that ask for another owner, each of which is a mistake of its own. */
export function withoutOwners(table: Table, at: string, mistakes: MistakeList): Table {
  for (const key of ownerKeys.filter((name) => Object.hasOwn(table, name))) {
    const problem = 'cannot be chosen: files of releases belong to the agent’s user'
    mistakes.add(`${at}.${key}`, problem, `"group" for who else may read them: ${write}`)
  }
  const others = Object.entries(table).filter(([key]) => !ownerKeys.includes(key))
  return Object.fromEntries(others)
}
