// The commands that work on files of statements, keys and audit trails, with hostile files, names and
// variables: nothing raw reaches the terminal, and no line of the command's is forged.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { tarball } from './cli-tarball.ts'
import { HastyClock, run } from './cli-run.ts'
import { packs, payloads } from './escape-payloads.ts'
import { forms, holesOf } from './output-holes.ts'

/** Its letters are hidden, or end a line; a file may be called that. */
const fileName = 'v\u202e1\u001b[2J\nFORGED \u009b2J.json'

type Lockstep = (
  argv: readonly string[],
  env?: Record<string, string>,
) => Promise<{ holes: string[]; exitCode: number }>

/** The command in a directory with a tarball and a key, in the next form at each call. */
async function place(t: Test): Promise<{ at: (name: string) => string; lockstep: Lockstep }> {
  const directory = t.testdir({ [`${fileName}.tar`]: tarball, 'shop.tar': tarball })
  let turn = 0
  const lockstep: Lockstep = async (argv, env = {}) => {
    const form = forms[turn % forms.length] ?? { more: [] }
    turn += 1
    const begun = run([...argv, ...form.more], { ...form, env, clock: new HastyClock() })
    begun.stdin.end(tarball)
    return { holes: await holesOf(begun), exitCode: await begun.exitCode }
  }
  return { at: (name) => join(directory, name), lockstep }
}

void t.test('files of hostile names are named and no more', async (t) => {
  const { at, lockstep } = await place(t)
  const key = at(`${fileName}.key`)
  const statement = at(`${fileName}.statement`)
  const signing = ['sign', 'shop', '1.4.0', at(`${fileName}.tar`), '--sequence', '17']
  const signed = [...signing, '--env', 'production', '--key', key, '--output', statement]
  const lines: readonly (readonly string[])[] = [
    ['keygen', key],
    signed,
    [...signed, '--force'],
    ['countersign', statement, '--key', key],
    ['verify', statement, '--key', `${key}.pub`, '--tarball', at(`${fileName}.tar`)],
    ['keygen', key],
    signed,
    ['verify', at(`no ${fileName}`), '--key', `${key}.pub`],
    ['verify', statement, '--trust', at(`no ${fileName}`)],
  ]
  const ends: number[] = []
  for (const line of lines) {
    const { holes, exitCode } = await lockstep(line)
    t.same(holes, [], line.slice(0, 1).join(''))
    ends.push(exitCode)
  }
  t.same(ends.slice(0, 3), [0, 0, 0], 'it is made and signed')
  t.equal(ends[4], 0, 'and verified')
  t.ok(ends.slice(5).every((code) => code !== 0))
  t.comment(`${lines.length} runs with hostile names of files: 0 raw`)
})

void t.test('files and variables of hostile content are refused without it', async (t) => {
  const { at, lockstep } = await place(t)
  t.equal((await lockstep(['keygen', at('ci')])).exitCode, 0)
  const signing = ['sign', 'shop', '1.4.0', at('shop.tar'), '--sequence', '17']
  const counts = { runs: 0 }
  for (const pack of packs) {
    const named = { [pack]: pack, payloadType: pack, payload: pack, signatures: [{ keyid: pack }] }
    const hash = 'a'.repeat(64)
    const entry = { sequence: 1, at: 1, who: pack, what: pack, why: pack, hash, details: {} }
    const said = { statement: 1, app: pack, version: pack, environments: [pack], [pack]: 1 }
    const payload = Buffer.from(JSON.stringify(said)).toString('base64')
    const type = 'application/vnd.lockstep.release.v1+json'
    const keyid = `SHA256:${'A'.repeat(43)}`
    const envelope = { payloadType: type, payload, signatures: [{ keyid, sig: 'AAAA' }] }
    const trust = { trust: 1, version: 1, keys: { [pack]: { key: pack } }, environments: {} }
    for (const content of [
      pack,
      ...[named, envelope, trust, entry].map((one) => JSON.stringify(one)),
    ]) {
      writeFileSync(at('file'), content, { mode: 0o600 })
      const lines: readonly (readonly [string[], Record<string, string>?])[] = [
        [['countersign', at('file'), '--key', at('ci')]],
        [['verify', at('file'), '--key', at('ci.pub')]],
        [['verify', at('file'), '--trust', at('file')]],
        [['verify', at('file'), '--key', at('file')]],
        [[...signing, '--env', 'production', '--key', at('file')]],
        [[...signing, '--env', 'production'], { LOCKSTEP_SIGNING_KEY: content }],
        [[...signing, '--env', pack, '--key', at('ci')]],
        [['keygen', at('other'), '--comment', pack]],
        [['trust', 'check', at('file')]],
        [['audit', 'verify', at('file')]],
        [['audit', 'verify', at(`no ${pack.replaceAll('\0', '')}`)]],
      ]
      for (const [argv, env] of lines) {
        const { holes, exitCode } = await lockstep(argv, env)
        t.same(holes, [], argv.slice(0, 1).join(' '))
        t.not(exitCode, 0)
        counts.runs += 1
      }
    }
  }
  t.comment(`${payloads.length} payloads in files and variables, ${counts.runs} runs: 0 raw`)
})
