// Archives that must be refused, each with the code and the words that publishing must say.

import type { ErrorCode } from '#shared/errors.ts'
import {
  archive,
  base256,
  directory,
  end,
  file,
  gnuLong,
  gzip,
  hardLink,
  header,
  link,
  padded,
  pax,
  paxRecord,
  rawPax,
  zstd,
} from './archives.ts'

export interface HostileArchive {
  bytes: Buffer
  code: ErrorCode
  /** Must occur in the message. */
  words: RegExp
  strip?: number
}

const refused = (words: RegExp, ...parts: Buffer[]): HostileArchive => ({
  bytes: archive(...parts),
  code: 'refused-entry',
  words,
})

const bad = (words: RegExp, bytes: Buffer): HostileArchive => ({
  bytes,
  code: 'bad-archive',
  words,
})

const good = archive(directory('app/'), file('app/a', 'a'.repeat(700)), file('app/b', 'b'))
const levels = (count: number): string => Array.from({ length: count }, () => 'd').join('/')
const withSpecialBits = (mode: number): Buffer => file('app/tool', 'x', { mode })
/** A record inside the value of another: a reader that goes line by line takes it for its own. */
const smuggled = Buffer.concat([Buffer.from('\n'), paxRecord('path', 'evil')])

const names: Record<string, HostileArchive> = {
  'an absolute path': refused(/"\/etc\/passwd" is an absolute path/, file('/etc/passwd')),
  'two slashes in front': refused(/"\/\/etc\/passwd" is an absolute path/, file('//etc/passwd')),
  'a path absolute by its ustar prefix': refused(
    /"\/etc\/passwd" is an absolute path/,
    file('passwd', 'x', { prefix: '/etc' }),
  ),
  'a path that goes up by its ustar prefix': refused(
    /"\.\.\/passwd" has a "\.\." segment/,
    file('passwd', 'x', { prefix: '..' }),
  ),
  'a path that goes up': refused(/"\.\.\/evil" has a "\.\." segment/, file('../evil')),
  'a path that goes up in the middle': refused(/"a\/\.\.\/b" has a "\.\."/, file('a/../b')),
  'a path that goes up at its end': refused(/"a\/\.\." has a "\.\."/, directory('a/..')),
  'the directory above': refused(/"\.\." has a "\.\."/, directory('../')),
  'a path that goes up after ./': refused(/"\.\.\/evil" has a "\.\."/, file('./../evil')),
  'a . segment in the middle': refused(/"a\/\.\/b" has a "\."/, file('a/./b')),
  'two . segments in front': refused(/"\.\/a" has a "\."/, file('././a')),
  'an empty segment': refused(/"a\/\/b" has an empty segment/, file('a//b')),
  'two slashes at the end': refused(/"a\/" has an empty segment/, directory('a//')),
  'a link with a slash at its end': refused(/"a\/" has an empty segment/, link('a/', 'b')),
  'no name': refused(/"" has no name/, file('')),
  'a NUL in a pax path': refused(
    /"good\\u0000evil" has a NUL/,
    pax({ path: 'good\0evil' }),
    file('x'),
  ),
  'a line feed in a name': refused(/"a\\nb" has a control character/, file('a\nb')),
  'a line feed in a pax path': refused(/"a\\nb" has a control/, pax({ path: 'a\nb' }), file('x')),
  'an escape in a name': refused(/"a\\u001b\[2Jb" has a control/, file('a\u001b[2Jb')),
  'a tab in a name': refused(/"a\\tb" has a control/, file('a\tb')),
  'a DEL in a name': refused(/"a\\u007fb" has a control/, file('a\u007fb')),
  'a C1 control in a name': refused(/"a\\u0085b" has a control/, file('a\u0085b')),
  'a line separator in a name': refused(/"a\\u2028b" has a control/, file('a\u2028b')),
  'a right-to-left override': refused(/"a\\u202egnp.js" has a character/, file('a\u202egnp.js')),
  'an isolate': refused(/"a\\u2066b" has a character/, file('a\u2066b')),
  'an Arabic letter mark': refused(/"a\\u061cb" has a character/, file('a\u061cb')),
  'a backslash': refused(/"a\\\\b" has a backslash/, file('a\\b')),
  'a name in Latin-1': refused(
    /has a name that is not UTF-8/,
    file(Buffer.from([0x61, 0xe9, 0x62])),
  ),
  'a pax path in Latin-1': refused(
    /has a name that is not UTF-8/,
    pax({ path: Buffer.from([0x61, 0xe9, 0x62]) }),
    file('x'),
  ),
  'a path over 1024 bytes': refused(
    /has a path over 1024 bytes/,
    pax({ path: `${'x'.repeat(200)}/`.repeat(5) + 'x'.repeat(20) }),
    file('x'),
  ),
  'a segment over 255 bytes': refused(
    /has a segment over 255 bytes/,
    pax({ path: 'é'.repeat(128) }),
    file('x'),
  ),
  'a GNU name with a segment over 255 bytes': refused(
    /has a segment over 255 bytes/,
    gnuLong('L', 'n'.repeat(256)),
    file('n', 'x', { magic: 'ustar  \0' }),
  ),
  '65 levels': refused(/has more than 64 levels/, pax({ path: levels(65) }), file('x')),
  'a top-level .lockstep': refused(/"\.lockstep" is in "\.lockstep"/, file('.lockstep')),
  'a file below .lockstep': refused(/"\.lockstep\/serving" is in/, file('./.lockstep/serving')),
  'a .lockstep directory': refused(/"\.lockstep" is in/, directory('.lockstep/')),
  'a .lockstep after stripping': {
    ...refused(/"\.lockstep\/journal" is in/, file('app/.lockstep/journal')),
    strip: 1,
  },
  'a file that stripping leaves no name': {
    ...refused(/"README" has no name left .*--strip 1/, directory('app/'), file('README')),
    strip: 1,
  },
  'a path that goes up in what is stripped': {
    ...refused(/"\.\.\/etc\/x" has a "\.\."/, file('../etc/x')),
    strip: 1,
  },
}

