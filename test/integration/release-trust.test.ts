// What the host's trust file lets in, on a real disk: nothing is fetched or written before it is
// verified, nothing becomes current that was not, and what was verified is remembered.

import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ann, atOf, bob, ci, mallory } from '../unit/shared/trust/signing.ts'
import { releaseOf } from './test-release.ts'
import { TrustedApp } from './trusted-app.ts'

const one = releaseOf('1.0.0', { index: 'one' })
const two = releaseOf('2.0.0', { index: 'two' })
const three = releaseOf('3.0.0', { index: 'three' })
const refused = /^untrusted-release: /

const openApp = (t: Parameters<typeof TrustedApp.start>[0]) => TrustedApp.start(t, one, two, three)

void t.test('nothing but the statement is asked for before it is verified', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  await app.open()
  t.match(await app.stage(one), /^untrusted-release: 1\.0\.0 is not let in: .*not signed/)
  app.sign(one, {}, mallory)
  t.match(await app.stage(one), /1 of ci have to sign/)
  for (const [what, changes] of Object.entries({
    'another app': { app: 'blog' },
    'another environment': { environments: ['staging'] },
    'another version': { version: '9.9.9' },
    'another tree': { tree: two.tree },
    'of yesterday': { expires: '2026-05-31T00:00:00Z' },
  })) {
    app.sign(one, changes)
    t.match(await app.stage(one), refused, what)
  }
  const statement = `/v1/trees/${one.tree}/statements/shop/1.0.0`
  t.same(new Set(app.server.requests), new Set([statement]))
  t.same(app.written(), [], 'nothing was written')
  t.same(app.held(), [])
  app.sign(one)
  t.equal(await app.stage(one), 'staged')
  t.same(app.held(), ['1.0.0'])
  t.equal(app.swap(one), 'swapped')
})

void t.test('what was verified is remembered, whatever becomes of keys and days', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  app.sign(one, { sequence: 1 })
  app.sign(two, { sequence: 2, expires: '2026-06-02T00:00:00Z' })
  await app.open()
  await app.run(one)
  t.equal(await app.stage(two), 'staged')
  app.now = atOf('2026-06-03T00:00:00Z')
  app.ask('require', { ann })
  await app.open()
  t.equal(app.swap(two), 'swapped', 'it was staged in time')
  t.equal(app.swap(one), 'swapped', 'and the way back is open')
  rmSync(app.layout.versions, { recursive: true })
  rmSync(app.layout.records, { recursive: true })
  await app.open()
  app.server.requests.length = 0
  t.equal(await app.stage(one), 'staged', 'what was committed here is staged again')
  t.notOk(
    app.server.requests.some((path) => path.includes('statement')),
    'without its statement',
  )
  t.match(await app.stage(two), refused, 'what never was committed is judged anew')
  app.sign(two, { sequence: 2, expires: '2026-06-02T00:00:00Z' }, ann)
  t.match(await app.stage(two), /expired at 2026-06-02/)
})

void t.test('the floor rises with the commit, and nothing goes below it', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  app.sign(one, { sequence: 1 })
  app.sign(two, { sequence: 2 })
  app.sign(three, { sequence: 3, floor: 3 })
  await app.open()
  await app.run(one)
  t.equal(await app.stage(two), 'staged')
  t.equal(await app.stage(three), 'staged')
  t.equal(app.swap(three), 'swapped')
  t.equal(app.swap(one), 'swapped', 'staging and swapping raise nothing')
  t.equal(app.swap(three), 'swapped')
  await app.disk.commit(three)
  for (const release of [one, two]) {
    t.equal(app.swap(release), 'untrusted-release', `${release.version} stands on the disk`)
    t.match(await app.stage(release), /below the floor 3/)
  }
  t.same(app.held(), ['3.0.0'], 'and is promised to nobody')
  await app.open()
  t.match(await app.stage(one), /below the floor 3/, 'after a restart too')
  t.equal(app.current, '3.0.0')
})

void t.test('below what was committed only that comes back which was committed', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  app.sign(one, { sequence: 1 })
  app.sign(two, { sequence: 2 })
  app.sign(three, { sequence: 3 })
  await app.open()
  await app.run(one)
  t.equal(await app.stage(two), 'staged')
  await app.run(three)
  t.equal(app.swap(two), 'untrusted-release', 'it was verified, and never ran')
  t.match(await app.stage(two), /sequence 2 is not above 3/)
  t.equal(app.swap(one), 'swapped')
})

