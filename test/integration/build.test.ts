// `lockstep build` on real git repositories: the same commit is the same bytes whoever builds it and
// where, and they are the bytes of the controller's own pack.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { zstdDecompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { list } from 'tar'
import { openContentLibrary } from '#controller/content/content-library.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { sha256Hex } from '#shared/ids.ts'
import { GitRepository } from '../support/git-repository.ts'
import { buildPublisher, publishBytes } from '../support/publishing.ts'
import { ran, run } from './cli-run.ts'

const program = join(import.meta.dirname, '../../bin/lockstep')

/** A temporary directory of the test's own, in which a build must leave nothing. */
const temporary = t.testdir({ tmp: {} })
process.env['TMPDIR'] = join(temporary, 'tmp')
const leftBehind = (): string[] => readdirSync(join(temporary, 'tmp'))

interface Place {
  readonly repository: GitRepository
  readonly out: string
  readonly env: Record<string, string>
}

function place(t: Test): Place {
  const root = t.testdir({ home: {}, out: {} })
  const repository = new GitRepository(join(root, 'shop'), join(root, 'home'))
  return { repository, out: join(root, 'out'), env: repository.env }
}

function shop(t: Test): Place {
  const made = place(t)
  const long = `${'a'.repeat(90)}/${'b'.repeat(90)}.js`
  made.repository.write({
    'index.js': 'console.log(1)\n',
    'bin/run': '#!/bin/sh\n',
    [long]: 'long\n',
    'größe.txt': 'ä\n',
    'empty': '',
    'large.bin': Buffer.alloc(1_500_000, 'a large file of the shop\n'),
  })
  chmodSync(join(made.repository.directory, 'bin/run'), 0o755)
  symlinkSync('../index.js', join(made.repository.directory, 'bin/index'))
  return made
}

async function build(
  { repository, out, env }: Place,
  words: readonly string[] = [],
  name = 'shop.tar.zst',
) {
  const output = join(out, name)
  const end = await ran(['build', repository.directory, '--output', output, '--json', ...words], {
    env,
  })
  const built = end.exitCode === 0 ? JSON.parse(end.out) : {}
  return { ...end, built, output }
}

async function namesIn(tarball: string): Promise<string[]> {
  const names: string[] = []
  const parser = list({ onReadEntry: (entry) => void names.push(entry.path) })
  const ended = once(parser, 'end')
  parser.end(zstdDecompressSync(readFileSync(tarball)))
  await ended
  return names
}

void t.test('twice, from two clones, by two users, is the same bytes', async (t) => {
  const made = shop(t)
  made.repository.write({
    'lockstep.build.json': JSON.stringify({
      commands: [
        'mkdir -p made/deep; umask > made/umask; date > made/zone',
        ['cp', 'index.js', 'made/deep/x'],
      ],
      exclude: ['zone'],
    }),
  })
  made.repository.commit('v1')
  const first = await build(made)
  t.match(first, { exitCode: 0 }, first.err)

  const elsewhere = join(made.out, '../else/where')
  made.repository.git('clone', '--quiet', made.repository.directory, elsewhere)
  const output = join(made.out, 'second.tar.zst')
  const words = ['build', elsewhere, '--ref', 'v1', '--output', output]
  const script = 'umask 077; exec "$0" "$@"'
  const second = spawnSync('sh', ['-c', script, program, ...words], {
    env: { ...process.env, ...made.env, TZ: 'Asia/Tokyo', LC_ALL: 'C', NODE_OPTIONS: '' },
    encoding: 'utf8',
  })
  t.equal(second.status, 0, second.stderr)
  t.ok(readFileSync(first.output).equals(readFileSync(output)), 'byte for byte')
  t.same(leftBehind(), [])
  t.same(readdirSync(made.out).toSorted(), [
    'second.tar.zst',
    'second.tar.zst.provenance.json',
    'shop.tar.zst',
    'shop.tar.zst.provenance.json',
  ])
})

void t.test('publishing takes it as it is, and packs the very bytes', async (t) => {
  const made = shop(t)
  made.repository.write(
    Object.fromEntries(
      Array.from({ length: 400 }, (_, at) => [`modules/m${at}/index.js`, `${at}\n`.repeat(at * 9)]),
    ),
  )
  made.repository.commit('v1')
  const { built, output } = await build(made)
  const bytes = readFileSync(output)
  t.equal(built.artifact, sha256Hex(bytes))
  t.equal(built.artifactBytes, bytes.length)
  const library = await openContentLibrary(join(made.out, 'data'))
  const published = await publishBytes(buildPublisher(library.store), bytes)
  t.match(built, {
    tree: published.tree,
    artifact: published.artifact,
    entries: published.entries,
    treeBytes: published.treeBytes,
  })
  const pack = await library.openPack(published.tree, null)
  t.ok((await buffer(await pack.read())).equals(bytes), 'the pack that hosts fetch')
  pack.close()
  await library.close()
})

