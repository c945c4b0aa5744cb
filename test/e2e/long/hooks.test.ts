// Hooks with processes: their order on every host, what becomes of a rollout when one fails or never
// ends, and that their words reach whoever follows.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemCodeOf } from '#shared/errors.ts'
import { smallRelease } from '../../support/small-release.ts'
import { Fleet } from '../fleet/fleet.ts'
import { endedInTruth } from '../fleet/truth.ts'

const directory = mkdtempSync(join(tmpdir(), 'lockstep-hooks-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))
const script = join(directory, 'hook')
// A file named for a host, a hook and a version says what goes wrong there.
writeFileSync(
  script,
  `#!/bin/sh
echo "$2 $LOCKSTEP_VERSION" >> ${directory}/ran-$1
echo "words of $2"
case "$(cat ${directory}/$1-$2-$LOCKSTEP_VERSION 2> /dev/null)" in
fail) echo 'no luck' >&2; exit 4 ;;
hang) setsid sleep 4321 & exec yes ;;
esac
`,
  { mode: 0o755 },
)

const hooks = ['after-stage', 'before-activate', 'after-activate', 'on-rollback', 'on-failure']
const names = ['web-1', 'web-2', 'web-3']
const fleet = await Fleet.start(t, names, {
  settings: (name) =>
    hooks
      .map(
        (hook) =>
          `[apps.shop.hooks.${hook}]\nrun = ["${script}", "${name}", "${hook}"]\ntimeout = "2s"\n`,
      )
      .join(''),
})
for (const version of ['1', '2', '3', '4', '5']) {
  await fleet.publish(version, smallRelease(version))
}

/** What ran on the host since the last look. */
function ranOn(name: string): string[] {
  const file = join(directory, `ran-${name}`)
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  rmSync(file, { force: true })
  return lines
}

function letGoWrong(name: string, hook: string, version: string, how: 'fail' | 'hang'): void {
  writeFileSync(join(directory, `${name}-${hook}-${version}`), how)
}

function currents(): (string | null)[] {
  return fleet.hosts.map((host) => host.current())
}

void t.test('every host runs them in their order, for the release that it goes to', async (t) => {
  await fleet.deploy('1')
  const view = await fleet.deploy('2')
  const there = (version: string) =>
    ['after-stage', 'before-activate', 'after-activate'].map((hook) => `${hook} ${version}`)
  for (const name of names) t.same(ranOn(name), [...there('1'), ...there('2')], name)
  const { items } = await fleet.client.output(view.id, 0)
  const said = items.map(({ host, hook, text }) => `${host} ${hook}: ${text}`)
  const expected = names.flatMap((name) =>
    hooks.slice(0, 3).map((hook) => `${name} ${hook}: words of ${hook}`),
  )
  t.same(said.toSorted(), expected.toSorted(), 'their words came up')
})

void t.test('one that fails before the rename takes the fleet back', async (t) => {
  letGoWrong('web-2', 'before-activate', '3', 'fail')
  const view = await endedInTruth(fleet, await fleet.begin('3'))
  t.match(view, { phase: 'rolled-back', exitCode: 3 })
  t.same(currents(), ['2', '2', '2'])
  const failure = view.participants.find(({ name }) => name === 'web-2')?.failure
  t.match(failure, { code: 'hook-failed', message: /before-activate: .* exited with 4/ })
  const ran = ranOn('web-2')
  t.same(ran.slice(0, 3), ['after-stage 3', 'before-activate 3', 'on-failure 3'])
  for (const name of ['web-1', 'web-3']) {
    const lines = ranOn(name)
    t.notOk(lines.includes('before-activate 2'), 'nothing stands before the way back')
    t.notOk(lines.includes('on-failure 3'), `${name} did not fail`)
    if (lines.includes('after-activate 3')) t.ok(lines.includes('on-rollback 2'), name)
  }
})

void t.test('one that fails after staging keeps its host from being ready', async (t) => {
  letGoWrong('web-1', 'after-stage', '4', 'fail')
  const view = await endedInTruth(fleet, await fleet.begin('4', { waitMs: 4000 }))
  t.match(view, { phase: 'aborted', exitCode: 4 })
  t.same(currents(), ['2', '2', '2'])
  for (const name of names) {
    t.same(
      ranOn(name).filter((line) => /^(?:before|after)-activate/.test(line)),
      [],
    )
  }
})

void t.test('one that never ends, and says so without end, is killed as a tree', async (t) => {
  letGoWrong('web-3', 'after-activate', '5', 'hang')
  const id = await fleet.begin('5')
  t.match(await endedInTruth(fleet, id), { phase: 'rolled-back', exitCode: 3 })
  const { items } = await fleet.client.output(id, 0)
  t.ok(
    items.some(
      ({ host, hook, truncated }) => `${host} ${hook}` === 'web-3 after-activate' && truncated,
    ),
    'what it said is cut off',
  )
  t.same(processesNamed('4321'), [])
})

/** The processes that have this word in their command line. */
function processesNamed(word: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^[0-9]+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(word)
    } catch (error) {
      if (systemCodeOf(error) === undefined) throw error
      return false
    }
  })
}
