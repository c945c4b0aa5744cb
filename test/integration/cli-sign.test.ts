// keygen, sign, countersign and verify: what is signed is what the tarball is, and nothing but what was
// signed by whom it has to be is ever called verified.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseKeyMaterial } from '#cli/signing/private-key.ts'
import { decodeBase64 } from '#shared/trust/base64.ts'
import { paeOf, parseEnvelope } from '#shared/trust/envelope.ts'
import { SshReader, sshString } from '#shared/trust/ssh-wire.ts'
import { archive, file, gzip } from '../support/archives.ts'
import { HastyClock, ran, type RunOptions, run } from './cli-run.ts'
import { publishedView, tarball } from './cli-tarball.ts'
import { startedAt } from './cli-views.ts'

const dayMs = 86_400_000

/** A directory with a tarball and two keys, and the command in it. */
async function place(t: Test) {
  const directory = t.testdir({ 'shop.tar': tarball, 'other.tar': archive(file('shop/x')) })
  const at = (name: string): string => join(directory, name)
  const lockstep = (line: string, options: RunOptions = {}) =>
    ran(
      line.split(' ').map((word) => word.replace(/^@/, `${directory}/`)),
      options,
    )
  for (const name of ['ci', 'ann']) {
    t.equal((await lockstep(`keygen @${name} --comment ${name}`)).exitCode, 0)
  }
  const sign = (more = '', options: RunOptions = {}) =>
    lockstep(`sign shop 1.4.0 @shop.tar --sequence 17 --env production --key @ci${more}`, options)
  return { directory, at, lockstep, sign, statement: at('shop.tar.statement.json') }
}

const hasSshKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined
const skip = hasSshKeygen ? false : 'This machine has no ssh-keygen.'