void t.test('only what the commit has, and what the commands make of it', async (t) => {
  const made = shop(t)
  made.repository.write({ '.gitignore': 'node_modules\n', 'web/src.js': '\n', 'web/a.map': '' })
  made.repository.commit('v1')
  made.repository.write({ 'node_modules/x': 'of the developer', 'new.js': 'not committed' })
  const home = made.env['HOME'] ?? ''
  writeFileSync(join(home, 'post-checkout'), '#!/bin/sh\necho > hooked\n', { mode: 0o755 })
  writeFileSync(join(home, '.gitconfig'), `[core]\n\tautocrlf = true\n\thooksPath = ${home}\n`)
  const command = 'mkdir -p dist/maps; cp src.js dist/app.js; touch dist/app.map dist/maps/x'
  const options = ['--source-subdir', 'web', '--pack', 'dist', '--allow-dirty']
  const { output, built } = await build(made, [
    ...options,
    '--command',
    command,
    '--exclude',
    '*.map',
    '--exclude',
    'maps/*',
  ])
  t.same(await namesIn(output), ['app.js', 'maps/'])
  t.equal(built.provenance.predicate.buildDefinition.internalParameters.dirty, true)
  const whole = await build(made, ['--allow-dirty', '--exclude', 'a*/'], 'whole.tar.zst')
  t.equal(built.treeBytes, 1, 'no byte more than committed')
  const names = await namesIn(whole.output)
  t.ok(names.includes('bin/index'))
  t.notOk(names.some((name) => /^aaa|\.git\/|node_modules|new\.js|hooked|a\.map/.test(name)))
})

void t.test(
  'commands see no secret of ours, no GIT_ variable, and the time of the commit',
  async (t) => {
    const made = place(t)
    made.repository.write({ a: '1' }).commit('v1')
    const secrets = { LOCKSTEP_TOKEN_FILE: '/t', LOCKSTEP_SIGNING_KEY: 'k' }
    const env = { ...made.env, ...secrets, GIT_DIR: '/nowhere', GIT_INDEX_FILE: '/x' }
    const command =
      'env | grep -E "^(GIT_DIR|GIT_INDEX|LOCKSTEP_|SOURCE_|TZ)" | sort > env; cat env'
    const end = await build({ ...made, env }, ['--command', command])
    t.equal(end.exitCode, 0, end.err)
    const seconds = made.repository.git('log', '-1', '--format=%ct').trim()
    t.match(end.err, `\n  | SOURCE_DATE_EPOCH=${seconds}\n  | TZ=UTC\npacking\n`)
    t.notMatch(end.err, /LOCKSTEP_[A-Z_]+=|GIT_DIR=/)
  },
)

void t.test('submodules are checked out, by the address of the repository', async (t) => {
  const made = place(t)
  const root = join(made.repository.directory, '..')
  const library = new GitRepository(join(root, 'library'), join(root, 'home'))
  const commit = library.write({ 'lib.js': 'lib' }).commit()
  made.repository.git('remote', 'add', 'origin', join(root, 'shop'))
  made.repository.git('submodule', '--quiet', 'add', '../library', 'vendor/library')
  made.repository.commit('v1')
  writeFileSync(join(root, 'home/.gitconfig'), '[protocol "file"]\n\tallow = always\n')
  const { output, built, err } = await build(made)
  t.same(
    await namesIn(output),
    ['.gitmodules', 'vendor/', 'vendor/library/', 'vendor/library/lib.js'],
    err,
  )
  t.match(built.provenance.predicate.buildDefinition.resolvedDependencies, [
    { name: 'source' },
    { name: 'submodule vendor/library', digest: { gitCommit: commit } },
  ])
})

