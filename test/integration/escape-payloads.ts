// Texts that try to move a cursor, forge a line or hide in one, and what of them may never be written as
// it is. Every hostile text that could end a line goes on with a mark that no honest line begins with.

/** No line of any output begins with it: it stands only behind line ends of hostile text. */
const forged = 'FORGED'

/** Control characters but the line end, what is invisible or turns the direction, halves of pairs. */
const raw: readonly (readonly [first: number, last: number])[] = [
  [0, 0x09],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xd800, 0xdfff],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff9, 0xfffb],
  [0x1bca0, 0x1bca3],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
]

/** Every character that should have been written out, as hexadecimal numbers. */
export function rawCharactersIn(text: string): string[] {
  const codes = Array.from(new Set(text), (character) => character.codePointAt(0) ?? 0)
  const found = codes.filter((code) => raw.some(([first, last]) => code >= first && code <= last))
  return found.map((code) => code.toString(16))
}

export function forgedLinesIn(text: string): string[] {
  return text.split('\n').filter((line) => line.trimStart().startsWith(forged))
}

/** A payload as a test may call it: its reporter is no more than a terminal. */
export function nameOf(payload: string): string {
  return encodeURIComponent(payload.slice(0, 30).toWellFormed())
}

function range(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, at) => String.fromCodePoint(first + at))
}

const lineEnds = ['\n', '\r', '\r\n', '\n\r', '\v', '\f', '\u0085', '\u2028', '\u2029']

/** None is one of the sequences that the command itself writes on a terminal. */
const sequences = [
  '2J',
  'H',
  '1;1H',
  '999A',
  '999D',
  '3J',
  'K',
  '1K',
  '?25l',
  '?1049h',
  '6n',
  'c',
  '5i',
  '4h',
  '0m',
  '7m',
  '8m',
  '31;1m',
  '38;5;196m',
  '38;2;0;0;0m',
  '20t',
  '21t',
  '>c',
  '=c',
  's',
  'u',
].flatMap((end) => [`\u001b[${end}`, `\u009b${end}`])

const strings = [
  '0;title',
  '8;;http://x.invalid',
  '52;c;bHM=',
  '4;1;?',
  '10;?',
  '50;x',
  '1337;x',
].flatMap((body) => [
  `\u001b]${body}\u0007`,
  `\u001b]${body}\u001b\\`,
  `\u009d${body}\u009c`,
  `\u001bP${body}\u001b\\`,
  `\u0090${body}\u009c`,
  `\u001b_${body}\u001b\\`,
  `\u001b^${body}\u001b\\`,
  `\u001bX${body}\u001b\\`,
])

const fakeLines = [
  'lockstep: all is well',
  '{"level":30,"msg":"committed"}',
  '<3>a priority',
  '14:03:22  committed: shop 6.6.6',
  'web-1 once | done',
]

const others = [0xad, 0x34f, 0x115f, 0x3164, 0xfeff, 0xfffb, 0x180e, 0xfe0f, 0xffa0].map((code) =>
  String.fromCodePoint(code),
)
const repeated = ['\u001b', '\u009b', '\u202e', '\u200b', '\b', '\u{e0041}']

/** At least 300, all different. */
export const payloads: readonly string[] = [
  ...new Set([
    ...[...range(0, 0x1f), ...range(0x7f, 0x9f)].flatMap((one) => [
      `c${one}${lineEnds.includes(one) ? forged : ''}`,
      `${one}${forged}${one}${forged}`,
    ]),
    ...[...range(0x202a, 0x202e), ...range(0x2066, 0x2069), '\u061c', '\u200e', '\u200f'].flatMap(
      (one) => [one, `gpj${one}.exe`],
    ),
    ...others,
    ...range(0x200b, 0x200d),
    ...range(0x2060, 0x2065),
    ...range(0x206a, 0x206f),
    ...range(0xe0000, 0xe0007),
    '\u{e0041}',
    '\u{e007f}',
    '\u{e01ef}',
    '\u{1d173}',
    '\u{1bca0}',
    '\ud800',
    '\udbff',
    '\udc00',
    '\udfff',
    '\udc00\ud800',
    'a\ud83db',
    '\ude00z',
    '\ud800\u001b',
    ...sequences,
    ...strings,
    ...['c', '7', '8', 'D', 'M', 'E', '(0', ')B', '#8', '=', '>', 'N', 'O', '%G', '\u001b', ''].map(
      (end) => `\u001b${end}`,
    ),
    ...lineEnds.flatMap((end) => fakeLines.map((line) => `x${end}${forged} ${line}`)),
    ...repeated.map((one) => one.repeat(40)),
    '\u001b[2',
    '\u001b]0;',
    '\u0090',
    '\u001b[\u0018',
    '\\u001b\u001b',
    '%1b\u001b',
    '\u001b\r\n',
  ]),
]

/** The payloads put together to texts that are not cut off where they are shown. */
export const packs: readonly string[] = packed(1500)

function packed(charactersMax: number): string[] {
  return payloads.reduce<string[]>((all, payload) => {
    const last = all.at(-1)
    const isFull = last === undefined || last.length + payload.length >= charactersMax
    if (isFull) return [...all, payload]
    return [...all.slice(0, -1), `${last}|${payload}`]
  }, [])
}
