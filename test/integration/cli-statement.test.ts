// publish with a statement, or signing at once; and statements that are fetched and sent, against a
// controller of the test's.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ReleaseView } from '#shared/api/schemas.ts'
import { parseEnvelope } from '#shared/trust/envelope.ts'
import { archive, file } from '../support/archives.ts'
import { type Answer, type Asked, FakeController } from './cli-fake-controller.ts'
import { ran, run } from './cli-run.ts'
import { publishedView, tarball } from './cli-tarball.ts'
import { packs, payloads } from './escape-payloads.ts'
import { forms, holesOf } from './output-holes.ts'

const releaseAt = 'PUT /v1/apps/shop/releases/1.4.0'
const statementAt = '/v1/apps/shop/releases/1.4.0/statement'

/** A controller that carries statements, two keys, a tarball and its signed statement. */
async function place(t: Test) {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  const directory = t.testdir({ 'shop.tar': tarball, 'other.tar': archive(file('shop/x')) })
  const lockstep = (line: string) =>
    ran(
      line.split(' ').map((word) => word.replace(/^@/, `${directory}/`)),
      { url: fake.url },
    )
  const sign = 'sign shop 1.4.0 @shop.tar --sequence 17 --env production --key @ci'
  for (const line of ['keygen @ci', 'keygen @ann', sign]) {
    t.equal((await lockstep(line)).exitCode, 0, line)
  }
  const plain = await publishedView('1.4.0')
  const statement = { environments: ['production'], expiresAt: null, floor: null, signedBy: ['x'] }
  const signed: ReleaseView = { ...plain, statement, sequence: 17 }
  fake.answer(releaseAt, plain, 201)
  fake.answer(`PUT ${statementAt}`, signed, 201)
  const at = (name: string): string => join(directory, name)
  return { fake, lockstep, at, signed, directory, path: at('shop.tar.statement.json') }
}

const questions = (fake: FakeController): string[] =>
  fake.asked.map(({ method, url }) => `${method} ${url}`)

void t.test('publish sends the statement after the tarball, as it lies there', async (t) => {
  const { fake, lockstep, path, signed } = await place(t)
  const publish = 'publish shop 1.4.0 @shop.tar --statement @shop.tar.statement.json'
  const end = await lockstep(publish)
  t.match(end, { exitCode: 0, err: '' })
  t.match(end.out, /^published shop 1\.4\.0\n.*\n {2}signed {3}sequence 17, for production\n$/s)
  t.same(questions(fake), [releaseAt, `PUT ${statementAt}`])
  t.ok(fake.asked[1]?.body.equals(readFileSync(path)), 'byte for byte')
  t.match(fake.asked[1]?.headers, { 'content-type': 'application/json' })
  t.same(JSON.parse((await lockstep(`${publish} --json`)).out), signed)
})

void t.test('a statement of something else is found before anything is sent', async (t) => {
  const { fake, lockstep, at, directory } = await place(t)
  const refused: [line: string, message: RegExp][] = [
    ['publish shop 1.4.1 @shop.tar', /names the version 1\.4\.0, and here it is 1\.4\.1/],
    ['publish blog 1.4.0 @shop.tar', /names the app shop, and here it is blog/],
    ['publish shop 1.4.0 @other.tar', /names the tree/],
    ['publish shop 1.4.0 @shop.tar --strip 1', /names the tree/],
    ['publish shop 1.4.0 @shop.tar --require-os linux', /names the tree/],
  ]
  for (const [line, message] of refused) {
    const { exitCode, err } = await lockstep(`${line} --statement @shop.tar.statement.json`)
    t.equal(exitCode, 1, line)
    t.match(err, message)
    t.match(err, /\(other-release\)/)
  }
  writeFileSync(at('broken.json'), '{}')
  const broken = await lockstep('publish shop 1.4.0 @shop.tar --statement @broken.json')
  t.match(broken, { exitCode: 1, err: /\(bad-envelope\)/ })
  t.same(fake.asked, [])
  // What comes from a pipe is known only when it was sent; then no statement follows.
  const view = await publishedView('1.4.0', archive(file('shop/x')))
  fake.answer(releaseAt, view, 201)
  const words = ['publish', 'shop', '1.4.0', '-', '--statement']
  const piped = run([...words, `${directory}/shop.tar.statement.json`], { url: fake.url })
  piped.stdin.end(archive(file('shop/x')))
  t.equal(await piped.exitCode, 1)
  t.match(piped.err.text, /names the tree .* \(other-release\)/)
  t.same(questions(fake), [releaseAt])
})

void t.test('no statement follows to a controller that says what is not true', async (t) => {
  const { fake, lockstep } = await place(t)
  fake.answer(releaseAt, { ...(await publishedView('1.4.0')), tree: 'e'.repeat(64) }, 201)
  for (const more of [
    '--statement @shop.tar.statement.json',
    '--sign --sequence 17 --env production --key @ci',
  ]) {
    const { exitCode, err } = await lockstep(`publish shop 1.4.0 @shop.tar ${more}`)
    t.equal(exitCode, 1)
    t.match(err, /\(false-answer\)/)
  }
  t.same(questions(fake), [releaseAt, releaseAt])
})

