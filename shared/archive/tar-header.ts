// One 512-byte header block of a tar archive, read strictly: what two readers could understand
// differently is refused here. Knows ustar (POSIX.1-2017, pax), GNU tar and v7 headers.

import { LockstepError } from '../errors.ts'

export const blockBytes = 512

export interface TarHeader {
  /** With the ustar prefix in front; decoded as UTF-8, U+FFFD where it is none. */
  name: string
  linkName: string
  /** One character; NUL of old archives is `0`. */
  typeflag: string
  /** Permission and special bits: at most 07777. */
  mode: number
  sizeBytes: number
}

/** The tarball is not what it claims to be, at this byte of the unpacked archive. */
export function badArchive(message: string, atByte?: number, cause?: unknown): LockstepError {
  const where = atByte === undefined ? '' : ` (at byte ${atByte} of the unpacked archive)`
  return new LockstepError('bad-archive', `${message}${where}`, {
    hint: 'Create the archive anew with `tar`, and check that the upload was complete.',
    ...(atByte === undefined ? {} : { details: { atByte } }),
    ...(cause === undefined ? {} : { cause }),
  })
}

export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0)
}

/** @throws LockstepError `bad-archive` for anything that is no plain, well-formed header. */
export function parseTarHeader(block: Buffer, atByte: number): TarHeader {
  checkSum(block, atByte)
  const isPosix = checkMagic(block, atByte)
  const prefix = isPosix ? textAt(block, 345, 155) : ''
  const name = textAt(block, 0, 100)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: textAt(block, 157, 100),
    typeflag: block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0),
    mode: numberAt(block, 100, 8, 'mode', atByte) & 0o7777,
    sizeBytes: numberAt(block, 124, 12, 'size', atByte),
  }
}

/** The sum of all bytes, with the field itself taken as spaces. */
function checkSum(block: Buffer, atByte: number): void {
  const field = block.subarray(148, 156)
  const digits = /^ *([0-7]{1,7})[\0 ]*$/.exec(field.toString('latin1'))?.[1]
  const sum = block.reduce((total, byte) => total + byte, 0)
  const fieldSum = field.reduce((total, byte) => total + byte, 0)
  if (digits !== undefined && Number.parseInt(digits, 8) === sum - fieldSum + 8 * 0x20) return
  throw badArchive('A header of the tarball has a wrong checksum', atByte)
}

/** Whether the header is POSIX ustar, whose prefix field counts. */
function checkMagic(block: Buffer, atByte: number): boolean {
  const magic = block.toString('latin1', 257, 265)
  if (magic === 'ustar\u000000') return true
  if (magic === 'ustar  \0' || magic === '\0'.repeat(8)) return false
  throw badArchive(`A header of the tarball is of an unknown format ${quoted(magic)}`, atByte)
}

function textAt(block: Buffer, offset: number, widthBytes: number): string {
  const field = block.subarray(offset, offset + widthBytes)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? widthBytes : end)
}

/** Octal digits, or GNU's base-256 for large values; never negative, never half a number. */
function numberAt(
  block: Buffer,
  offset: number,
  widthBytes: number,
  what: string,
  atByte: number,
): number {
  const field = block.subarray(offset, offset + widthBytes)
  if (field[0] === 0x80) {
    const value = field.subarray(1).reduce((total, byte) => total * 256 + byte, 0)
    if (Number.isSafeInteger(value)) return value
  }
  const digits = /^ *([0-7]+)[\0 ]*$/.exec(field.toString('latin1'))?.[1]
  if (digits !== undefined) return Number.parseInt(digits, 8)
  throw badArchive(
    `A header of the tarball has a bad ${what} ${quoted(field.toString('latin1'))}`,
    atByte,
  )
}

function quoted(text: string): string {
  return JSON.stringify(text)
}