const trees: Record<string, HostileArchive> = {
  'a file twice': refused(/"a" occurs twice/, file('a', '1'), file('a', '2')),
  'the same file twice': refused(/"a" occurs twice/, file('a'), file('a')),
  'a directory twice': refused(/"d" occurs twice/, directory('d/'), directory('d/')),
  'a link twice': refused(/"l" occurs twice/, link('l', 'a'), link('l', 'b')),
  'a file twice, once with ./': refused(/"a" occurs twice/, file('a'), file('./a')),
  'a file twice after stripping': {
    ...refused(/"f" occurs twice/, file('a/f'), file('b/f')),
    strip: 1,
  },
  'a directory after a file of its name': refused(/"a" occurs twice/, file('a'), directory('a/')),
  'an entry below a file': refused(/"a\/b" lies below .*"a"/, file('a'), file('a/b')),
  'an entry deep below a file': refused(/"a\/b\/c\/d" lies below/, file('a'), file('a/b/c/d')),
  'an entry below a link': refused(/"l\/x" lies below .*"l"/, link('l', 'd'), file('l/x')),
  'an entry below a link to the directory above': refused(
    /"d\/l\/x" lies below .*"d\/l"/,
    directory('d/'),
    link('d/l', '..'),
    file('d/l/x'),
  ),
  'a file where others lie below': refused(/"a" is no directory though/, file('a/b'), file('a')),
  'a link where others lie below': refused(
    /"a" is no directory though/,
    file('a/b'),
    link('a', 'c'),
  ),
  'a hard link where others lie below': refused(
    /"a" is no directory though/,
    file('x'),
    file('a/b'),
    hardLink('a', 'x'),
  ),
}

