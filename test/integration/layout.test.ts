// The directories of an app and its link, on a real disk.

import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type AppLayout, layoutOf, prepareLayout, versionPath } from '#agent/layout/app-layout.ts'
import {
  activateVersion,
  goBackTo,
  observeCurrent,
  removeStaleLinks,
} from '#agent/layout/current-link.ts'
import { relabelServing, removeServing, writeServing } from '#agent/layout/serving-file.ts'
import type { Scope } from './content-server.ts'

function preparedLayout(t: Scope, ...versions: string[]): AppLayout {
  const layout = layoutOf(join(t.testdir({}), 'sites/shop'))
  prepareLayout(layout)
  for (const version of versions) mkdirSync(versionPath(layout, version))
  return layout
}

void t.test('preparing creates what lacks, whatever the umask, and can be repeated', async (t) => {
  const umask = process.umask(0o077)
  t.teardown(() => process.umask(umask))
  const layout = preparedLayout(t)
  prepareLayout(layout)
  const modeOf = (path: string): number => statSync(path).mode & 0o7777
  t.equal(modeOf(join(layout.root, '..')), 0o755)
  t.equal(modeOf(layout.root), 0o755)
  t.equal(modeOf(layout.versions), 0o755)
  t.equal(modeOf(layout.shared), 0o755)
  t.equal(modeOf(layout.lockstep), 0o755, 'open, for who looks whether it serves')
  t.equal(modeOf(layout.records), 0o700)
})

void t.test('preparing takes over a root as another tool left it', async (t) => {
  const root = t.testdir({})
  mkdirSync(join(root, 'releases/20240102'), { recursive: true })
  mkdirSync(join(root, 'shared/log'), { recursive: true })
  symlinkSync('releases/20240102', join(root, 'current'))
  const layout = layoutOf(root)
  prepareLayout(layout)
  t.same(observeCurrent(layout), { kind: 'foreign', link: 'releases/20240102', resolves: true })
  t.ok(existsSync(join(root, 'shared/log')))
})

void t.test('what is in the way is said', async (t) => {
  const root = t.testdir({})
  writeFileSync(join(root, 'versions'), 'a file')
  t.throws(() => prepareLayout(layoutOf(root)), {
    code: 'disk-error',
    message: `${join(root, 'versions')} is no directory`,
  })
})

void t.test('versions on another file system is found before anything is staged', async (t) => {
  const root = t.testdir({})
  symlinkSync('/dev/shm', join(root, 'versions'))
  const isOther = statSync('/dev/shm').dev !== statSync(root).dev
  if (!isOther) {
    t.comment('/dev/shm is on the file system of the project: the check cannot be shown here')
    return
  }
  t.throws(() => prepareLayout(layoutOf(root)), {
    code: 'disk-error',
    message: /another file system/,
  })
})

void t.test('versions out of the root is found, since links to shared/ would dangle', async (t) => {
  const root = join(t.testdir({}), 'root')
  mkdirSync(join(root, '../versions'), { recursive: true })
  mkdirSync(join(root, 'releases'), { recursive: true })
  symlinkSync('../versions', join(root, 'versions'))
  t.throws(() => prepareLayout(layoutOf(root)), { code: 'disk-error', message: /leads out of/ })
  unlinkSync(join(root, 'versions'))
  symlinkSync('releases', join(root, 'versions'))
  t.doesNotThrow(() => prepareLayout(layoutOf(root)), 'another name beside shared/ will do')
})

void t.test('current is seen as what it is', async (t) => {
  const layout = preparedLayout(t, '1.0', '2.0')
  const link = (target: string): void => {
    if (lstatSync(layout.current, { throwIfNoEntry: false }) !== undefined) {
      t.ok(readlinkSync(layout.current))
      symlinkSync(target, `${layout.current}.new`)
      renameSync(`${layout.current}.new`, layout.current)
    } else symlinkSync(target, layout.current)
  }
  t.same(observeCurrent(layout), { kind: 'none' })
  mkdirSync(join(versionPath(layout, '1.0'), 'public'))
  mkdirSync(join(layout.root, 'releases/7'), { recursive: true })
  writeFileSync(join(layout.root, 'file'), '')
  const cases: [string, object][] = [
    ['versions/1.0', { kind: 'release', version: '1.0' }],
    ['./versions/../versions/2.0/', { kind: 'release', version: '2.0' }],
    [versionPath(layout, '1.0'), { kind: 'release', version: '1.0' }],
    ['versions/3.0', { kind: 'foreign', resolves: false }],
    ['versions/1.0/public', { kind: 'foreign', resolves: true }],
    ['versions', { kind: 'foreign', resolves: true }],
    ['releases/7', { kind: 'foreign', resolves: true }],
    ['file', { kind: 'foreign', resolves: false }],
    ['current', { kind: 'foreign', resolves: false }],
  ]
  for (const [target, expected] of cases) {
    link(target)
    t.same(observeCurrent(layout), { link: target, ...expected }, target)
  }
})

