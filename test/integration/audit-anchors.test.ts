// Heads of the audit trail on the hosts: told with every welcome, kept on the disk, and good for finding
// a trail that was cut off or written anew.

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { AuditAnchors } from '#agent/link/audit-anchors.ts'
import { readAnchors } from '#cli/audit-arguments.ts'
import type { AuditHead } from '#shared/audit/audit-entry.ts'
import { limits } from '#shared/limits.ts'
import { helloOf } from '../support/fleet-facts.ts'
import { RunningController } from '../support/running-controller.ts'
import { ran } from './cli-run.ts'

function openAnchors(t: Test, directory = t.testdir({})) {
  const path = join(directory, 'audit-anchors')
  const kept: AuditHead[] = []
  const back: [AuditHead, AuditHead][] = []
  const troubles: unknown[] = []
  const open = () =>
    new AuditAnchors({
      path,
      onKept: (head) => kept.push(head),
      onWentBack: (told, before) => back.push([told, before]),
      onTrouble: (error) => troubles.push(error),
    })
  return { path, kept, back, troubles, open, lines: () => readFileSync(path, 'utf8').split('\n') }
}

const head = (sequence: number, letter = 'a'): AuditHead => ({
  sequence,
  hash: letter.repeat(64),
})

void t.test(
  'a host keeps what it was told, over a restart, and no more than it needs',
  async (t) => {
    const { path, kept, open, lines } = openAnchors(t)
    const anchors = open()
    for (const sequence of [1, 3, 3, 7]) anchors.told(head(sequence))
    await anchors.idle()
    t.same(
      kept.map(({ sequence }) => sequence),
      [1, 3, 7],
    )
    t.equal(statSync(path).mode & 0o777, 0o600)
    const again = open()
    for (let sequence = 8; sequence < 400; sequence += 1) again.told(head(sequence))
    await again.idle()
    t.equal(lines().length, limits.auditAnchorsKept + 1)
    t.equal(lines().at(-2), `399:${'a'.repeat(64)}`)
  },
)

void t.test('a trail that went back is told of, and what was kept stays', async (t) => {
  const { open, back, lines } = openAnchors(t)
  const anchors = open()
  anchors.told(head(7))
  await anchors.idle()
  const before = lines()
  for (const told of [head(6), head(7, 'b')]) {
    anchors.told(told)
    await anchors.idle()
    t.same(back.pop(), [told, head(7)])
    t.same(lines(), before)
  }
})

void t.test('a number beyond all others is kept like any other, and spoils no file', async (t) => {
  const { open, back, path } = openAnchors(t)
  const highest = head(Number.MAX_SAFE_INTEGER)
  const anchors = open()
  for (const told of [head(7), highest]) anchors.told(told)
  await anchors.idle()
  const again = open()
  again.told(head(8))
  await again.idle()
  t.same(back, [[head(8), highest]], 'over a restart too')
  t.same(readAnchors(path), [head(7), highest])
})

void t.test('a disk that fails costs an anchor and nothing else', async (t) => {
  const { open, troubles, kept } = openAnchors(t, join(t.testdir({}), 'none'))
  const anchors = open()
  anchors.told(head(1))
  await anchors.idle()
  t.match(troubles, [{ code: 'ENOENT' }])
  t.same(kept, [])
})

void t.test('what a host kept finds a trail that was written anew', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  // The head is read at the start, and now and then.
  await controller.stop()
  await controller.start()
  const peer = await controller.connect(key)
  peer.say(helloOf())
  const { audit } = await peer.next('welcome')
  const { path, open } = openAnchors(t)
  if (audit === undefined) throw new Error('no head was told')
  const anchors = open()
  anchors.told(audit)
  await anchors.idle()
  const lockstep = (line: string) =>
    ran(line.split(' '), { url: controller.url, env: { LOCKSTEP_TOKEN: controller.adminToken } })
  t.equal((await lockstep('audit head')).out, `${audit.sequence}:${audit.hash}\n`)
  t.match(await lockstep(`audit verify --anchors ${path}`), { exitCode: 0, err: '' })
  await controller.stop()
  const sqlite = new SQLite(join(controller.data, 'lockstep.sqlite'))
  sqlite.exec('DROP TRIGGER audit_undeleted; DELETE FROM audit')
  sqlite.close()
  await controller.start()
  for (let time = 0; time < 3; time += 1) await controller.joinToken()
  t.match(await lockstep('audit verify'), { exitCode: 0 }, 'it hangs together')
  t.match(await lockstep(`audit verify --anchors ${path}`), {
    exitCode: 1,
    err: /entry 3 is not the one of the anchor: the trail was written anew/,
  })
  writeFileSync(path, '\n')
  t.match(await lockstep(`audit verify --anchors ${path}`), { exitCode: 2, err: /no anchor/ })
})
