// SSH signatures: those that ssh-keygen makes hold, and every other one says why it does not.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LockstepError } from '#shared/errors.ts'
import { paeOf, payloadTypes } from '#shared/trust/envelope.ts'
import { parsePublicKey } from '#shared/trust/public-key.ts'
import {
  checkSshSignature,
  decodeSshArmour,
  isSshSignature,
  parseSshSignature,
} from '#shared/trust/ssh-signature.ts'
import { sshString } from '#shared/trust/ssh-wire.ts'
import { ann, ci, type SshParts, sshBlob } from './signing.ts'
import * as vector from './ssh-vector.ts'

const key = parsePublicKey(vector.publicLine)
const pae = paeOf(payloadTypes.release, Buffer.from(vector.payload))
const verdictOf = (armoured: string, message: Uint8Array = pae): string =>
  checkSshSignature(key, message, parseSshSignature(decodeSshArmour(armoured)))

function refusalOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'bad-envelope') return error.message
    throw error
  }
  return ''
}

void t.test('signatures that ssh-keygen made hold', async (t) => {
  t.equal(verdictOf(vector.sha512Signature), 'signed')
  t.equal(verdictOf(`${vector.sha256Signature}\n`), 'signed')
  t.ok(isSshSignature(decodeSshArmour(vector.sha512Signature)))
})

void t.test('another namespace, key or message does not hold', async (t) => {
  t.equal(verdictOf(vector.gitSignature), 'other-namespace', 'a signed commit is no release')
  const signature = parseSshSignature(decodeSshArmour(vector.sha512Signature))
  t.equal(checkSshSignature(ci.key, pae, signature), 'other-key')
  t.equal(verdictOf(vector.sha512Signature, pae.subarray(1)), 'false-signature')
  t.equal(
    checkSshSignature(key, pae, { ...signature, hash: 'sha256' }),
    'false-signature',
    'the hash is signed',
  )
  const git = parseSshSignature(decodeSshArmour(vector.gitSignature))
  t.equal(
    checkSshSignature(key, pae, { ...git, namespace: 'lockstep-release' }),
    'false-signature',
    'the namespace is signed',
  )
  const claimed = sshBlob(ann, pae, { key: sshBlobKey(ci.key.raw) })
  t.equal(checkSshSignature(ci.key, pae, parseSshSignature(claimed)), 'false-signature')
})

function sshBlobKey(raw: Uint8Array): Buffer {
  return Buffer.concat([sshString('ssh-ed25519'), sshString(raw)])
}

void t.test('a signature of another form is refused', async (t) => {
  t.equal(checkSshSignature(ci.key, pae, parseSshSignature(sshBlob(ci, pae))), 'signed')
  const rsaKey = Buffer.concat([sshString('ssh-rsa'), sshString(ci.key.raw)])
  const longKey = Buffer.concat([sshBlobKey(ci.key.raw), Buffer.alloc(1)])
  const bad: [parts: Partial<SshParts>, says: RegExp][] = [
    [{ magic: 'SSHSIX' }, /magic/],
    [{ version: 0 }, /version/],
    [{ version: 2 }, /version/],
    [{ reserved: 'x' }, /reserved/],
    [{ hash: 'sha1' }, /another hash/],
    [{ hash: 'SHA512' }, /another hash/],
    [{ hash: '' }, /another hash/],
    [{ algorithm: 'ssh-rsa' }, /no Ed25519 signature/],
    [{ algorithm: 'sk-ssh-ed25519@openssh.com' }, /no Ed25519 signature/],
    [{ key: rsaKey }, /Ed25519 key/],
    [{ key: longKey }, /Ed25519 key/],
    [{ key: Buffer.alloc(0) }, /Ed25519 key/],
    [{ behind: Buffer.alloc(1) }, /goes on/],
    [{ behindInner: Buffer.alloc(1) }, /no Ed25519 signature/],
    [{ namespace: 'x'.repeat(2000) }, /too large/],
  ]
  for (const [parts, says] of bad) {
    const blob = sshBlob(ci, pae, parts)
    t.match(
      refusalOf(() => parseSshSignature(blob)),
      says,
      JSON.stringify(parts).slice(0, 80),
    )
  }
  for (const namespace of [
    '',
    'git',
    'file',
    'lockstep',
    'lockstep-release\0',
    'Lockstep-release',
  ]) {
    const signature = parseSshSignature(sshBlob(ci, pae, { namespace }))
    t.equal(checkSshSignature(ci.key, pae, signature), 'other-namespace', namespace)
  }
  const blob = sshBlob(ci, pae)
  for (let length = 0; length < blob.length; length += 1) {
    t.not(
      refusalOf(() => parseSshSignature(blob.subarray(0, length))),
      '',
      `cut at ${length}`,
    )
  }
  t.comment(`${bad.length + 6 + blob.length} bad SSH signatures, none taken`)
})

