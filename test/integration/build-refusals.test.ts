// What `lockstep build` refuses, in which words, and that it leaves nothing behind then.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { GitRepository } from '../support/git-repository.ts'
import { ran } from './cli-run.ts'

const systemTemporary = tmpdir()
const temporary = t.testdir({ tmp: {} })
process.env['TMPDIR'] = join(temporary, 'tmp')

function tagged(t: Test, files: Readonly<Record<string, string>> = { a: '1' }) {
  const root = t.testdir({ home: {}, out: {} })
  const repository = new GitRepository(join(root, 'shop'), join(root, 'home'))
  repository.write(files).commit('v1')
  return { repository, root, out: join(root, 'out') }
}

type Tagged = ReturnType<typeof tagged>

async function refused(
  t: Test,
  { repository, out }: Tagged,
  words: readonly string[],
  expected: { exitCode: number; err: RegExp },
): Promise<void> {
  const before = readdirSync(out)
  const output = words.includes('--output') ? [] : ['--output', join(out, 'shop.tar.zst')]
  const end = await ran(['build', repository.directory, ...output, ...words], {
    env: repository.env,
  })
  t.match(end, { ...expected, out: '' }, words.join(' '))
  t.same(readdirSync(out), before, 'nothing written')
  t.same(readdirSync(join(temporary, 'tmp')), [], 'no clone is left')
}

void t.test('a tree with changes', async (t) => {
  const made = tagged(t, { a: '1', '.gitignore': 'ignored\n' })
  made.repository.write({ ignored: 'x' })
  const built = await ran(['build', made.repository.directory, '--output', join(made.out, 'x')], {
    env: made.repository.env,
  })
  t.match(built, {
    exitCode: 0,
    out: /^built .*\n {2}source {6}v1 \([0-9a-f]{40}\)\n {2}content {5}2 /,
  })
  made.repository.write({ a: '2', b: 'new' })
  const err = /changes that are not committed:\n {2}\|  M a\n {2}\| \?\? b\n {2}.*--allow-dirty/
  await refused(t, made, [], { exitCode: 1, err })
  await refused(t, made, ['--ref', 'v1'], { exitCode: 1, err })
})

void t.test('what is no repository, no tag, no directory', async (t) => {
  const made = tagged(t)
  await refused(t, made, ['--ref', 'v2'], { exitCode: 2, err: /"v2" names no tag .*\n.*--tags/ })
  await refused(t, made, ['--ref=--output=x'], { exitCode: 2, err: /names no tag/ })
  const missing = ['--source-subdir', 'web']
  await refused(t, made, missing, { exitCode: 1, err: /"web" does not exist in the build/ })
  await refused(t, made, ['--pack', 'a'], { exitCode: 1, err: /"a" is no directory/ })
  await refused(t, made, ['--pack', '../..'], {
    exitCode: 2,
    err: /--pack: "..\/.." has a ".." seg/,
  })
  const out = ['--command', 'ln -s / out', '--pack', 'out/etc']
  await refused(t, made, out, { exitCode: 1, err: /leads out of the repository/ })
  // Outside of every checkout, this one's too.
  const outside = mkdtempSync(join(systemTemporary, 'no-repository-'))
  t.teardown(() => rmSync(outside, { recursive: true }))
  for (const [directory, err] of [
    [outside, /is no git repository: fatal: not a git repository/],
    [join(made.root, 'nowhere'), /cannot be read \(ENOENT\)/],
    [join(made.repository.directory, 'a'), /is no directory/],
  ] as const) {
    t.match(await ran(['build', directory], { env: made.repository.env }), { exitCode: 2, err })
  }
  const empty = new GitRepository(join(made.root, 'empty'), join(made.root, 'home'))
  const end = await ran(['build', empty.directory], { env: empty.env })
  t.match(end, { exitCode: 2, err: /has no commit yet/ })
})

void t.test('an output that is there, or that git would see', async (t) => {
  const made = tagged(t, { a: '1', '.gitignore': '*.tar.zst*\n' })
  const { repository, out } = made
  const there = join(out, 'there')
  writeFileSync(there, 'precious')
  await refused(t, made, ['--output', there], { exitCode: 2, err: /is there already.*\n.*--force/ })
  t.equal(readFileSync(there, 'utf8'), 'precious')
  mkdirSync(join(out, 'dir'))
  await refused(t, made, ['--output', join(out, 'dir'), '--force'], { exitCode: 2, err: /there/ })
  await refused(t, made, ['--output', join(out, 'no/x')], {
    exitCode: 2,
    err: /no directory to wr/,
  })
  const inside = join(repository.directory, 'shop.tgz')
  await refused(t, made, ['--output', inside], {
    exitCode: 2,
    err: /in the repository.*\n.*ignore/,
  })
  const kept = join(repository.directory, '.git/x.tar.zst')
  await refused(t, made, ['--output', kept], { exitCode: 2, err: /in the repository/ })
  const ignored = join(repository.directory, 'shop.tar.zst')
  const words = ['build', repository.directory, '--output', ignored]
  t.equal((await ran(words, { env: repository.env })).exitCode, 0)
  t.equal((await ran(words, { env: repository.env })).exitCode, 2)
  t.equal((await ran([...words, '--force'], { env: repository.env })).exitCode, 0)
})