function shell(command: string, args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(command, args, { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

void t.test('keygen makes a key that only its owner may read, and replaces none', async (t) => {
  const { at, lockstep, directory } = await place(t)
  t.equal(statSync(at('ci')).mode & 0o777, 0o600)
  t.equal(statSync(at('ci.pub')).mode & 0o777, 0o644)
  const before = readFileSync(at('ci'), 'utf8')
  const again = await lockstep('keygen @ci')
  t.match(again, { exitCode: 2, out: '' })
  t.match(again.err, /ci is there already \(bad-usage\)\n {2}It is left as it is/)
  t.equal(readFileSync(at('ci'), 'utf8'), before)
  // Nor is a public key replaced, nor a link followed; then no private key is left either.
  writeFileSync(at('new.pub'), 'kept')
  symlinkSync('elsewhere', at('link'))
  for (const name of ['new', 'link']) t.equal((await lockstep(`keygen @${name}`)).exitCode, 2)
  t.equal(readFileSync(at('new.pub'), 'utf8'), 'kept')
  t.notOk(existsSync(at('new')))
  t.notOk(existsSync(at('elsewhere')))
  t.notOk(readdirSync(directory).some((name) => name.includes('partial')))
  t.equal((await lockstep('keygen @none/ci')).exitCode, 2)
  const json = await lockstep('keygen @json --json')
  const { id, key } = JSON.parse(json.out)
  t.match(id, /^SHA256:/)
  t.equal(readFileSync(at('json.pub'), 'utf8'), `${key}\n`)
  t.notMatch(json.out + json.err, /PRIVATE/)
  t.match((await ran(['keygen', at('c'), '--comment', 'a\nb'])).err, /is no comment for a key/)
})

void t.test('what is signed is what the tarball is', async (t) => {
  const { sign, statement } = await place(t)
  const signed = await sign(' --env staging --floor 12 --expires 30d')
  const { tree, artifact } = await publishedView('1.4.0')
  const { keyId } = parseEnvelope(readFileSync(statement)).signatures[0] ?? { keyId: '' }
  t.same(signed, {
    exitCode: 0,
    out: `signed shop 1.4.0
  sequence   17
  floor      12
  tree       ${tree}
  tarball    2.0 KB, sha256 ${artifact}
  for        production, staging
  expires    2026-12-23 14:03:22 (in 30 days)
  signed by  ${keyId}
  statement  ${statement}
`,
    err: '',
  })
  const { payload } = parseEnvelope(readFileSync(statement))
  t.same(JSON.parse(Buffer.from(payload).toString()), {
    statement: 1,
    app: 'shop',
    version: '1.4.0',
    sequence: 17,
    tree,
    artifact: { sha256: artifact, bytes: tarball.length },
    environments: ['production', 'staging'],
    expires: '2026-12-23T14:03:22Z',
    floor: 12,
  })
  const taken = await sign()
  t.match(taken.err, /statement\.json is there already/)
  const json = JSON.parse((await sign(' --force --no-expires --json')).out)
  t.match(json, { file: statement, signedBy: [keyId], sequence: 17, expires: null })
})

void t.test('a signature is good for a while, where nothing else is said', async (t) => {
  const { sign, statement } = await place(t)
  await sign()
  const { payload } = parseEnvelope(readFileSync(statement))
  const { expires } = JSON.parse(Buffer.from(payload).toString())
  t.equal(Date.parse(expires) - startedAt, 90 * dayMs)
})

void t.test('strip and requirements are signed as they are published', async (t) => {
  const { lockstep, sign, statement } = await place(t)
  await sign(' --strip 1 --require-os linux')
  const verify = `verify ${statement} --key @ci.pub --tarball @shop.tar`
  t.equal((await lockstep(`${verify} --strip 1 --require-os linux`)).exitCode, 0)
  t.match(await lockstep(`${verify} --strip 1`), { exitCode: 1, err: /\(not-trusted\)/ })
  t.match(await lockstep(verify), { exitCode: 1, err: /\(not-trusted\)/ })
})

void t.test('what says too little, or what does not fit together, is not signed', async (t) => {
  const { lockstep, sign, statement } = await place(t)
  const one = 'sign shop 1.4.0 @shop.tar'
  const cases: [line: string, message: RegExp][] = [
    [`${one} --env production --key @ci`, /which sequence the release has/],
    [`${one} --sequence 1 --key @ci`, /where the release may run/],
    [`${one} --sequence 0 --env production --key @ci`, /"0" is no sequence/],
    [`${one} --sequence 1.5 --env production --key @ci`, /"1\.5" is no sequence/],
    [`${one} --sequence 1 --env Production --key @ci`, /bad-name/],
    [`${one} --sequence 1 --env a --env a --key @ci`, /names a twice/],
    [`${one} --sequence 1 --env a --key @ci --floor 2`, /floor of 2, above its own sequence 1/],
    [`${one} --sequence 1 --env a --key @ci --expires 1w`, /"1w" is no duration/],
    [`${one} --sequence 1 --env a`, /no key to sign with .*\n.*LOCKSTEP_SIGNING_KEY/],
    ['sign shop 1.4.0 - --sequence 1 --env a --key @ci', /where the statement goes/],
    ['sign shop ../x @shop.tar --sequence 1 --env a --key @ci', /bad-name/],
    ['sign shop 1 @none.tar --sequence 1 --env a --key @ci', /cannot be read \(ENOENT\)/],
    ['verify @shop.tar --key @ci.pub', /is no JSON|not UTF-8/],
    ['verify @none --key @ci.pub', /cannot be read \(ENOENT\)/],
    ['countersign @none --key @ci', /cannot be read \(ENOENT\)/],
  ]
  for (const [line, message] of cases) {
    const { exitCode, out, err } = await lockstep(line)
    t.match(
      { exitCode: String(exitCode), out, err },
      { exitCode: /^[12]$/, out: '', err: message },
      line,
    )
  }
  t.notOk(existsSync(statement))
  await sign()
  const verify = `verify ${statement}`
  t.match(await lockstep(verify), { exitCode: 2, err: /whom to trust/ })
  t.match(await lockstep(`${verify} --key @ci.pub --trust @x`), {
    exitCode: 2,
    err: /whom to trust/,
  })
})

void t.test('verify believes nothing but what the right key signed of this tarball', async (t) => {
  const { at, lockstep, sign, statement } = await place(t)
  await sign()
  const good = `verify ${statement} --key @ci.pub`
  const verified = await lockstep(`${good} --tarball @shop.tar --env production --app shop`)
  t.match(verified, { exitCode: 0, err: '' })
  t.match(verified.out, /^verified shop 1\.4\.0\n.*\n {2}production {2}signed by .*ci\.pub\n$/s)
  t.match((await lockstep(good)).err, 'the tarball itself was not looked at')
  t.match(JSON.parse((await lockstep(`${good} --json`)).out), {
    statement: { app: 'shop', sequence: 17 },
    verified: [{ environment: 'production', signers: [at('ci.pub')] }],
    tarball: false,
  })
  writeFileSync(at('same.tar.gz'), gzip(tarball))
  const refused: [line: string, message: RegExp][] = [
    [`${good} --tarball @other.tar`, /is of the tree [0-9a-f]{64}, not of [0-9a-f]{64}/],
    [`${good} --tarball @same.tar.gz`, /is of the tarball/],
    [`${good} --env staging`, /for staging: the signed statement is of production/],
    [`${good} --app blog`, /is of the app "shop", not of "blog"/],
    [`verify ${statement} --key @ann.pub`, /1 of .*ann\.pub have to sign, .* now did none/],
    [`${good} --key @ann.pub`, /2 of .*ci\.pub, .*ann\.pub have to sign, .* did .*ci\.pub/],
  ]
  for (const [line, message] of refused) {
    const { exitCode, out, err } = await lockstep(line)
    t.same([exitCode, out], [1, ''], line)
    t.match(err, message)
    t.match(err, /\(not-trusted\)\n {2}A host with this trust would not take the release/)
  }
  // The same key twice counts once.
  t.equal((await lockstep(`${good} --key @ci.pub`)).exitCode, 0)
  const late = new HastyClock()
  await late.sleep(90 * dayMs)
  t.match(
    (await lockstep(good, { clock: late })).err,
    /any more: it expired at 2027-02-21T14:03:22Z/,
  )
})

void t.test('no byte of a statement can be changed unnoticed', async (t) => {
  const { at, lockstep, sign, statement } = await place(t)
  await sign(' --no-expires')
  const whole = readFileSync(statement)
  const counts = { refused: 0, same: 0 }
  const before = parseEnvelope(whole)
  for (let index = 0; index < whole.length; index += 1) {
    const bytes = Buffer.from(whole)
    bytes[index] = (bytes[index] ?? 0) ^ 1
    writeFileSync(at('changed.json'), bytes)
    const { exitCode } = await lockstep('verify @changed.json --key @ci.pub')
    if (exitCode === 0) {
      counts.same += 1
      t.same(parseEnvelope(bytes), before, 'white space only')
    } else counts.refused += 1
  }
  t.comment(`${whole.length} bytes: ${counts.refused} refused, ${counts.same} white space`)
  t.ok(counts.refused > 600)
})

void t.test(
  'by a trust file: thresholds, environments, and what it does not ask for',
  async (t) => {
    const { at, lockstep, sign, statement } = await place(t)
    const key = (name: string): string => readFileSync(at(`${name}.pub`), 'utf8').trim()
    const trust = (environments: object): void =>
      writeFileSync(
        at('trust.json'),
        JSON.stringify({
          trust: 1,
          version: 1,
          keys: { ci: { key: key('ci') }, ann: { key: key('ann') } },
          environments,
        }),
      )
    await sign(' --env staging')
    const both = { policy: 'require', threshold: 2, keys: ['ci', 'ann'] }
    const one = { policy: 'warn', threshold: 1, keys: ['ci'] }
    const verify = `verify ${statement} --trust @trust.json`
    trust({ 'production': both, '*': one })
    t.match((await lockstep(verify)).err, /for production: 2 of ci, ann have to sign/)
    t.match((await lockstep(`${verify} --env staging`)).out, /\n {2}staging {3}signed by ci\n$/)
    const countersigned = await lockstep(`countersign ${statement} --key @ann --tarball @shop.tar`)
    t.match(countersigned, { exitCode: 0, out: /\n {2}signed by {2}SHA256:\S+, SHA256:\S+\n/ })
    const { out } = await lockstep(verify)
    t.match(out, /\n {2}production {2}signed by ci, ann\n {2}staging {5}signed by ci\n$/)
    // Where a host would only warn, this is still no verified statement.
    trust({ '*': { ...one, keys: ['ann'], threshold: 1 } })
    await sign(' --force')
    t.match((await lockstep(verify)).err, /\(not-trusted\)/)
    trust({ 'production': { policy: 'off' }, '*': one })
    t.match((await lockstep(verify)).err, /asks for no signatures for production/)
    trust({ staging: one })
    t.match((await lockstep(verify)).err, /no rule for the environment "production"/)
    trust({})
    t.match((await lockstep(verify)).err, /\(bad-trust-file\)/)
  },
)

void t.test('a further signature is added once, and only to what it is of', async (t) => {
  const { lockstep, sign, statement } = await place(t)
  await sign()
  const wrong = await lockstep(`countersign ${statement} --key @ann --tarball @other.tar`)
  t.match(wrong, { exitCode: 1, err: /names the tree .* \(other-release\)/ })
  const before = readFileSync(statement, 'utf8')
  t.equal((await lockstep(`countersign ${statement} --key @ci`)).exitCode, 0)
  t.equal(readFileSync(statement, 'utf8'), before, 'the key has signed it already')
  const json = JSON.parse((await lockstep(`countersign ${statement} --key @ann --json`)).out)
  t.equal(json.signedBy.length, 2)
  // A signature that does not hold, under the key's own name, is no reason to sign.
  const { signatures, ...rest } = JSON.parse(before)
  const spoilt = [{ ...signatures[0], sig: Buffer.alloc(64, 1).toString('base64') }]
  writeFileSync(statement, JSON.stringify({ ...rest, signatures: spoilt }))
  t.match(await lockstep(`countersign ${statement} --key @ci`), {
    exitCode: 1,
    err: /bad-envelope/,
  })
})

void t.test(
  'the private key: from the environment, readable by nobody else, never shown',
  async (t) => {
    const { at, lockstep, sign, statement } = await place(t)
    const text = readFileSync(at('ci'), 'utf8')
    const line = 'sign shop 1.4.0 @shop.tar --sequence 17 --env production'
    for (const given of [text, text.trim(), text.replaceAll('\n', '\r\n')]) {
      const env = { LOCKSTEP_SIGNING_KEY: given }
      t.equal((await lockstep(`${line} --force`, { env })).exitCode, 0)
      t.equal((await lockstep(`verify ${statement} --key @ci.pub`)).exitCode, 0)
    }
    const secrets = text.split('\n').slice(2, -2)
    const saysNothing = ({ out, err }: { out: string; err: string }): void => {
      for (const secret of secrets) t.notOk((out + err).includes(secret))
    }
    chmodSync(at('ci'), 0o640)
    const open = await sign(' --force')
    t.match(open, {
      exitCode: 1,
      out: '',
      err: /ci can be read by others \(mode 0640\) \(cannot-sign\)/,
    })
    t.match(open.err, /chmod 600/)
    chmodSync(at('ci'), 0o600)
    const argv = [
      'sign',
      'shop',
      '1',
      at('shop.tar'),
      '--sequence',
      '1',
      '--env',
      'a',
      '--key',
      text,
    ]
    const inArgv = await ran(argv)
    t.match(inArgv, {
      exitCode: 2,
      err: /^lockstep: there is a token or private key on the command line/,
    })
    const broken = { LOCKSTEP_SIGNING_KEY: text.replace('b3Bl', 'b3Bx') }
    const damaged = await lockstep(`${line} --force`, { env: broken })
    t.match(damaged, { exitCode: 1, err: /the private key is malformed \(cannot-sign\)/ })
    const asPublic = await lockstep(`verify ${statement} --key @ci`)
    t.match(asPublic, { exitCode: 1, err: /\(bad-public-key\)/ })
    for (const end of [open, inArgv, damaged, asPublic]) saysNothing(end)
    writeFileSync(at('large'), Buffer.alloc(20_000, 'a'))
    t.match((await lockstep(`${line} --key @large`)).err, /is over 16384 bytes/)
  },
)

/**
 * As ssh-agent answers, for one key; `answer` may change what it says.
 * @returns its socket, whose path has to be short
 */
async function fakeAgent(
  t: Test,
  keyFile: string,
  answer: (good: Buffer) => Buffer | null = (good) => good,
): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'agent-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'socket')
  const material = parseKeyMaterial(readFileSync(keyFile, 'utf8'))
  if (material.kind !== 'private') throw new Error(material.kind)
  const server = createServer((socket: Socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (request: Buffer) => {
      const reader = new SshReader(request.subarray(5))
      reader.string()
      const signature = material.privateKey.sign(reader.string() ?? Buffer.alloc(0))
      const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(signature)])
      const said = answer(Buffer.concat([Buffer.from([14]), sshString(blob)]))
      if (said === null) socket.destroy()
      // In two pieces, as a socket may.
      else {
        const whole = sshString(said)
        socket.write(whole.subarray(0, 3), () => socket.write(whole.subarray(3)))
      }
    })
  }).listen(path)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return path
}

