// Builds tar archives by hand, block by block, good ones and ones that no tool would write.

import { constants, gzipSync, zstdCompressSync } from 'node:zlib'

const blockBytes = 512

export interface HeaderParts {
  name: string | Buffer
  typeflag?: string
  /** A number is written as octal digits; text goes into the field as it is. */
  mode?: number | string
  size?: number | string | Buffer
  linkName?: string | Buffer
  /** Eight bytes: magic and version. */
  magic?: string
  prefix?: string
  uid?: string | Buffer
  mtime?: string | Buffer
  /** Text for the field; without it the right sum. */
  checksum?: string
}

/** One header block, with a right checksum unless another is asked for. */
export function header(parts: HeaderParts): Buffer {
  const block = Buffer.alloc(blockBytes)
  put(block, 0, 100, parts.name)
  put(block, 100, 8, octal(parts.mode ?? 0o644, 8))
  put(block, 108, 8, parts.uid ?? octal(1000, 8))
  put(block, 116, 8, octal(1000, 8))
  put(block, 124, 12, typeof parts.size === 'object' ? parts.size : octal(parts.size ?? 0, 12))
  put(block, 136, 12, parts.mtime ?? octal(1_700_000_000, 12))
  put(block, 156, 1, parts.typeflag ?? '0')
  put(block, 157, 100, parts.linkName ?? '')
  put(block, 257, 8, parts.magic ?? 'ustar\u000000')
  put(block, 265, 32, 'builder')
  put(block, 345, 155, parts.prefix ?? '')
  block.write('        ', 148, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  put(block, 148, 8, parts.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `)
  return block
}

/** Content with zeros up to a whole block. */
export function padded(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([
    bytes,
    Buffer.alloc((blockBytes - (bytes.length % blockBytes)) % blockBytes),
  ])
}

export function file(
  name: string | Buffer,
  content: string | Buffer = 'content\n',
  parts: Partial<HeaderParts> = {},
): Buffer {
  const size = Buffer.byteLength(content)
  return Buffer.concat([header({ name, size, ...parts }), padded(content)])
}

export function directory(name: string, parts: Partial<HeaderParts> = {}): Buffer {
  return header({ name, typeflag: '5', mode: 0o755, ...parts })
}

export function link(name: string, target: string, parts: Partial<HeaderParts> = {}): Buffer {
  return header({ name, typeflag: '2', mode: 0o777, linkName: target, ...parts })
}

export function hardLink(name: string, target: string, parts: Partial<HeaderParts> = {}): Buffer {
  return header({ name, typeflag: '1', linkName: target, ...parts })
}

/** A pax header with its records; a value may be bytes. */
export function pax(records: Record<string, string | Buffer>, typeflag = 'x'): Buffer {
  return rawPax(
    Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value))),
    typeflag,
  )
}

/** A pax header with any body. */
export function rawPax(body: string | Buffer, typeflag = 'x'): Buffer {
  return file('PaxHeaders/0', body, { typeflag })
}

export function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length += 1
  return Buffer.concat([Buffer.from(String(length)), rest])
}

/** GNU's long name (`L`) or long link target (`K`) for the entry after it. */
export function gnuLong(typeflag: 'L' | 'K', name: string): Buffer {
  return file('././@LongLink', `${name}\0`, { typeflag, magic: 'ustar  \0' })
}

export const end = Buffer.alloc(2 * blockBytes)

export function archive(...parts: Buffer[]): Buffer {
  return Buffer.concat([...parts, end])
}

export const gzip = (bytes: Buffer): Buffer => gzipSync(bytes)
/** With a checksum of the content, as zstd(1) writes it. */
export const zstd = (bytes: Buffer): Buffer =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })

/** A negative or large number as GNU writes it: base 256, first byte 0x80 or 0xff. */
export function base256(first: number, last: number, widthBytes: number): Buffer {
  const field = Buffer.alloc(widthBytes, first === 0xff ? 0xff : 0)
  field[0] = first
  field[widthBytes - 1] = last
  return field
}

function octal(value: number | string, widthBytes: number): string {
  return typeof value === 'string' ? value : `${value.toString(8).padStart(widthBytes - 1, '0')}\0`
}

function put(block: Buffer, offset: number, widthBytes: number, value: string | Buffer): void {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  bytes.copy(block, offset, 0, Math.min(bytes.length, widthBytes))
}