void t.test('a command that fails, with its last words', async (t) => {
  const made = tagged(t)
  const many = 'i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; done; echo bad >&2; exit 7'
  const err =
    /ended with exit code 7\n {2}\| line 3\d\n(?: {2}\| line \d+\n)+ {2}\| bad\n {2}It ran in a clean clone/
  await refused(t, made, ['--command', many], { exitCode: 1, err })
  await refused(t, made, ['--command', 'false; true'], { exitCode: 1, err: /exit code 1/ })
  await refused(t, made, ['--command', 'kill -9 $$'], { exitCode: 1, err: /exit code 137/ })
  await refused(t, made, ['--command', 'no-such-tool'], { exitCode: 1, err: /exit code 127/ })
  const second = ['--command', 'true', '--command', 'echo no; exit 1', '--command', 'echo never']
  await refused(t, made, second, { exitCode: 1, err: /\$ echo no; exit 1\n {2}\| no\n/ })
  await refused(t, made, ['--command', 'chmod -R 500 . ; exit 1'], { exitCode: 1, err: /code 1/ })
})

void t.test('what the operating system refuses', async (t) => {
  const made = tagged(t)
  const long = join(made.out, 'x'.repeat(240))
  await refused(t, made, ['--output', long], { exitCode: 1, err: /ENAMETOOLONG.*\(build-failed\)/ })
})

void t.test('no git', async (t) => {
  const { repository } = tagged(t)
  const end = await ran(['build', repository.directory], { env: { PATH: '/nowhere' } })
  t.match(end, { exitCode: 1, err: /git is not installed/ })
})

void t.test('an entry that publishing would refuse, by name', async (t) => {
  const made = tagged(t)
  for (const [command, err] of [
    ['chmod u+s a', /"a" is setuid, setgid or sticky/],
    ['ln -s /etc/passwd l', /"l" is a link to an absolute path/],
    ['mkdir d; ln -s ../../x d/l', /"d\/l" is a link that leaves the release/],
    ['ln -s . d; ln -s d/.. l', /"l" is a link that leaves the release/],
    ['mkfifo pipe', /"pipe" is a named pipe/],
    ['mkdir -p .lockstep/x', /".lockstep" is in ".lockstep"/],
    [`touch "$(printf 'x\\ty')"`, /has a control character in its name/],
    [`touch "$(printf 'x\\377')"`, /has a name that is not UTF-8/],
    [`touch 'a\\b'`, /has a backslash/],
  ] as const) {
    const said = new RegExp(`${err.source}.*\\n.*with --exclude`)
    await refused(t, made, ['--command', command], { exitCode: 1, err: said })
  }
  await refused(t, made, ['--exclude', '*'], { exitCode: 1, err: /nothing is left to pack/ })
  const bomb = ['--command', 'dd if=/dev/zero of=zeros bs=1M count=70 2> /dev/null']
  await refused(t, made, bomb, { exitCode: 1, err: /200 times its size/ })
})

void t.test('a descriptor that publishing would refuse', async (t) => {
  const made = tagged(t, { a: '1', 'lockstep.json': '{"requires":{"os":["linux"]}}' })
  const output = join(made.out, 'good')
  const words = ['build', made.repository.directory, '--output', output]
  t.equal((await ran(words, { env: made.repository.env })).exitCode, 0)
  const wrong = ['--command', `echo '{"requires":{"os":["plan9"]}}' > lockstep.json`]
  await refused(t, made, wrong, { exitCode: 1, err: /requires\.os/ })
  const link = ['--command', 'mv lockstep.json b; ln -s b lockstep.json']
  await refused(t, made, link, { exitCode: 1, err: /is a link/ })
})

void t.test('a build file with mistakes', async (t) => {
  for (const [text, err] of [
    ['{', /lockstep.build.json is no JSON/],
    ['[]', /lockstep.build.json is wrong: must be object/],
    ['{"command": "npm ci"}', /lockstep.build.json is wrong at \/command: unknown key/],
    ['{"commands": "npm ci"}', /wrong at \/commands: must be array/],
    ['{"commands": [[]]}', /wrong at \/commands\/0/],
    ['{"pack": "../x"}', /names a bad directory/],
  ] as const) {
    const made = tagged(t, { 'lockstep.build.json': text })
    await refused(t, made, [], { exitCode: 1, err })
  }
})