void t.test('an ssh-agent signs for a key that never leaves it', async (t) => {
  const { at, lockstep, statement } = await place(t)
  const line = 'sign shop 1.4.0 @shop.tar --sequence 17 --env production --key @ci.pub --force'
  t.match(await lockstep(line), { exitCode: 1, err: /SSH_AUTH_SOCK names no ssh-agent/ })
  const gone = { SSH_AUTH_SOCK: './none' }
  t.match(await lockstep(line, { env: gone }), { exitCode: 1, err: /does not answer \(ENOENT\)/ })
  const env = { SSH_AUTH_SOCK: await fakeAgent(t, at('ci')) }
  t.match(await lockstep(line, { env }), { exitCode: 0 })
  t.match(await lockstep(`verify ${statement} --key @ci.pub --tarball @shop.tar`), { exitCode: 0 })
  const short = sshString('x')
  const bad: [answer: (good: Buffer) => Buffer | null, message: RegExp][] = [
    [() => Buffer.from([5]), /not held by the ssh-agent, or nobody let it sign/],
    [() => null, /something else than a signature/],
    [() => Buffer.alloc(0), /something else/],
    [(good) => good.subarray(0, -1), /something else/],
    [(good) => Buffer.concat([good, short]), /something else/],
    [() => Buffer.concat([Buffer.from([14]), sshString(short)]), /something else/],
    [
      (good) => {
        good[good.length - 1] = (good.at(-1) ?? 0) ^ 1
        return good
      },
      /what it signs does not hold/,
    ],
  ]
  const before = readFileSync(statement, 'utf8')
  for (const [answer, message] of bad) {
    const path = await fakeAgent(t, at('ci'), answer)
    const end = await lockstep(line, { env: { SSH_AUTH_SOCK: path } })
    t.match(end, { exitCode: 1, err: message })
    t.match(end.err, /\(cannot-sign\)/)
  }
  t.equal(readFileSync(statement, 'utf8'), before)
})