const links: Record<string, HostileArchive> = {
  'a link to an absolute path': refused(
    /"l" is a link to an absolute path .*"\/etc"/,
    link('l', '/etc'),
  ),
  'a link that goes up': refused(/"l" is a link that leaves/, link('l', '../secret')),
  'a link that goes up to just outside': refused(/"l" is a link that leaves/, link('l', '..')),
  'a link that goes down and up': refused(
    /"d\/l" is a link that leaves/,
    link('d/l', 'a/../../../x'),
  ),
  'a link that leaves and comes back': refused(/"l" is a link that leaves/, link('l', '../app/x')),
  'a link that leaves through another link': refused(
    /"l" is a link that leaves .*"x\/y\/z\/\.\.\/\.\."/,
    directory('x/'),
    directory('x/y/'),
    link('x/y/z', '../..'),
    link('l', 'x/y/z/../..'),
  ),
  'a link that leaves through a chain of links': refused(
    /is a link that leaves/,
    link('a/b/c', '../../top'),
    link('top', '.'),
    link('l', 'a/b/c/../..'),
  ),
  'a link to itself': refused(/"l" is a link that leads round/, link('l', 'l')),
  'links in a circle': refused(/is a link that leads round/, link('a', 'b/x'), link('b', 'a/y')),
  'a link to nothing': refused(/"l" is a link to nothing/, link('l', '')),
  'a link to a name with an escape': refused(/"l" is a link to a name with/, link('l', 'a\u001bb')),
  'a link to a name with a bidi character': refused(
    /"l" is a link to a name with/,
    link('l', 'a\u202eb'),
  ),
  'a link to a name with a backslash': refused(/"l" is a link to a name with/, link('l', 'a\\b')),
  'a link to a pax name with a NUL': refused(
    /"l" is a link to a name with/,
    pax({ linkpath: 'a\0b' }),
    link('l', 'a'),
  ),
  'a link to a path over 1024 bytes': refused(
    /"l" is a link to a path over 1024 bytes/,
    pax({ linkpath: 'a/'.repeat(513) }),
    link('l', 'a'),
  ),
  'a link that leaves by a GNU long target': refused(
    /"l" is a link that leaves/,
    gnuLong('K', `${'a/'.repeat(60)}${'../'.repeat(61)}x`),
    link('l', 'a', { magic: 'ustar  \0' }),
  ),
  'a hard link to nothing there': refused(/"h" is a hard link to .*"nope"/, hardLink('h', 'nope')),
  'a hard link to a later file': refused(/"h" is a hard link to/, hardLink('h', 'a'), file('a')),
  'a hard link to itself': refused(/"h" is a hard link to/, hardLink('h', 'h')),
  'a hard link to a directory': refused(/"h" is a hard link/, directory('d/'), hardLink('h', 'd')),
  'a hard link to a link': refused(/"h" is a hard link/, link('l', 'a'), hardLink('h', 'l')),
  'a hard link to an absolute path': refused(/"\/etc\/passwd" is an/, hardLink('h', '/etc/passwd')),
  'a hard link that goes up': refused(/"\.\.\/x" has a "\.\."/, hardLink('h', '../x')),
  'a setuid hard link': refused(
    /"h" is setuid, setgid or sticky/,
    file('a'),
    hardLink('h', 'a', { mode: 0o4755 }),
  ),
}

const kinds: Record<string, HostileArchive> = {
  'a character device': refused(/"dev" is a device/, header({ name: 'dev', typeflag: '3' })),
  'a block device': refused(/"dev" is a device/, header({ name: 'dev', typeflag: '4' })),
  'a named pipe': refused(/"p" is a named pipe/, header({ name: 'p', typeflag: '6' })),
  'a contiguous file': refused(/"c" is of an unknown type/, file('c', 'x', { typeflag: '7' })),
  'a GNU sparse file': refused(/"s" is a sparse file/, file('s', 'x', { typeflag: 'S' })),
  'a pax sparse file': refused(/is a sparse file/, pax({ 'GNU.sparse.major': '1' }), file('s')),
  'a sparse file of Solaris': bad(
    /unknown pax record "SUN\.holesdata"/,
    archive(pax({ 'SUN.holesdata': ' 0 5' }), file('s')),
  ),
  'a directory of an incremental backup': refused(
    /"d" is of an unknown type/,
    file('d', 'Yfile\0', { typeflag: 'D' }),
  ),
  'a volume label': refused(/"v" is of an unknown type/, header({ name: 'v', typeflag: 'V' })),
  'a continued file': refused(/"m" is of an unknown type/, file('m', 'x', { typeflag: 'M' })),
  'a pax header of Solaris': refused(/is of an unknown type/, rawPax('', 'X'), file('a')),
  'an unknown type': refused(/"z" is of an unknown type .*"Z"/, file('z', 'x', { typeflag: 'Z' })),
  'a setuid file': refused(/"app\/tool" is setuid.*mode 04755/, withSpecialBits(0o4755)),
  'a setgid file': refused(/"app\/tool" is setuid.*mode 02755/, withSpecialBits(0o2755)),
  'a sticky directory': refused(/"t" is setuid.*mode 01777/, directory('t/', { mode: 0o1777 })),
  'a setgid root': refused(/"\.\/" is setuid/, directory('./', { mode: 0o2755 })),
  'file capabilities': refused(
    /has file capabilities/,
    pax({ 'SCHILY.xattr.security.capability': Buffer.from([1, 0, 0, 2, 10, 0]) }),
    file('a'),
  ),
  'a directory with content': refused(
    /"d\/" has content/,
    file('d/', 'content', { typeflag: '5' }),
  ),
  'an old directory with content': refused(/"d\/" has content/, file('d/', 'content')),
  'a link with content': refused(
    /"l" has content/,
    file('l', 'content', { typeflag: '2', linkName: 'a' }),
  ),
  'a hard link with content': refused(
    /"h" has content/,
    file('a'),
    file('h', 'content', { typeflag: '1', linkName: 'a' }),
  ),
  'the root as a link': refused(/"\." has a "\." segment/, link('.', 'elsewhere')),
}