void t.test('what the environment runs is let in though it has expired', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  const expires = '2026-05-01T00:00:00Z'
  app.sign(one, { sequence: 1, expires })
  app.sign(two, { sequence: 2, expires })
  app.sign(three, { sequence: 1, expires })
  await app.open()
  t.match(await app.stage(one), /expired/, 'not for a rollout')
  t.equal(await app.stage(one, { isSettled: true }), 'staged', 'to a new host')
  t.equal(app.swap(one), 'swapped')
  await app.disk.commit(one)
  t.match(await app.stage(two), /expired/, 'not for a rollout')
  t.equal(await app.stage(two, { isSettled: true }), 'staged', 'to a host that was away')
  t.equal(app.swap(two), 'swapped')
  await app.disk.commit(two)
  t.match(await app.stage(three, { isSettled: true }), /sequence 1/, 'and never back')
})

void t.test('without a trust file everything is let in, and that is said', async (t) => {
  const app = await openApp(t)
  await app.open()
  await app.run(one)
  t.same(app.sights, [{ policy: 'none', note: null }])
  t.notOk(existsSync(app.layout.trust), 'nothing is written down')
  t.notOk(app.server.requests.some((path) => path.includes('statement')))
})

void t.test('what runs when the trust file comes stays, and nothing else does', async (t) => {
  const app = await openApp(t)
  await app.open()
  await app.run(one)
  await app.run(two)
  t.equal(await app.stage(three), 'staged')
  app.writeTrust()
  t.equal(app.swap(three), 'untrusted-release', 'from that moment on')
  await app.disk.observeCurrent()
  t.same(app.found, ['2.0.0'])
  t.same(app.held(), ['2.0.0'])
  t.equal(app.swap(one), 'untrusted-release')
  t.equal(app.swap(two), 'swapped')
  t.match(await app.stage(three), refused)
  app.sign(three, { sequence: 3 })
  await app.run(three)
  t.equal(app.swap(two), 'swapped', 'a roll back to what was found')
  app.sign(one, { sequence: 4, floor: 4 })
  await app.run(one)
  t.equal(app.swap(two), 'untrusted-release', 'a floor ends that')
  await app.open()
  t.same(app.found, ['2.0.0'], 'it was found once')
})

void t.test('a trust file that cannot be followed lets nothing new in', async (t) => {
  const broken: Record<string, (app: TrustedApp) => void> = {
    'no JSON': (app) => app.writeTrust('{'),
    'an unknown member': (app) => app.writeTrust('{"trust":1,"version":1,"more":1}'),
    'a threshold of none': (app) =>
      app.writeTrust({
        trust: 1,
        version: 1,
        keys: { ci: { key: ci.line } },
        environments: { production: { policy: 'require', threshold: 0, keys: ['ci'] } },
      }),
    'too long': (app) => app.writeTrust(' '.repeat(70_000)),
    'anybody may write it': (app) => {
      app.writeTrust()
      chmodSync(app.trustFile, 0o666)
    },
    'its directory is anybody’s': (app) => {
      app.writeTrust()
      chmodSync(join(app.trustFile, '..'), 0o777)
    },
    'a directory': (app) => {
      rmSync(app.trustFile)
      mkdirSync(app.trustFile)
    },
    'gone': (app) => rmSync(app.trustFile),
  }
  for (const [what, breakIt] of Object.entries(broken)) {
    await t.test(what, async (t) => {
      const app = await openApp(t)
      app.writeTrust()
      app.sign(one)
      app.sign(two, { sequence: 18 })
      await app.open()
      await app.run(one)
      breakIt(app)
      t.match(await app.stage(two), refused)
      t.match(app.sight, { policy: 'broken', note: /trust\.json/ })
      t.equal(app.swap(one), 'swapped', 'what was verified goes on')
      await app.open()
      t.same(app.held(), ['1.0.0'])
      t.match(await app.stage(two), refused, 'after a restart too')
    })
  }
})

void t.test('a trust file that agent.toml names has to be there', async (t) => {
  const app = await openApp(t)
  app.isNamed = true
  await app.open()
  t.match(await app.stage(one), /trust\.json is not there/)
  t.match(app.sight, { policy: 'broken' })
})

const skip = process.getuid?.() === 0 ? false : 'only root can give a file away'
void t.test('a file of somebody else is not believed', { skip }, async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  chownSync(app.trustFile, 65_534, 65_534)
  await app.open()
  t.match(await app.stage(one), /belongs to the user 65534/)
})

