// A host is asked for real: fixed command lines, found in PATH, whatever the programs do.

import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkFit } from '#agent/fit/check-fit.ts'
import { hostFacts } from '#agent/fit/host-facts.ts'
import { knownCommands } from '#agent/fit/known-commands.ts'
import { limits } from '#shared/limits.ts'

interface Host {
  /** Its PATH; the tools that scripts need come behind it, and nothing else of this machine. */
  readonly path: string
  readonly release: string
  /** Lays a program into the host's PATH. */
  program(name: string, script: string): string
  fit(
    requires: unknown,
    options?: { commands?: Record<string, string[]>; timeoutMs?: number; signal?: AbortSignal },
  ): Promise<string>
}

function hostIn(t: Test): Host {
  const root = t.testdir({ bin: {}, tools: {}, release: {} })
  const [bin, tools, release] = [join(root, 'bin'), join(root, 'tools'), join(root, 'release')]
  for (const tool of ['head', 'sleep', 'yes']) symlinkSync(`/usr/bin/${tool}`, join(tools, tool))
  const path = `relative::${bin}:${tools}`
  return {
    path,
    release,
    program(name, script) {
      const file = join(bin, name)
      writeFileSync(file, `#!/bin/sh\n${script}\n`)
      chmodSync(file, 0o755)
      return file
    },
    async fit(requires, { commands = {}, timeoutMs = 10_000, signal } = {}) {
      writeFileSync(join(release, 'lockstep.json'), JSON.stringify({ requires }))
      const outcome = await checkFit(
        release,
        { app: 'shop', commands },
        { path, timeoutMs, signal: signal ?? new AbortController().signal },
      )
      if (outcome.kind === 'done') return 'fits'
      t.equal(outcome.failure.code, 'unfit')
      return `${outcome.failure.message} | ${outcome.failure.hint}`
    },
  }
}

void t.test(
  'a release without a descriptor fits, one that is no descriptor does not',
  async (t) => {
    const { release } = hostIn(t)
    const shop = { app: 'shop', commands: {} }
    const { signal } = new AbortController()
    const path = join(release, 'lockstep.json')
    t.same(await checkFit(release, shop, { signal }), { kind: 'done' })
    writeFileSync(path, '{"require":{}}')
    t.match(await checkFit(release, shop, { signal }), {
      kind: 'failed',
      failure: { code: 'unfit', message: /"require" is no known member/ },
    })
    writeFileSync(path, ' '.repeat(limits.descriptorBytesMax + 1))
    t.match(await checkFit(release, shop, { signal }), { failure: { message: /no file of a/ } })
    mkdirSync(join(release, 'sub'))
    symlinkSync('../lockstep.json', join(release, 'sub/lockstep.json'))
    t.match(await checkFit(join(release, 'sub'), shop, { signal }), { kind: 'failed' }, 'no link')
  },
)

void t.test('what is lacking is said all at once, with what the host has', async (t) => {
  const host = hostIn(t)
  host.program('php', 'test "$*" = "-n -v" && echo "PHP 8.1.27 (cli) (built: Jan 1 2024)"')
  const { os, arch, libc } = await hostFacts(
    [],
    {},
    {
      path: '',
      timeoutMs: 1,
      signal: new AbortController().signal,
    },
  )
  t.equal(os, process.platform)
  t.equal(arch, process.arch)
  t.ok(libc !== null && ['glibc', 'musl'].includes(libc.name), 'this host has a C library')
  t.equal(await host.fit({ os: [os], arch: [arch], commands: { php: '>= 8.1, < 8.2' } }), 'fits')
  t.equal(
    await host.fit({ os: ['darwin'], commands: { php: '>= 8.2', ruby: '>= 3', blender: '> 3' } }),
    `os darwin is required, this host is ${os}; php >= 8.2 is required, this host has php 8.1.27; ` +
      'ruby >= 3 is required, this host has no ruby; ' +
      'blender > 3 is required, this host does not know how to ask blender for its version | ' +
      'Say how to ask in agent.toml: [apps.shop.commands] blender = ["/path/to/blender", "--version"]. ' +
      'Install what is lacking, or deploy without this host.',
  )
})

void t.test('the owner says how a command is asked, of one that is known too', async (t) => {
  const host = hostIn(t)
  const blender = host.program('blender', 'test "$1" = --say && echo "Blender 3.6.5 (hash)"')
  host.program('php', 'echo "PHP 8.1.27"')
  const other = host.program('php8.3', 'echo "this is php, 8.3.1"')
  const commands = { blender: [blender, '--say'], php: [other] }
  t.equal(await host.fit({ commands: { blender: '= 3.6.5', php: '= 8.3' } }, { commands }), 'fits')
  const gone = { blender: [`${blender}-gone`] }
  t.match(await host.fit({ commands: { blender: '*' } }, { commands: gone }), /has no blender/)
  const bare = { blender: ['blender', '--say'] }
  t.equal(await host.fit({ commands: { blender: '>= 3' } }, { commands: bare }), 'fits')
})

void t.test('of programs with one name for each version it is not guessed which', async (t) => {
  const host = hostIn(t)
  const fpm = host.program('php-fpm8.2', 'echo "PHP 8.2.14 (fpm-fcgi)"')
  const path = join(fpm, '..')
  symlinkSync('php-fpm8.2', join(path, 'php-fpm'))
  t.equal(await host.fit({ commands: { 'php-fpm': '= 8.2' } }), 'fits', 'a link is no second one')
  host.program('php-fpm8.3', 'echo "PHP 8.3.1 (fpm-fcgi)"')
  t.match(
    await host.fit({ commands: { 'php-fpm': '= 8.2' } }),
    /has php-fpm, which is there more than once \(\S+php-fpm, \S+php-fpm8\.3\)/,
  )
})