const headers: Record<string, HostileArchive> = {
  'a wrong checksum': bad(
    /wrong checksum \(at byte 0 /,
    archive(file('a', 'x', { checksum: '0001234\0' })),
  ),
  'a checksum that is no number': bad(
    /wrong checksum/,
    archive(file('a', 'x', { checksum: 'nonsense' })),
  ),
  'an unknown format of header': bad(
    /unknown format "ustar\\u000099"/,
    archive(file('a', 'x', { magic: 'ustar\u000099' })),
  ),
  'a negative size': bad(/bad size/, archive(header({ name: 'a', size: base256(0xff, 0xf0, 12) }))),
  'a size that is not octal': bad(
    /bad size "00000000x12/,
    archive(header({ name: 'a', size: '00000000x12' })),
  ),
  'a size with a minus': bad(/bad size/, archive(header({ name: 'a', size: '-0000000001' }))),
  'no size': bad(/bad size/, archive(header({ name: 'a', size: '\0' }))),
  'a size beyond all measure': bad(
    /bad size/,
    archive(header({ name: 'a', size: Buffer.alloc(12, 0x80) })),
  ),
  'a mode that is not octal': bad(/bad mode/, archive(file('a', 'x', { mode: 'rwxr-xr' }))),
  'a file with a link target': bad(
    /"a" has a link target/,
    archive(file('a', 'x', { linkName: 'b' })),
  ),
  'a file with a pax link target': bad(
    /"a" has a link target/,
    archive(pax({ linkpath: 'b' }), file('a')),
  ),
  'a negative size in pax': bad(/bad size "-512"/, archive(pax({ size: '-512' }), file('a'))),
  'a size in pax that is no number': bad(
    /bad size "0x10"/,
    archive(pax({ size: '0x10' }), file('a')),
  ),
  'a type in pax': bad(/unknown pax record "type"/, archive(pax({ type: 'Link' }), file('a'))),
  'a mode in pax': bad(/unknown pax record "mode"/, archive(pax({ mode: '4755' }), file('a'))),
  'an empty path in pax': bad(/empty name/, archive(pax({ path: '' }), file('a'))),
  'a pax record that counts wrong': bad(
    /malformed pax record/,
    archive(rawPax('9 path=abc\n'), file('a')),
  ),
  'a pax record that counts nothing': bad(
    /malformed pax record/,
    archive(rawPax('path=abc\n'), file('a')),
  ),
  'a pax record without a line feed': bad(
    /malformed pax record/,
    archive(rawPax('11 path=abcd'), file('a')),
  ),
  'a pax record without an equals sign': bad(
    /malformed pax record/,
    archive(rawPax('10 pathabc\n'), file('a')),
  ),
  'two paths in one pax header': bad(
    /two pax records "path"/,
    archive(rawPax(Buffer.concat([paxRecord('path', 'a'), paxRecord('path', 'b')])), file('x')),
  ),
  'a path hidden in an attribute': bad(
    /"a" can be understood in two ways/,
    archive(pax({ 'SCHILY.xattr.user.x': smuggled }), file('a')),
  ),
  'two pax headers before one entry': bad(
    /Two headers of type "x"/,
    archive(pax({ path: 'a' }), pax({ path: 'b' }), file('x')),
  ),
  'a pax path and a GNU long name': bad(
    /has its path twice/,
    archive(pax({ path: 'a' }), gnuLong('L', 'b'), file('x')),
  ),
  'a pax header without an entry': bad(
    /ends after a header/,
    archive(file('a'), pax({ path: 'b' })),
  ),
  'an empty pax header': bad(/"x" has a bad length/, archive(rawPax(''), file('a'))),
  'a pax header over 1 MiB': bad(
    /"x" has a bad length/,
    archive(pax({ comment: 'c'.repeat(1 << 20) }), file('a')),
  ),
  'a global path': bad(/global pax record "path"/, archive(pax({ path: 'evil' }, 'g'), file('a'))),
  'a global size': bad(/global pax record "size"/, archive(pax({ size: '0' }, 'g'), file('a'))),
  'a GNU long name with a second one behind a NUL': bad(
    /malformed long name/,
    archive(gnuLong('L', 'a\0\nevil'), file('x')),
  ),
}

const frames: Record<string, HostileArchive> = {
  'nothing at all': bad(/The tarball is empty/, Buffer.alloc(0)),
  'the end and nothing else': bad(/has no entries/, end),
  'the root and nothing else': bad(/has no entries/, archive(directory('./'))),
  'nothing left after stripping': {
    ...bad(/no entries left after --strip 1/, archive(directory('a/'), directory('b/'))),
    strip: 1,
  },
  'one byte': bad(/cut off/, Buffer.from('a')),
  'text': bad(/wrong checksum/, Buffer.from('hello world\n'.repeat(100))),
  'no end': bad(/lacks the two zero blocks/, good.subarray(0, -1024)),
  'half an end': bad(/cut off/, good.subarray(0, -512)),
  'a cut-off header': bad(/cut off/, good.subarray(0, 700)),
  'a cut-off content': bad(/cut off/, good.subarray(0, 1300)),
  'one zero block between entries': bad(
    /one zero block/,
    archive(file('a'), Buffer.alloc(512), file('b')),
  ),
  'an archive after the end': bad(/bytes after its end/, Buffer.concat([good, good])),
  'a byte after the end': bad(/bytes after its end/, Buffer.concat([good, Buffer.from('\0\0x')])),
  'bytes between the entries': bad(
    /bytes between its entries/,
    archive(header({ name: 'a', size: 3 }), padded(`abc${'\0'.repeat(100)}x`), file('b')),
  ),
  'a cut-off gzip': bad(/compressed data is cut off/, gzip(good).subarray(0, -5)),
  'a damaged gzip': bad(/compressed data is corrupt/, flipped(gzip(good), -6)),
  'a gzip with bytes after it': bad(
    /compressed data is corrupt/,
    Buffer.concat([gzip(good), Buffer.from('more')]),
  ),
  'a gzip with zeros and then bytes after it': bad(
    /Bytes follow after the compressed data/,
    Buffer.concat([gzip(good), Buffer.alloc(600), Buffer.from('more')]),
  ),
  'a cut-off second gzip member': bad(
    /compressed data is cut off/,
    Buffer.concat([gzip(good.subarray(0, 1024)), gzip(good.subarray(1024)).subarray(0, -4)]),
  ),
  'a cut-off zstd': bad(/compressed data is cut off/, zstd(good).subarray(0, -5)),
  'a damaged zstd': bad(/compressed data is corrupt/, flipped(zstd(good), 5)),
  'a zstd with bytes after it': bad(
    /Bytes follow after the compressed data/,
    Buffer.concat([zstd(good), Buffer.from('more')]),
  ),
  'a cut-off second zstd frame': bad(
    /compressed data is cut off/,
    Buffer.concat([zstd(good.subarray(0, 1024)), zstd(good.subarray(1024)).subarray(0, -4)]),
  ),
  'a second zstd frame with another archive': bad(
    /bytes after its end/,
    Buffer.concat([zstd(good), zstd(good)]),
  ),
  'a zstd frame with a window of 2 GiB': bad(
    /zstd window over 128 MiB/,
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00]),
  ),
  'a gzip in a gzip': bad(
    /compressed twice/,
    gzip(gzip(archive(file('a', 'x'.repeat(1e5)), ...noise()))),
  ),
  'bzip2': bad(/in the format bzip2/, Buffer.from('BZh91AY&SY')),
  'xz': bad(/in the format xz/, Buffer.from('fd377a585a000004', 'hex')),
  'zip': bad(/in the format zip/, Buffer.from('PK\u0003\u0004\u0014\0', 'latin1')),
  'lz4': bad(/in the format lz4/, Buffer.from('04224d186040', 'hex')),
  'compress': bad(/in the format compress/, Buffer.from('1f9d9061', 'hex')),
}

const sizes: Record<string, HostileArchive> = {
  'a pax size of 8 GiB that never come': bad(
    /cut off/,
    archive(pax({ size: String(8 * 1024 ** 3) }), header({ name: 'a' })),
  ),
  'a base-256 size of 8 GiB that never come': bad(
    /cut off/,
    archive(header({ name: 'a', size: Buffer.from('800000000000000200000000', 'hex') })),
  ),
}

export const hostileArchives: Readonly<Record<string, HostileArchive>> = {
  ...names,
  ...trees,
  ...links,
  ...kinds,
  ...headers,
  ...frames,
  ...sizes,
}

/** One bit of one byte changed; negative offsets count from the end. */
export function flipped(bytes: Buffer, offset: number, bit = 0): Buffer {
  const copy = Buffer.from(bytes)
  const at = offset < 0 ? copy.length + offset : offset
  copy[at] = (copy[at] ?? 0) ^ (1 << bit)
  return copy
}

/** Files that compress badly, so that a compressed archive takes more than a block. */
function noise(): Buffer[] {
  let state = 1
  const bytes = Buffer.from(
    Array.from({ length: 4096 }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return state >>> 24
    }),
  )
  return [file('noise', bytes)]
}