void t.test('activating points the link to the version, relatively, and says when', async (t) => {
  const layout = preparedLayout(t, '1.0', '2.0')
  const before = performance.now()
  const first = activateVersion(layout, '1.0')
  t.match(first, { link: 'versions/1.0', replaced: { kind: 'none' } })
  t.ok(before <= first.renameStartedMs && first.renameStartedMs <= first.renameEndedMs)
  const second = activateVersion(layout, '2.0')
  t.match(second.replaced, { kind: 'release', version: '1.0', link: 'versions/1.0' })
  t.equal(readlinkSync(layout.current), 'versions/2.0')
  t.match(activateVersion(layout, '2.0'), { link: 'versions/2.0' }, 'it can be repeated')
  t.same(readdirSync(layout.root).toSorted(), ['.lockstep', 'current', 'shared', 'versions'])
})

void t.test('any link is replaced, drifted, dangling or foreign', async (t) => {
  const layout = preparedLayout(t, '1.0')
  for (const target of ['versions/gone', '/etc', 'current']) {
    symlinkSync(target, `${layout.current}.new`)
    renameSync(`${layout.current}.new`, layout.current)
    t.match(activateVersion(layout, '1.0').replaced, { kind: 'foreign', link: target })
  }
})

void t.test('a real directory or file is never replaced', async (t) => {
  const asDirectory = preparedLayout(t, '1.0')
  mkdirSync(asDirectory.current)
  t.throws(() => activateVersion(asDirectory, '1.0'), { code: 'current-is-directory' })
  t.throws(() => goBackTo(asDirectory, 'versions/1.0'), { code: 'current-is-directory' })
  t.same(observeCurrent(asDirectory), { kind: 'directory' })
  t.ok(statSync(asDirectory.current).isDirectory())

  const asFile = layoutOf(t.testdir({}))
  prepareLayout(asFile)
  mkdirSync(versionPath(asFile, '1.0'))
  writeFileSync(asFile.current, 'precious')
  t.throws(() => activateVersion(asFile, '1.0'), { code: 'current-is-directory' })
  t.same(observeCurrent(asFile), { kind: 'directory' })
})

void t.test('a version that is not there is never pointed to', async (t) => {
  const layout = preparedLayout(t, '1.0')
  activateVersion(layout, '1.0')
  t.throws(() => activateVersion(layout, '2.0'), { code: 'tree-drifted' })
  symlinkSync('1.0', versionPath(layout, '3.0'))
  t.throws(() => activateVersion(layout, '3.0'), { code: 'tree-drifted' }, 'nor to a link')
  t.throws(() => activateVersion(layout, '../../etc'), { code: 'bad-name' })
  t.equal(readlinkSync(layout.current), 'versions/1.0')
})

void t.test('going back restores the text of the link, while it leads somewhere', async (t) => {
  const layout = preparedLayout(t, '1.0')
  mkdirSync(join(layout.root, 'releases/7'), { recursive: true })
  activateVersion(layout, '1.0')
  t.match(goBackTo(layout, 'releases/7').replaced, { kind: 'release', version: '1.0' })
  t.equal(readlinkSync(layout.current), 'releases/7')
  t.throws(() => goBackTo(layout, 'releases/6'), {
    code: 'activate-failed',
    details: { link: 'releases/6', renamed: false },
  })
  t.equal(readlinkSync(layout.current), 'releases/7')
})

void t.test('links that a crash left beside current are removed at the start', async (t) => {
  const layout = preparedLayout(t, '1.0')
  activateVersion(layout, '1.0')
  symlinkSync('versions/1.0', join(layout.root, '.lockstep-current-0123456789abcdef'))
  symlinkSync('versions/1.0', join(layout.root, '.lockstep-current-of-somebody'))
  removeStaleLinks(layout)
  t.same(readdirSync(layout.root).toSorted(), [
    '.lockstep',
    '.lockstep-current-of-somebody',
    'current',
    'shared',
    'versions',
  ])
})

void t.test('the serving file is there only while it is said', async (t) => {
  const layout = preparedLayout(t)
  removeServing(layout)
  writeServing(layout, '1.0')
  writeServing(layout, '2.0')
  t.equal(statSync(layout.serving).mode & 0o7777, 0o644)
  t.same(readdirSync(layout.lockstep).toSorted(), ['manifests', 'records', 'serving', 'trash'])
  removeServing(layout)
  t.notOk(existsSync(layout.serving))
})

void t.test('through a swap it stays, with the name of what runs since', async (t) => {
  const layout = preparedLayout(t)
  relabelServing(layout, '1.0')
  t.notOk(existsSync(layout.serving), 'a host that does not serve is not made to')
  writeServing(layout, '1.0')
  relabelServing(layout, '2.0')
  t.equal(readFileSync(layout.serving, 'utf8'), '2.0\n')
})