void t.test('a program that hangs, floods, fails or says nothing has a defined end', async (t) => {
  const host = hostIn(t)
  const marks = host.release
  host.program('java', `sleep 1000 & echo $! > ${marks}/child; wait`)
  host.program('node', 'yes "no version here" | head -c 50000000; echo 99.9')
  host.program('git', 'exit 3')
  host.program('go', 'printf "\\377\\376 go1.21.3 linux"')
  host.program('perl', 'kill -9 $$')
  const requires = { commands: { java: '*', node: '*', git: '*', go: '>= 1.21', perl: '*' } }
  // Long enough for the others: each is over in moments.
  const said = await host.fit(requires, { timeoutMs: 3000 })
  t.match(said, /has java, which gave no answer within 3 s/)
  t.match(said, /has node, which answered no version but "no version here"/)
  t.match(said, /has git, which answered no version but ""/)
  t.match(said, /has perl, which answered no version/)
  t.notMatch(said, /go >=/)
  const child = readFileSync(join(marks, 'child'), 'utf8').trim()
  await ended(child)
})

void t.test('a child that keeps the output open holds up nothing', async (t) => {
  const host = hostIn(t)
  const mark = join(host.release, 'child')
  host.program('php', `sleep 1000 & echo $! > ${mark}; echo "PHP 8.2.1"`)
  t.equal(await host.fit({ commands: { php: '= 8.2' } }, { timeoutMs: 600_000 }), 'fits')
  await ended(readFileSync(mark, 'utf8').trim())
})

void t.test('a program that cannot be started is said so', async (t) => {
  const host = hostIn(t)
  const php = host.program('php', '')
  writeFileSync(php, '#!/no/such/shell\n')
  t.match(await host.fit({ commands: { php: '*' } }), /which could not be started: spawn/)
})

void t.test('asking ends at once when it is no longer wanted', async (t) => {
  const host = hostIn(t)
  const mark = join(host.release, 'child')
  host.program('php', `echo $$ > ${mark}; sleep 1000`)
  const aborter = new AbortController()
  const asked = host.fit({ commands: { php: '*' } }, { signal: aborter.signal })
  while (!existsSync(mark) || readFileSync(mark, 'utf8') === '') {
    await new Promise(setImmediate)
  }
  aborter.abort()
  t.match(await asked, /told something else/)
  await ended(readFileSync(mark, 'utf8').trim())
})

void t.test('the known commands that are here say their version', async (t) => {
  const path = process.env['PATH'] ?? ''
  const { signal } = new AbortController()
  const names = [...knownCommands.keys()]
  const { commands } = await hostFacts(names, {}, { path, timeoutMs: 60_000, signal })
  const found = names.flatMap((name) => {
    const fact = commands.get(name)
    return fact?.kind === 'found' ? [`${name} ${fact.version}`] : []
  })
  t.ok(found.some((text) => text.startsWith('node ')))
  t.comment(found.join(', '))
})

void t.test('what known programs print is understood', async (t) => {
  const said: Record<string, [output: string, version: string]> = {
    'php': ['PHP 8.2.7 (cli) (built: Jun  9 2023 19:37:27) (NTS)', '8.2.7'],
    'composer': ['Composer version 2.5.5 2023-03-21 11:50:05', '2.5.5'],
    'java': ['openjdk version "17.0.9" 2023-10-17', '17.0.9'],
    'perl': ['\nThis is perl 5, version 36, subversion 0 (v5.36.0) built for x86', '5.36.0'],
    'ruby': ['ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]', '3.1.2'],
    'go': ['go version go1.21.3 linux/amd64', '1.21.3'],
    'nginx': ['nginx version: nginx/1.22.1', '1.22.1'],
    'apache2': ['Server version: Apache/2.4.57 (Debian)', '2.4.57'],
    'psql': ['psql (PostgreSQL) 15.5 (Debian 15.5-0+deb12u1)', '15.5'],
    'mysql': ['mysql  Ver 15.1 Distrib 10.11.4-MariaDB, for debian-linux-gnu', '10.11.4'],
    'mysqldump': ['mysqldump  Ver 8.0.35 for Linux on x86_64 (MySQL)', '8.0.35'],
    'mariadb': ['mariadb from 11.4.2-MariaDB, client 15.2 for debian', '11.4.2'],
    'redis-server': ['Redis server v=7.0.11 sha=00000000:0 malloc=jemalloc', '7.0.11'],
    'ffmpeg': ['ffmpeg version n6.0-34 Copyright (c) 2000-2023', '6.0'],
    'convert': ['Version: ImageMagick 6.9.11-60 Q16 x86_64', '6.9.11'],
    'bash': ['GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)', '5.2.15'],
    'systemctl': ['systemd 252 (252.17-1~deb12u1)', '252'],
    'caddy': ['v2.7.6 h1:w0NymbG2m9PcvKWsrXO6EEkY9Ru4FJK8uQbYcev1p3A=', '2.7.6'],
  }
  for (const [name, [output, version]] of Object.entries(said)) {
    t.equal(knownCommands.get(name)?.pattern.exec(output)?.[1], version, name)
  }
})

/** What was killed is gone a moment later. */
async function ended(pid: string): Promise<void> {
  while (isRunning(pid)) await new Promise(setImmediate)
}

/** A zombie that nobody has waited for yet has ended. */
function isRunning(pid: string): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

void t.test('the documentation names every known command', async (t) => {
  const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  const [, list = ''] = /looked for in its own `PATH`: ([^.]+)\./.exec(text) ?? []
  t.same(list.split(/,\s+/), [...knownCommands.keys()].toSorted())
})