void t.test('every flipped bit of a signature is noticed', async (t) => {
  const blob = sshBlob(ci, pae)
  for (let bit = 0; bit < blob.length * 8; bit += 1) {
    const flipped = Buffer.from(blob)
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    const holds = (): string => checkSshSignature(ci.key, pae, parseSshSignature(flipped))
    const refusal = refusalOf(() => {
      if (holds() === 'signed') t.fail(`bit ${bit}`)
    })
    if (refusal === '') t.not(holds(), 'signed')
  }
  t.comment(`${blob.length * 8} flipped bits`)
})

void t.test('armour has one form', async (t) => {
  const good = vector.sha512Signature
  const bad = [
    '',
    good.replace('SIGNATURE', 'SIGNATUR'),
    good.replaceAll('\n', '\r\n'),
    ` ${good}`,
    `${good}\n\n`,
    `${good}\n${good}`,
    good.replace('AAAA', 'AA AA'),
    good.replace('jZAiZEM', 'jZAiZEM='),
    good.replace('jZAiZEM', 'jZAiZE'),
    good.replace('U1NI', `${'A'.repeat(80)}U1NI`),
    `-----BEGIN SSH SIGNATURE-----\n${'AAAA\n'.repeat(1000)}-----END SSH SIGNATURE-----`,
    '-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----',
  ]
  for (const text of bad)
    t.not(
      refusalOf(() => decodeSshArmour(text)),
      '',
      JSON.stringify(text),
    )
})

const hasSshKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined

void t.test(
  'what the ssh-keygen of this machine signs holds, and it agrees on the id',
  { skip: hasSshKeygen ? false : 'This machine has no ssh-keygen; the fixed vector stands in.' },
  async (t) => {
    const folder = t.testdir({ pae: Buffer.from(pae) })
    const file = join(folder, 'key')
    const run = (args: readonly string[], input = ''): string => {
      const { status, stdout, stderr } = spawnSync('ssh-keygen', args, { input, encoding: 'utf8' })
      if (status !== 0) throw new Error(stderr)
      return stdout
    }
    run(['-q', '-t', 'ed25519', '-N', '', '-C', 'made for a test', '-f', file])
    const line = readFileSync(`${file}.pub`, 'utf8')
    const made = parsePublicKey(line)
    t.equal(run(['-l', '-f', `${file}.pub`]).split(' ')[1], made.id)
    const message = Buffer.from(pae).toString()
    for (const hash of ['sha512', 'sha256']) {
      const options = ['-O', `hashalg=${hash}`, '-n', 'lockstep-release', '-f', file]
      const blob = decodeSshArmour(run(['-Y', 'sign', ...options], message))
      t.equal(checkSshSignature(made, pae, parseSshSignature(blob)), 'signed', hash)
    }
    // And the other way: what the tests build by hand is what ssh-keygen checks.
    const armour = sshBlob(ci, pae).toString('base64').replaceAll(/.{70}/g, '$&\n')
    const ends = ['-----BEGIN SSH SIGNATURE-----', armour, '-----END SSH SIGNATURE-----', '']
    writeFileSync(join(folder, 'sig'), ends.join('\n'))
    writeFileSync(join(folder, 'allowed'), `ci ${ci.line}\n`)
    const files = ['-f', join(folder, 'allowed'), '-s', join(folder, 'sig')]
    run(['-Y', 'verify', '-I', 'ci', '-n', 'lockstep-release', ...files], message)
  },
)