void t.test('the provenance says of what, by what and how, and no password', async (t) => {
  const made = place(t)
  const commit = made.repository.write({ a: '1' }).commit('v1')
  const address = 'https://ci:secret@git.example.com/shop.git?token=secret'
  made.repository.git('remote', 'add', 'origin', address)
  const { built, output } = await build(made, ['--command', 'node --version > node'])
  const written = JSON.parse(readFileSync(`${output}.provenance.json`, 'utf8'))
  t.same(written, built.provenance)
  t.notMatch(JSON.stringify(built), /secret/)
  t.match(written, {
    subject: [
      { name: 'shop.tar.zst', digest: { sha256: built.artifact, lockstepTree: built.tree } },
    ],
    predicate: {
      buildDefinition: {
        externalParameters: {
          repository: 'https://git.example.com/shop.git',
          tag: 'v1',
          commands: ['node --version > node'],
        },
        internalParameters: { dirty: false, untagged: false },
        resolvedDependencies: [
          {
            uri: 'git+https://git.example.com/shop.git@refs/tags/v1',
            digest: { gitCommit: commit },
          },
        ],
      },
      runDetails: {
        builder: { version: { lockstep: '1.2.3', git: /^git version/, node: /^v\d/ } },
        metadata: { invocationId: 'key-1', startedOn: /^20.*Z$/ },
      },
    },
  })
})

void t.test('a commit without a tag, another commit, a bare repository', async (t) => {
  const made = place(t)
  made.repository.write({ a: '1' }).commit('v1')
  const later = made.repository.write({ a: '2' }).commit()
  t.match(await build(made), { exitCode: 1, err: /\(untagged-source\)\n {2}Tag it/ })
  t.match(await build(made, ['--ref', 'main']), { exitCode: 1, err: /untagged-source/ })
  t.match((await build(made, ['--allow-untagged'], 'a')).built, { commit: later, tag: null })
  t.match((await build(made, ['--ref', 'v1'], 'b')).built, { tag: 'v1', entries: 1 })
  made.repository.git('tag', 'v1.9')
  made.repository.git('tag', '--annotate', '--message', 'ten', 'v1.10')
  t.match((await build(made, [], 'c')).built, { commit: later, tag: 'v1.10' })
  const bare = join(made.out, 'shop.git')
  made.repository.git('clone', '--quiet', '--bare', made.repository.directory, bare)
  const words = ['build', bare, '--output', join(made.out, 'd'), '--json']
  t.match(JSON.parse((await ran(words, { env: made.env })).out), { commit: later, tag: 'v1.10' })
})

void t.test('Ctrl-C stops the command with all it started, and leaves nothing', async (t) => {
  const made = place(t)
  made.repository.write({ a: '1' }).commit('v1')
  const child = `trap '' TERM; echo $$ > ${made.out}/pid; echo started; exec sleep 600`
  const command = `sh -c "${child.replaceAll('$', '\\$')}" & wait`
  const words = ['build', made.repository.directory, '--output', join(made.out, 'x')]
  const building = run([...words, '--command', command], { env: made.env })
  await building.err.line(/^ {2}\| started$/)
  building.interrupt()
  t.equal(await building.exitCode, 130)
  t.match(building.err.text, /interrupted; nothing was built\n$/)
  const pid = Number(readFileSync(join(made.out, 'pid'), 'utf8'))
  t.ok(hasEnded(pid))
  t.same(readdirSync(made.out), ['pid'])
  t.same(leftBehind(), [])
})

void t.test('Ctrl-C while packing leaves nothing', async (t) => {
  const made = place(t)
  made.repository.write({ a: '1' }).commit('v1')
  const words = ['build', made.repository.directory, '--output', join(made.out, 'x')]
  const command = 'head -c 300000000 /dev/zero > large'
  const building = run([...words, '--command', command], { env: made.env })
  await building.err.line(/^packing$/)
  building.interrupt()
  t.equal(await building.exitCode, 130, building.err.text)
  t.same([...readdirSync(made.out), ...leftBehind()], [])
})

void t.test('a file that Git LFS did not fetch is told of', async (t) => {
  const made = place(t)
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n'
  made.repository.write({ 'a.bin': pointer, 'b.bin': '1' }).commit('v1')
  t.match(await build(made), { exitCode: 0, err: /Git LFS is not set up: .* instead of a\.bin\n/ })
})

/** Also when nobody has waited for it yet: proc_pid_stat(5). */
function hasEnded(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch (error) {
    return systemCodeOf(error) === 'ENOENT'
  }
}

void t.test('what a command leaves running is ended before its files are read', async (t) => {
  const made = place(t)
  made.repository.write({ a: '1' }).commit('v1')
  const leave = '(trap "" HUP TERM; while :; do echo x >> grows; done) & echo left'
  const end = await build(made, ['--command', leave])
  t.equal(end.exitCode, 0, end.err)
  t.same(leftBehind(), [])
})