void t.test(
  'ssh-keygen reads what keygen made, and checks what was signed',
  { skip },
  async (t) => {
    const { at, lockstep, statement } = await place(t)
    t.equal(shell('ssh-keygen', ['-y', '-f', at('ci')]), readFileSync(at('ci.pub'), 'utf8'))
    const id = shell('ssh-keygen', ['-l', '-f', at('ci.pub')]).split(' ')[1]
    // A key with a passphrase signs through an agent, by its public half alone.
    shell('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-C', 'x', '-f', at('sealed')])
    const line = 'sign shop 1.4.0 @shop.tar --sequence 17 --env production --force'
    const sealed = await lockstep(`${line} --key @sealed`)
    t.match(sealed, { exitCode: 1, err: /the private key is encrypted \(cannot-sign\)\n.*ssh-add/ })
    const env = { SSH_AUTH_SOCK: await fakeAgent(t, at('ci')) }
    t.match(await lockstep(`${line} --key @ci.pub`, { env }), { exitCode: 0 })
    const { payloadType, payload, signatures } = parseEnvelope(readFileSync(statement))
    t.equal(signatures[0]?.keyId, id)
    const blob = Buffer.from(signatures[0]?.signature ?? [])
    const lines = blob.toString('base64').replaceAll(/.{70}(?=.)/g, '$&\n')
    writeFileSync(
      at('sig'),
      `-----BEGIN SSH SIGNATURE-----\n${lines}\n-----END SSH SIGNATURE-----\n`,
    )
    writeFileSync(at('allowed'), `ci ${readFileSync(at('ci.pub'), 'utf8')}`)
    const verify = ['-Y', 'verify', '-f', at('allowed'), '-I', 'ci', '-n', 'lockstep-release']
    const pae = Buffer.from(paeOf(payloadType, payload)).toString()
    t.match(
      shell('ssh-keygen', [...verify, '-s', at('sig')], pae),
      /Good "lockstep-release" signature/,
    )
    t.throws(() => shell('ssh-keygen', [...verify, '-s', at('sig')], `${pae} `))
    // And the other way: a key of ssh-keygen signs here.
    shell('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'y', '-f', at('ssh')])
    t.match(await lockstep(`${line} --key @ssh`), { exitCode: 0 })
    t.match(await lockstep(`verify ${statement} --key @ssh.pub`), { exitCode: 0 })
    shell('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', at('rsa')])
    t.match(await lockstep(`${line} --key @rsa`), { exitCode: 1, err: /is no Ed25519 key/ })
    t.match(await lockstep(`${line} --key @rsa.pub`), { exitCode: 1, err: /\(bad-public-key\)/ })
  },
)

void t.test('a tarball from a pipe is signed and verified as well', async (t) => {
  const { at, directory } = await place(t)
  const output = at('piped.json')
  const words = `shop 1.4.0 - --sequence 1 --env a --key ${directory}/ci --output ${output}`
  const signing = run(['sign', ...words.split(' ')])
  signing.stdin.end(tarball)
  t.equal(await signing.exitCode, 0, signing.err.text)
  const verifying = run(['verify', output, '--key', at('ci.pub'), '--tarball', '-'])
  verifying.stdin.end(tarball)
  t.equal(await verifying.exitCode, 0, verifying.err.text)
  t.ok(decodeBase64(JSON.parse(readFileSync(output, 'utf8')).payload))
})
