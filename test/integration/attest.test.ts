// Attest on a real disk: every way in which an entry can stop being what was staged is found.

import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import t from 'tap'
import { deepAttest } from '#agent/attest/attest-version.ts'
import { heldReleases } from '#agent/attest/held-releases.ts'
import { quickAttest } from '#agent/attest/quick-attest.ts'
import { type RecordedEntry, writeRecord } from '#agent/attest/record.ts'
import { layoutOf, prepareLayout, recordPath, versionPath } from '#agent/layout/app-layout.ts'
import { ContentServer, type Scope } from './content-server.ts'
import { StagedApp } from './staged-app.ts'
import { releaseOf } from './test-release.ts'

const release = releaseOf('1', {
  'a/file': 'content',
  'a/other': 'other',
  'b': { directory: 0o755 },
  'link': { target: 'a/file' },
})

async function stagedApp(t: Scope): Promise<StagedApp> {
  const server = await ContentServer.start(t, release)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(release)
  return app
}

void t.test('each way to drift is found by the attest that can', async (t) => {
  const file = (app: StagedApp): string => app.path('1', 'a/file')
  const keepingTimes = (path: string, change: () => void): void => {
    const { atime, mtime } = statSync(path)
    change()
    utimesSync(path, atime, mtime)
  }
  const cases: [name: string, change: (app: StagedApp) => void, quick: string, deep: string][] = [
    ['a file gone', (app) => unlinkSync(file(app)), 'a/file missing', 'a/file missing'],
    ['a mode changed', (app) => chmodSync(file(app), 0o600), 'a/file mode', 'a/file mode'],
    ['bytes appended', (app) => appendFileSync(file(app), '!'), 'a/file size', 'a/file size'],
    ['cut', (app) => truncateSync(file(app), 1), 'a/file size', 'a/file size'],
    [
      'the same length written',
      (app) => writeFileSync(file(app), 'CONTENT'),
      'a/file mtime',
      'a/file content',
    ],
    [
      'replaced with its time kept',
      (app) => {
        keepingTimes(file(app), () => {
          writeFileSync(`${file(app)}.new`, 'CONTENT')
          renameSync(`${file(app)}.new`, file(app))
        })
      },
      'a/file inode',
      'a/file content',
    ],
    [
      'written in place with its time kept',
      (app) => keepingTimes(file(app), () => writeFileSync(file(app), 'CONTENT')),
      '',
      'a/file content',
    ],
    [
      'a directory in its place',
      (app) => {
        unlinkSync(file(app))
        mkdirSync(file(app))
      },
      'a/file type',
      'a/file type',
    ],
    [
      'a link in its place',
      (app) => {
        unlinkSync(file(app))
        symlinkSync('other', file(app))
      },
      'a/file type',
      'a/file type',
    ],
    [
      'a link to elsewhere',
      (app) => {
        // Beside it first, so that it cannot get the inode that becomes free.
        symlinkSync('/etc/passwd', app.path('1', 'new'))
        lutimesSync(app.path('1', 'new'), 946684800, 946684800)
        renameSync(app.path('1', 'new'), app.path('1', 'link'))
      },
      'link inode',
      'link target',
    ],
    [
      'a link to elsewhere with the same inode',
      (app) => {
        unlinkSync(app.path('1', 'link'))
        symlinkSync('/etc/passwd', app.path('1', 'link'))
        lutimesSync(app.path('1', 'link'), 946684800, 946684800)
        const { ino } = lstatSync(app.path('1', 'link'))
        const record = readFileSync(recordPath(app.layout, '1'), 'utf8')
        const recorded = record.replace(/^(l\t0777\t\d+\t)\d+(?=\t.*\tlink$)/m, `$1${ino}`)
        writeFileSync(recordPath(app.layout, '1'), recorded)
      },
      'link target',
      'link target',
    ],
    ['a directory gone', (app) => rmdirSync(app.path('1', 'b')), 'b missing', 'b missing'],
    ['a directory closed', (app) => chmodSync(app.path('1', 'b'), 0o700), 'b mode', 'b mode'],
    ['only touched', (app) => utimesSync(file(app), 5, 5), 'a/file mtime', ''],
    ['hard-linked elsewhere', (app) => linkSync(file(app), `${app.layout.root}/x`), '', ''],
  ]
  for (const [name, change, quick, deep] of cases) {
    const app = await stagedApp(t)
    change(app)
    const found = await quickAttest(app.layout, '1')
    t.equal(found.differences.map(({ path, kind }) => `${path} ${kind}`).join(), quick, name)
    t.equal(found.outcome, quick === '' ? 'whole' : 'drifted')
    const proven = await deepAttest(app.layout, '1')
    t.equal(
      proven.differences.map(({ path, kind }) => `${path} ${kind}`).join(),
      deep,
      `${name}, deep`,
    )
    t.equal(proven.outcome, deep === '' ? 'whole' : 'drifted')
  }
})

