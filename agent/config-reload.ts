// The part of the configuration that says how what runs is made to see a new release: units to
// reload or to restart, and the socket of PHP-FPM. docs/configuration.md, "Steps".

import { isIP } from 'node:net'
import { parseAddress } from './config-health.ts'
import { type MistakeList, shownValue, type Table } from './config-mistakes.ts'

const unitPattern = /^[0-9A-Za-z:_.][0-9A-Za-z:_.\\@-]{0,230}\.[a-z]+$/
const unitTypes = ['service', 'socket', 'target', 'timer', 'path', 'mount', 'slice']
const opcacheExample =
  'the socket that PHP-FPM listens on, such as "/run/php/php8.2-fpm.sock" or "127.0.0.1:9000"'

/** A worker that stays in the release it was started in has to be restarted: reloading keeps it there. */
export function unitsOf(
  table: Table,
  key: 'reload' | 'restart',
  at: string,
  mistakes: MistakeList,
): string[] {
  const write = 'names of systemd units, such as ["php8.2-fpm.service"]'
  return mistakes.texts(table, key, at, write).map(({ text, key: place }) => {
    const type = text.slice(text.lastIndexOf('.') + 1)
    if (!unitPattern.test(text) || !unitTypes.includes(type)) {
      mistakes.add(place, `${shownValue(text)} is no name of a unit`, write)
    }
    return text
  })
}

/** @returns an absolute path, or an address of this machine with its port; null where left out */
export function opcacheOf(table: Table, at: string, mistakes: MistakeList): string | null {
  if (!Object.hasOwn(table, 'opcache')) return null
  const text = mistakes.text(table, 'opcache', at, opcacheExample)
  if (text === undefined) return null
  const isPath = text.startsWith('/') && !/[\p{Cc}]/u.test(text)
  // What listens elsewhere could run the script of another machine, or show it to one.
  if (isPath || isLoopback(parseAddress(text)?.address)) return text
  mistakes.add(`${at}.opcache`, `${shownValue(text)} is no socket of this host`, opcacheExample)
  return null
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  return (
    address === 'localhost' ||
    address === '::1' ||
    (isIP(address) === 4 && address.startsWith('127.'))
  )
}
