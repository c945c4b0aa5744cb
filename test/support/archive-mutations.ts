// Seeded damage to archives, and an oracle of its own for the manifests of those that are accepted
// all the same. The oracle knows the rules in other words than the product, and shares none of it.

import { createHash } from 'node:crypto'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'

export type Random = () => number

/** mulberry32: small, seeded, good enough to choose places. */
export function randomNumbers(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const blockBytes = 512
/** Offset and width of the fields that readers act on, the checksum left out. */
const fields = [
  [0, 100],
  [100, 8],
  [124, 12],
  [156, 1],
  [157, 100],
  [257, 8],
  [345, 155],
] as const
const words = ['..', '/', '../x', '/x', '.', '', '\0', '\\', '\n', '\u202e', '.lockstep', '7777777']

type Mutate = (bytes: Buffer, other: Buffer, random: Random) => Buffer

const below = (random: Random, count: number): number => Math.floor(random() * count)

function flip(bytes: Buffer, _other: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  for (let count = 1 + below(random, 4); count > 0; count -= 1) {
    const at = below(random, copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << below(random, 8))
  }
  return copy
}

/** Damage that a checksum does not show: a field of a header changed, and the sum made right. */
function fuzzHeader(bytes: Buffer, _other: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  const at = below(random, Math.max(1, Math.floor(copy.length / blockBytes))) * blockBytes
  const block = copy.subarray(at, at + blockBytes)
  const [offset, width] = fields[below(random, fields.length)] ?? fields[0]
  const field = block.subarray(offset, offset + width)
  const way = below(random, 3)
  if (way === 0) field[below(random, field.length)] = below(random, 256)
  else if (way === 1) field.write(words[below(random, words.length)] ?? '', 0, 'utf8')
  else field.fill(0).write(String.fromCharCode(0x30 + below(random, 48)), 0, 'latin1')
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return copy
}

function truncate(bytes: Buffer, _other: Buffer, random: Random): Buffer {
  return bytes.subarray(0, below(random, bytes.length))
}

/** A run of blocks a second time, somewhere. */
function duplicate(bytes: Buffer, _other: Buffer, random: Random): Buffer {
  const blocks = Math.floor(bytes.length / blockBytes)
  const from = below(random, blocks) * blockBytes
  const to = from + (1 + below(random, 4)) * blockBytes
  const at = below(random, blocks + 1) * blockBytes
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, to), bytes.subarray(at)])
}

/** The beginning of one archive and the end of another, mostly cut between blocks. */
function splice(bytes: Buffer, other: Buffer, random: Random): Buffer {
  const unit = random() < 0.9 ? blockBytes : 1
  const until = below(random, bytes.length / unit) * unit
  const from = below(random, other.length / unit) * unit
  return Buffer.concat([bytes.subarray(0, until), other.subarray(from)])
}

/** The compressed bytes themselves flipped, cut off, repeated or put together from two. */
function inCompressed(bytes: Buffer, other: Buffer, random: Random): Buffer {
  const compress = random() < 0.5 ? gzipSync : withChecksum
  const [packed, second] = [compress(bytes), compress(other)]
  const way = below(random, 4)
  if (way === 0) return truncate(packed, second, random)
  if (way === 1) return Buffer.concat([packed, second.subarray(0, below(random, second.length))])
  if (way === 2) {
    const cut = below(random, packed.length)
    return Buffer.concat([packed.subarray(0, cut), second.subarray(below(random, second.length))])
  }
  return flip(packed, second, random)
}

const withChecksum = (bytes: Buffer): Buffer =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })

const kinds: Readonly<Record<string, Mutate>> = {
  flip,
  'header': fuzzHeader,
  truncate,
  duplicate,
  splice,
  'compressed': inCompressed,
}

/** One damaged archive, made of two of `corpus`, which holds plain ones. */
export function mutated(
  corpus: readonly Buffer[],
  random: Random,
): { kind: string; bytes: Buffer } {
  const names = Object.keys(kinds)
  const kind = names[below(random, names.length)] ?? 'flip'
  const pick = (): Buffer => corpus[below(random, corpus.length)] ?? Buffer.alloc(0)
  const [one, other] = [pick(), pick()]
  return { kind, bytes: kinds[kind]?.(one, other, random) ?? one }
}

/** What is wrong with a manifest that was accepted; empty when it keeps every rule. */
export function faultsOf(manifest: string, tree: string): string[] {
  const faults: string[] = []
  const say = (holds: boolean, what: string): void => void (holds || faults.push(what))
  say(createHash('sha256').update(manifest).digest('hex') === tree, 'the digest')
  const [first, ...lines] = manifest.split('\n')
  say(first === 'lockstep-manifest 1' && lines.pop() === '', 'the frame')
  say(lines.length > 0, 'no entries')
  const types = new Map<string, string>()
  let previous = ''
  for (const line of lines) {
    const parts = line.split('\t')
    const [type = '', path = ''] = [parts[0], parts.at(-1)]
    say(parts.length === ({ d: 3, f: 5, l: 3 }[type] ?? 0), `the form of ${line}`)
    say(Buffer.compare(Buffer.from(previous), Buffer.from(path)) < 0, `the order of ${path}`)
    say(type === 'l' || /^0[0-7][0145]{2}$/.test(parts[1] ?? ''), `mode ${line}`)
    const names = path.split('/')
    const odd = names.some((n) => ['', '.', '..'].includes(n) || Buffer.byteLength(n) > 255)
    say(!odd && names[0] !== '.lockstep' && names.length <= 64, `the names of ${path}`)
    const unsafe = /[\p{Cc}\\\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c\ufffd]/u
    say(!unsafe.test(path) && Buffer.byteLength(path) <= 1024, `the characters of ${path}`)
    const parent = names.slice(0, -1).join('/')
    say(parent === '' || types.get(parent) === 'd', `what ${path} lies below`)
    if (type === 'l') {
      const target = parts[1] ?? ''
      say(target !== '' && !target.startsWith('/') && !unsafe.test(target), `the link ${line}`)
      let depth = names.length - 1
      for (const name of target.split('/')) {
        depth += name === '..' ? -1 : name === '' || name === '.' ? 0 : 1
        say(depth >= 0, `the link ${line} leaves`)
      }
    }
    types.set(path, type)
    previous = path
  }
  return faults
}
