// What installing left on the host that its files do not tell: whether it made the account, and which
// directories outside the services' own it worked with. Uninstalling reads it; it outlives uninstalling
// for as long as the account does.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureDirectory, removeFile, unlessMissing, writeFileDurably } from './durable-file.ts'
import { at, type Host, installed } from './host.ts'

export interface InstallRecord {
  /** An account that was there before is not ours to remove. */
  readonly accountCreated: boolean
  /** App roots, and state and data directories of the operator's own choice. */
  readonly directories: readonly string[]
}

const recordPath = join(installed.configurationDirectory, 'installed.json')

export async function readRecord(host: Host): Promise<InstallRecord> {
  const text = await unlessMissing(readFile(at(host, recordPath), 'utf8'))
  return parseRecord(text ?? '{}')
}

/** Adds to the record; nothing is ever taken out of it. */
export async function extendRecord(host: Host, addition: Partial<InstallRecord>): Promise<void> {
  const record = await readRecord(host)
  const extended: InstallRecord = {
    accountCreated: record.accountCreated || addition.accountCreated === true,
    directories: [...new Set([...record.directories, ...(addition.directories ?? [])])].toSorted(),
  }
  await ensureDirectory(at(host, installed.configurationDirectory), 0o750)
  await writeFileDurably(at(host, recordPath), {
    content: `${JSON.stringify(extended, null, 2)}\n`,
    mode: 0o640,
  })
}

export async function removeRecord(host: Host): Promise<void> {
  await removeFile(at(host, recordPath))
}

/** A record that somebody broke claims nothing: then nothing of it is removed. */
function parseRecord(text: string): InstallRecord {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) return { accountCreated: false, directories: [] }
  const directories = 'directories' in value ? value.directories : []
  return {
    accountCreated: 'accountCreated' in value && value.accountCreated === true,
    directories: Array.isArray(directories)
      ? directories.filter((path): path is string => typeof path === 'string')
      : [],
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
