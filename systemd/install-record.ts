// What installing left on the host that its files do not tell: which accounts it made, and which
// directories outside the services' own it worked with. Uninstalling reads it; it outlives uninstalling
// for as long as one of the accounts does.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureDirectory, removeFile, unlessMissing, writeFileDurably } from './durable-file.ts'
import { at, configurationMode, type Host, installed, services } from './host.ts'

export interface InstallRecord {
  /** Their names. An account that was there before is not ours to remove. */
  readonly accountsCreated: readonly string[]
  /** App roots, and state and data directories of the operator's own choice. */
  readonly directories: readonly string[]
}

const recordPath = join(installed.configurationDirectory, 'installed.json')

export async function readRecord(host: Host): Promise<InstallRecord> {
  const text = await unlessMissing(readFile(at(host, recordPath), 'utf8'))
  return parseRecord(text ?? '{}')
}

/** Adds to the record. */
export async function extendRecord(host: Host, addition: Partial<InstallRecord>): Promise<void> {
  const record = await readRecord(host)
  const extended: InstallRecord = {
    accountsCreated: union(record.accountsCreated, addition.accountsCreated),
    directories: union(record.directories, addition.directories),
  }
  await ensureDirectory(at(host, installed.configurationDirectory), configurationMode)
  await writeRecord(host, extended)
}

/** Takes an account that is no more out of the record. */
export async function forgetAccount(host: Host, name: string): Promise<InstallRecord> {
  const record = await readRecord(host)
  if (!record.accountsCreated.includes(name)) return record
  const accountsCreated = record.accountsCreated.filter((other) => other !== name)
  const shortened = { ...record, accountsCreated }
  await writeRecord(host, shortened)
  return shortened
}

export async function removeRecord(host: Host): Promise<void> {
  await removeFile(at(host, recordPath))
}

function writeRecord(host: Host, record: InstallRecord): Promise<unknown> {
  return writeFileDurably(at(host, recordPath), {
    content: `${JSON.stringify(record, null, 2)}\n`,
    mode: 0o640,
  })
}

function union(some: readonly string[], others: readonly string[] = []): string[] {
  return [...new Set([...some, ...others])].toSorted()
}

/** A record that somebody broke claims nothing: then nothing of it is removed. */
function parseRecord(text: string): InstallRecord {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) return { accountsCreated: [], directories: [] }
  // The form of before each service had an account of its own: one word about the one account.
  const isOlder = 'accountCreated' in value && value.accountCreated === true
  const older = isOlder ? [services.agent.account] : []
  return {
    accountsCreated: union(older, 'accountsCreated' in value ? textsOf(value.accountsCreated) : []),
    directories: 'directories' in value ? textsOf(value.directories) : [],
  }
}

function textsOf(value: unknown): string[] {
  if (!Array.isArray(value)) return []
  return value.filter((text): text is string => typeof text === 'string')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
