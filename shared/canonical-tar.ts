// The canonical tar: the one way in which a release's entries are written as a tar stream, so that
// `tar x` reads it and the agent can compare each header with the one it expects.
// Pure: headers from manifest entries. ustar of POSIX.1-2017, pax, "ustar Interchange Format";
// a pax extended header only where a name is too long for ustar. docs/protocol.md, "Pack".

import assert from 'node:assert/strict'
import { type ManifestEntry, mtimeSecondsOf } from './manifest.ts'

const blockBytes = 512
const nameBytesMax = 100
const typeflags = { file: '0', link: '2', directory: '5', pax: 'x' } as const

/** Two blocks of zeros end an archive. */
export const tarEndBytes = 2 * blockBytes

/** How many zero bytes follow a file's content. */
export function tarPaddingBytes(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes
}

/**
 * Everything that stands before an entry's content: 512 bytes, and before them a pax header and
 * its records when path or link target take more than 100 bytes. Nothing of who built the archive,
 * where or when is in it.
 */
export function tarHeaderOf(entry: ManifestEntry): Uint8Array {
  const path = Buffer.from(entry.type === 'directory' ? `${entry.path}/` : entry.path)
  const target = Buffer.from(entry.type === 'link' ? entry.target : '')
  const main = headerBlock({
    name: cut(path),
    target: cut(target),
    typeflag: typeflags[entry.type],
    mode: entry.type === 'link' ? 0o777 : entry.mode,
    sizeBytes: entry.type === 'file' ? entry.sizeBytes : 0,
    mtimeSeconds: mtimeSecondsOf(entry),
  })
  const records = Buffer.concat([
    path.length > nameBytesMax ? paxRecord('path', path) : Buffer.alloc(0),
    target.length > nameBytesMax ? paxRecord('linkpath', target) : Buffer.alloc(0),
  ])
  return records.length === 0 ? main : Buffer.concat([...paxBlocks(entry, records), main])
}

/** The length of a whole canonical tar with these entries, end blocks included. */
export function canonicalTarBytes(entries: Iterable<ManifestEntry>): number {
  let total = tarEndBytes
  for (const entry of entries) {
    total += tarHeaderOf(entry).length
    if (entry.type === 'file') total += entry.sizeBytes + tarPaddingBytes(entry.sizeBytes)
  }
  return total
}

/** A name as far as it fits, whole UTF-8 characters only; a pax record then carries all of it. */
function cut(name: Buffer): Buffer {
  if (name.length <= nameBytesMax) return name
  let end = nameBytesMax
  while (((name[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return name.subarray(0, end)
}

function paxBlocks(entry: ManifestEntry, records: Buffer): Buffer[] {
  const header = headerBlock({
    name: Buffer.from('PaxHeader'),
    target: Buffer.alloc(0),
    typeflag: typeflags.pax,
    mode: 0o644,
    sizeBytes: records.length,
    mtimeSeconds: mtimeSecondsOf({ type: 'directory', path: entry.path, mode: 0 }),
  })
  return [header, records, Buffer.alloc(tarPaddingBytes(records.length))]
}

/** `"%d %s=%s\n"`, where the number counts the whole record with itself. */
function paxRecord(keyword: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${keyword}=`), value, Buffer.from('\n')])
  let length = rest.length
  while (length !== rest.length + String(length).length) {
    length = rest.length + String(length).length
  }
  return Buffer.concat([Buffer.from(String(length)), rest])
}

interface HeaderFields {
  name: Buffer
  target: Buffer
  typeflag: string
  mode: number
  sizeBytes: number
  mtimeSeconds: number
}

function headerBlock(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(blockBytes)
  fields.name.copy(block, 0)
  writeOctal(block, fields.mode, 100, 8)
  writeOctal(block, 0, 108, 8) // uid
  writeOctal(block, 0, 116, 8) // gid
  writeOctal(block, fields.sizeBytes, 124, 12)
  writeOctal(block, fields.mtimeSeconds, 136, 12)
  block.write('        ', 148, 'latin1') // the checksum counts as spaces while it is summed
  block.write(fields.typeflag, 156, 'latin1')
  fields.target.copy(block, 157)
  block.write('ustar\u000000', 257, 'latin1')
  writeOctal(block, 0, 329, 8) // devmajor
  writeOctal(block, 0, 337, 8) // devminor
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** Octal digits to the width of the field, and a NUL. */
function writeOctal(block: Buffer, value: number, offset: number, widthBytes: number): void {
  const digits = value.toString(8).padStart(widthBytes - 1, '0')
  assert(digits.length < widthBytes, `${value} does not fit into ${widthBytes} octal bytes`)
  block.write(`${digits}\0`, offset, 'latin1')
}