void t.test('publish and sign in one step', async (t) => {
  const { fake, lockstep, at } = await place(t)
  const publish = 'publish shop 1.4.0 @shop.tar'
  const end = await lockstep(`${publish} --sign --sequence 17 --env production --key @ci`)
  t.match(end, { exitCode: 0, err: '' })
  const sent = fake.asked.at(-1)?.body ?? Buffer.alloc(0)
  writeFileSync(at('sent.json'), sent)
  const verify = 'verify @sent.json --key @ci.pub --tarball @shop.tar --app shop'
  t.equal((await lockstep(verify)).exitCode, 0)
  const secret = readFileSync(at('ci'), 'utf8').split('\n')[2] ?? ''
  const isTold = ({ url, headers, body }: Asked): boolean =>
    `${url}${JSON.stringify(headers)}${body.toString('latin1')}`.includes(secret)
  t.notOk(fake.asked.some(isTold), 'the key itself was not sent')
  const before = fake.asked.length
  const wrong: [more: string, message: RegExp][] = [
    ['--sign --env production --key @ci', /which sequence/],
    ['--sign --sequence 1 --env production', /no key to sign with/],
    ['--sign --sequence 1 --floor 2 --env production --key @ci', /floor of 2, above its own/],
    ['--sign --sequence 1 --env production --key @none', /cannot be read/],
    ['--sign --statement @shop.tar.statement.json', /exclude each other/],
    ['--sequence 5', /--sequence says nothing without --sign/],
    ['--key @ci', /--key says nothing without --sign/],
  ]
  for (const [more, message] of wrong) {
    t.match(await lockstep(`${publish} ${more}`), { exitCode: 2, err: message })
  }
  t.equal(fake.asked.length, before, 'nothing was sent')
})

void t.test('a second person fetches the statement, signs it too and sends it', async (t) => {
  const { fake, lockstep, at, path } = await place(t)
  const carried = { text: readFileSync(path, 'utf8') }
  fake.on(({ method, url, body }): Answer | undefined => {
    if (url !== statementAt) return undefined
    if (method === 'GET')
      return { raw: carried.text, headers: { 'content-type': 'application/json' } }
    carried.text = body.toString()
    return undefined
  })
  const fetched = await lockstep('statement fetch shop 1.4.0 @fetched.json')
  t.match(fetched, { exitCode: 0, out: /^fetched .*fetched\.json\n {2}sequence {2}17\n/ })
  t.equal(readFileSync(at('fetched.json'), 'utf8'), carried.text)
  t.match(await lockstep('statement fetch shop 1.4.0 @fetched.json'), {
    exitCode: 2,
    err: /is there/,
  })
  t.equal((await lockstep('statement fetch shop 1.4.0 @fetched.json --force')).exitCode, 0)
  t.equal((await lockstep('countersign @fetched.json --key @ann --tarball @shop.tar')).exitCode, 0)
  const sent = await lockstep('statement send shop 1.4.0 @fetched.json')
  t.match(sent, { exitCode: 0, out: /^sent the statement of shop 1\.4\.0\n/ })
  t.equal(parseEnvelope(Buffer.from(carried.text)).signatures.length, 2)
  t.match(await lockstep('statement send shop 1.4.1 @fetched.json'), { err: /\(other-release\)/ })
  const json = await lockstep('statement send shop 1.4.0 @fetched.json --json')
  t.match(JSON.parse(json.out), { sequence: 17 })
})

void t.test(
  'what a controller gives as a statement is looked at before it is written',
  async (t) => {
    const { fake, lockstep, at, path } = await place(t)
    const fetch = 'statement fetch shop 1.4.0 @fetched.json'
    const good = readFileSync(path, 'utf8')
    const headers = { 'content-type': 'application/json' }
    const answers: [answer: Answer, line: string, message: RegExp][] = [
      [{ raw: '{}', headers }, fetch, /\(bad-envelope\)/],
      [{ raw: good, headers }, 'statement fetch shop 1.5 @fetched.json', /\(other-release\)/],
      [{ raw: 'x'.repeat(200_000), headers }, fetch, /\(bad-envelope\)/],
      [
        {
          status: 404,
          body: { code: 'not-signed', message: 'shop 1.4.0 has no signed statement' },
        },
        fetch,
        /no signed statement \(not-signed\)/,
      ],
    ]
    for (const [answer, line, message] of answers) {
      fake.on(({ method }) => (method === 'GET' ? answer : undefined))
      t.match(await lockstep(line), { exitCode: 1, out: '', err: message })
    }
    t.notOk(existsSync(at('fetched.json')))
  },
)

void t.test('no hostile text of a controller is shown raw', async (t) => {
  const { fake, directory, path, signed } = await place(t)
  const headers = { 'content-type': 'application/json' }
  const counts = { runs: 0 }
  for (const pack of packs) {
    const error = { code: pack, message: pack, hint: pack, details: { [pack]: pack } }
    const answers: Answer[] = [
      { raw: pack, headers },
      { raw: JSON.stringify({ [pack]: pack, payload: pack, signatures: [] }), headers },
      { raw: JSON.stringify({ ...signed, publishedBy: pack }), headers },
      { status: 404, raw: JSON.stringify(error), headers },
    ]
    for (const answer of answers) {
      fake.on(({ url }) => (url === statementAt ? answer : undefined))
      for (const form of forms) {
        const fetch = ['statement', 'fetch', 'shop', '1.4.0', join(directory, 'none')]
        const send = ['statement', 'send', 'shop', '1.4.0', path, ...form.more]
        for (const argv of [fetch, send]) {
          t.same(await holesOf(run(argv, { ...form, url: fake.url })), [], argv.join(' '))
          counts.runs += 1
        }
      }
    }
  }
  t.comment(`${payloads.length} payloads x 4 answers x ${forms.length} forms, ${counts.runs} runs`)
})
