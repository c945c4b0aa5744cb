// The instance of a hook's template unit: app and version, escaped as systemd-escape(1) does it, so
// that %I in the unit is `shop/0.0.12`. Owns names only.

/** @param template `name@.service` @returns `name@shop-0.0.12.service` */
export function unitInstance(template: string, app: string, version: string): string {
  return template.replace('@.', `@${escaped(`${app}/${version}`)}.`)
}

/** Whether the unit is an instance of the template for any version of the app. */
export function isInstanceOf(unit: string, template: string, app: string): boolean {
  const [name = '', suffix = ''] = template.split('@.')
  return unit.startsWith(`${name}@${escaped(app)}-`) && unit.endsWith(`.${suffix}`)
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