void t.test('warn lets go and says so; off asks nothing', async (t) => {
  const app = await openApp(t)
  app.ask('warn')
  await app.open()
  t.equal(await app.stage(one), 'staged')
  t.equal(app.swap(one), 'swapped')
  t.match(app.doubts, [/not signed/])
  t.match(app.sight, { policy: 'warn', note: /1\.0\.0: .*not signed/ })
  app.sign(two, {}, bob)
  t.equal(await app.stage(two), 'staged')
  t.equal(app.doubts.length, 2)
  app.ask('off')
  t.equal(await app.stage(three), 'staged')
  t.equal(app.doubts.length, 2)
  t.match(app.sight, { policy: 'off', note: null })
  app.ask('require')
  await app.disk.observeCurrent()
  t.same(app.held(), ['1.0.0'], 'what ran when signatures were asked for')
})

void t.test('an environment without a rule is not one without a question', async (t) => {
  const app = await openApp(t)
  app.environment = 'staging'
  app.writeTrust()
  app.sign(one, { environments: ['staging'] })
  await app.open()
  t.match(await app.stage(one), /no rule for the environment "staging"/)
})

void t.test('a directory that somebody put into versions/ is no release', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  await app.open()
  mkdirSync(join(app.layout.versions, '1.0.0'))
  writeFileSync(join(app.layout.versions, '1.0.0/index'), 'one')
  await app.open()
  t.equal(app.swap(one), 'untrusted-release')
  t.same(app.held(), [])
})

void t.test('a statement that does not end, or never comes, holds nothing up', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  app.sign(one)
  await app.open()
  app.server.fault = ({ response }) => {
    const more = () => {
      if (!response.destroyed) response.write(Buffer.alloc(65_536, 32), () => setImmediate(more))
    }
    more()
  }
  t.match(await app.stage(one), /^too-large: /)
  const stopping = new AbortController()
  app.server.fault = ({ response }) => {
    response.write('{')
    stopping.abort()
  }
  t.equal(await app.stage(one, { signal: stopping.signal }), 'cancelled')
  app.server.fault = ({ response }) =>
    response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
  t.match(await app.stage(one), /^fetch-failed: .*redirects/)
  app.server.fault = null
  t.equal(await app.stage(one), 'staged')
})

void t.test('the keys that count are those when the statement has come', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  app.sign(one)
  await app.open()
  // Slow as the controller likes it; meanwhile root takes the stolen key out, or ends it all.
  app.server.fault = ({ answer }) => {
    app.ask('require', { ann })
    answer()
  }
  t.match(await app.stage(one), /1 of ann have to sign/)
  app.ask('require')
  app.server.fault = ({ answer }) => {
    app.writeTrust('{')
    answer()
  }
  t.match(await app.stage(one), /no JSON/)
  app.server.fault = null
  t.match(await app.stage(one), refused, 'nothing of it was remembered')
  app.ask('require')
  t.equal(await app.stage(one), 'staged')
})

void t.test('what a stolen key had let in goes with the record, and what runs stays', async (t) => {
  const app = await openApp(t)
  app.ask('require', { ci, mallory })
  app.sign(one, { sequence: 1 })
  app.sign(two, { sequence: 2 }, mallory)
  await app.open()
  await app.run(one)
  t.equal(await app.stage(two), 'staged')
  app.ask('require')
  await app.open()
  t.same(app.held(), ['1.0.0', '2.0.0'], 'it was verified when the key was good')
  rmSync(app.layout.trust)
  await app.open()
  t.same(app.held(), ['1.0.0'])
  t.equal(app.swap(two), 'untrusted-release')
  t.match(await app.stage(two), /1 of ci have to sign/)
  t.same(app.found, ['1.0.0'])
})

void t.test('environments have floors of their own, and forget none', async (t) => {
  const app = await openApp(t)
  const rule = { policy: 'require', threshold: 1, keys: ['ci'] }
  app.writeTrust({
    trust: 1,
    version: 1,
    keys: { ci: { key: ci.line } },
    environments: { '*': rule },
  })
  app.sign(one, { sequence: 1 })
  app.sign(two, { sequence: 2, floor: 2 })
  await app.open()
  await app.run(two)
  app.environment = 'staging'
  await app.open()
  t.equal(await app.stage(one), 'staged')
  app.environment = 'production'
  await app.open()
  t.match(await app.stage(one), /below the floor 2/)
})

void t.test('a record that was damaged is not taken for none', async (t) => {
  const app = await openApp(t)
  app.writeTrust()
  app.sign(one)
  await app.open()
  await app.run(one)
  writeFileSync(app.layout.trust, '{}')
  await t.rejects(app.open(), { code: 'bad-journal', hint: /floor/ })
})
