// The instance of a hook's template unit: app and version, escaped as systemd-escape(1) does it, so
// that %I in the unit is `shop/0.0.12`. Owns names only.

import { Buffer } from 'node:buffer'

/** @param template `name@.service` @returns `name@shop-0.0.12.service` */
export function unitInstance(template: string, app: string, version: string): string {
  return template.replace('@.', `@${escaped(`${app}/${version}`)}.`)
}

/** What the instances of all versions of an app begin with: `name@shop-`. */
export function instancesBeginning(template: string, app: string): string {
  const [name = ''] = template.split('@.')
  return `${name}@${escaped(app)}-`
}

/** systemd.unit(5), "String Escaping for Inclusion in Unit Names". */
function escaped(text: string): string {
  const bytes = [...Buffer.from(text, 'utf8')].map((byte, at) => {
    const character = String.fromCharCode(byte)
    if (character === '/') return '-'
    const isPlain = /[0-9A-Za-z:_]/.test(character) || (character === '.' && at > 0)
    return isPlain ? character : `\\x${byte.toString(16).padStart(2, '0')}`
  })
  return bytes.join('')
}
