// Reads the settings of PHP-FPM that a swap depends on: from what `php-fpm -i` prints, or from its .ini
// files. Pure.

export interface PhpSettings {
  /** `php-fpm8.2`, or the directory of its files. */
  readonly source: string
  readonly opcacheEnabled: boolean
  readonly validateTimestamps: boolean
  readonly revalidateSeconds: number
  readonly maxAcceleratedFiles: number
  readonly realpathCacheSeconds: number
}

/** What PHP does when nothing says otherwise: https://www.php.net/manual/en/opcache.configuration.php */
const defaults: Readonly<Record<string, string>> = {
  'opcache.enable': '1',
  'opcache.validate_timestamps': '1',
  'opcache.revalidate_freq': '2',
  'opcache.max_accelerated_files': '10000',
  'realpath_cache_ttl': '120',
}

/** Lines such as `opcache.enable => On => On`, local value first; the extension may be absent. */
export function settingsOfInfo(source: string, text: string): PhpSettings {
  const found = new Map<string, string>()
  for (const [, name = '', value = ''] of text.matchAll(/^([\w.]+) => ([^\n]*?) => /gm)) {
    found.set(name, value.trim())
  }
  // Without the extension none of its settings is listed.
  if (!found.has('opcache.enable')) found.set('opcache.enable', '0')
  return settingsOf(source, found)
}

/** @param texts of php.ini, of conf.d/ in the order of names, then of the pools: later ones win */
export function settingsOfFiles(source: string, texts: readonly string[]): PhpSettings {
  const found = new Map<string, string>()
  const admin = /^php_(?:admin_)?(?:value|flag)\[([\w.]+)\]$/
  for (const line of texts.join('\n').split('\n')) {
    const [, key = '', value = ''] = /^\s*([^;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    const name = admin.exec(key)?.[1] ?? key
    if (name in defaults)
      found.set(name, value.replace(/\s*;.*$/, '').replaceAll(/^["']|["']$/g, ''))
  }
  return settingsOf(source, found)
}

function settingsOf(source: string, found: ReadonlyMap<string, string>): PhpSettings {
  const text = (name: string) => found.get(name) ?? defaults[name] ?? ''
  const flag = (name: string) => /^(?:1|on|yes|true)$/i.test(text(name))
  return {
    source,
    opcacheEnabled: flag('opcache.enable'),
    validateTimestamps: flag('opcache.validate_timestamps'),
    revalidateSeconds: Number(text('opcache.revalidate_freq')),
    maxAcceleratedFiles: Number(text('opcache.max_accelerated_files')),
    realpathCacheSeconds: Number(text('realpath_cache_ttl')),
  }
}