void t.test('what an app writes beside its files is told and is no drift', async (t) => {
  const app = await stagedApp(t)
  writeFileSync(app.path('1', 'b/cache'), 'x')
  writeFileSync(app.path('1', 'top'), 'x')
  for (const attest of [quickAttest(app.layout, '1'), deepAttest(app.layout, '1')]) {
    const { outcome, extras } = await attest
    t.equal(outcome, 'whole')
    t.same(extras.toSorted(), ['b/cache', 'top'])
  }
  rmSync(app.path('1', 'top'))
  rmSync(app.path('1', 'b/cache'))
  t.match(await quickAttest(app.layout, '1'), { outcome: 'whole', extras: [] })
})

void t.test(
  'a version that is gone as a whole is drifted, and one without a record unrecorded',
  async (t) => {
    const app = await stagedApp(t)
    renameSync(app.path('1'), app.path('2'))
    t.match(await quickAttest(app.layout, '1'), { outcome: 'drifted', tree: release.tree })
    t.match(await deepAttest(app.layout, '1'), { outcome: 'drifted', tree: release.tree })
    t.match(await quickAttest(app.layout, '2'), { outcome: 'unrecorded', tree: null })
    t.match(await deepAttest(app.layout, '2'), { outcome: 'unrecorded', tree: null })
    const { whole, drifted } = await heldReleases(app.layout)
    t.same(whole, [])
    t.match(drifted, [{ version: '1', tree: release.tree }])
  },
)

void t.test('a damaged record is none', async (t) => {
  const app = await stagedApp(t)
  const path = recordPath(app.layout, '1')
  const sound = readFileSync(path, 'utf8')
  const lines = sound.split('\n')
  const damaged: Record<string, string> = {
    'empty': '',
    'cut within a line': sound.slice(0, -5),
    'cut between lines': `${lines.slice(0, -2).join('\n')}\n`,
    'an entry twice': `${sound}${lines.at(-2)}\n`,
    'of another version': sound.replace('"version":"1"', '"version":"2"'),
    'of another format': sound.replace('lockstep-record 1', 'lockstep-record 2'),
    'a bad line': sound.replace('\nd\t', '\nx\t'),
    'no record at all': 'hello\n',
    'zeros': '\0'.repeat(sound.length),
  }
  for (const [name, text] of Object.entries(damaged)) {
    t.not(text, sound, name)
    writeFileSync(path, text)
    t.match(await quickAttest(app.layout, '1'), { outcome: 'unrecorded' }, name)
    t.same(await app.held(), [], name)
  }
  t.match(await app.stage(release), { outcome: 'adopted' }, 'and staging proves it anew')
  t.same(await app.held(), ['1'])
})

void t.test('20,000 entries take turns with the event loop', async (t) => {
  const layout = layoutOf(t.testdir({}))
  prepareLayout(layout)
  const top = versionPath(layout, '1')
  const entries: RecordedEntry[] = []
  const note = (path: string): void => {
    const { ino, mode, mtimeMs, size } = statSync(`${top}/${path}`)
    const base = { path, mode: mode & 0o7777, mtimeMs, inode: ino }
    const isDirectory = statSync(`${top}/${path}`).isDirectory()
    if (isDirectory) entries.push({ type: 'directory', ...base })
    else entries.push({ type: 'file', ...base, sizeBytes: size, sha256: '0'.repeat(64) })
  }
  mkdirSync(top)
  for (let directory = 0; directory < 100; directory += 1) {
    mkdirSync(`${top}/${directory}`)
    for (let file = 0; file < 200; file += 1) {
      writeFileSync(`${top}/${directory}/${file}`, '')
      note(`${directory}/${file}`)
    }
    note(`${directory}`)
  }
  writeRecord(layout, { version: '1', tree: release.tree, sharedPaths: [] }, entries)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startedMs = performance.now()
  t.match(await quickAttest(layout, '1'), { outcome: 'whole' })
  const tookMs = Math.round(performance.now() - startedMs)
  delay.disable()
  const [maxMs, medianMs] = [delay.max / 1e6, delay.percentile(50) / 1e6]
  t.comment(
    `${entries.length} entries in ${tookMs} ms, event loop held ${maxMs.toFixed(1)} ms at most`,
  )
  t.comment(`and ${medianMs.toFixed(1)} ms in the median; the target is 20 ms`)
  t.ok(delay.count > 5, 'the event loop had its turns in between')
})
