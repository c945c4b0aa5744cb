// Reads what nginx-judgement.ts and php-judgement.ts judge: nginx's configuration and PHP-FPM's settings.
// Only looks.

import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { seen } from './disk-facts.ts'
import type { Machine } from './machine.ts'
import { type Directive, parseNginx, splitDump } from './nginx-configuration.ts'
import { type PhpSettings, settingsOfFiles, settingsOfInfo } from './php-settings.ts'

/** Null where there is no nginx, or its configuration cannot be read. */
export async function readNginx(machine: Machine): Promise<readonly Directive[] | null> {
  const { exitCode, stdout } = await machine.run('nginx', ['-T', '-q'])
  const dump = exitCode === 0 ? splitDump(stdout) : new Map<string, string>()
  const [main] = dump.keys()
  if (main !== undefined) return parseNginx(dump, main)
  // Only root may ask nginx itself: it opens its log and its keys.
  const files = await filesBelow(machine.nginxDirectory)
  const path = join(machine.nginxDirectory, 'nginx.conf')
  return files.has(path) ? parseNginx(files, path) : null
}

/** Of every PHP-FPM that is there. */
export async function readPhp(machine: Machine): Promise<PhpSettings[]> {
  const names = (await seen(() => readdir(machine.systemBinaries))) ?? []
  const found: PhpSettings[] = []
  for (const name of names.filter((one) => /^php-fpm[0-9.]*$/.test(one)).toSorted()) {
    const { exitCode, stdout } = await machine.run(join(machine.systemBinaries, name), ['-i'])
    if (exitCode === 0) found.push(settingsOfInfo(name, stdout))
  }
  return found.length > 0 ? found : await readPhpFiles(machine.phpDirectory)
}

async function readPhpFiles(directory: string): Promise<PhpSettings[]> {
  const found: PhpSettings[] = []
  for (const version of ((await seen(() => readdir(directory))) ?? []).toSorted()) {
    const fpm = join(directory, version, 'fpm')
    const main = await seen(() => readFile(join(fpm, 'php.ini'), 'utf8'))
    if (main === null) continue
    const scanned = [...(await filesBelow(join(fpm, 'conf.d'))).values()]
    const pools = [...(await filesBelow(join(fpm, 'pool.d'))).values()]
    found.push(settingsOfFiles(fpm, [main, ...scanned, ...pools]))
  }
  return found
}

/** Texts by path, in the order of their paths; links are followed, what cannot be read is left out. */
async function filesBelow(directory: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  const names = (await seen(() => readdir(directory, { recursive: true }))) ?? []
  for (const name of names.toSorted()) {
    if (/\.(?:key|pem|crt)$/.test(basename(name))) continue
    const text = await seen(() => readFile(join(directory, name), 'utf8'))
    if (text !== null) files.set(join(directory, name), text)
  }
  return files
}
