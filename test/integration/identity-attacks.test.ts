// Everything by which somebody could join, or come in as another, and must not: each by its name, over
// real TLS, with what the refusal is. What a case prepares, it prepares as an honest agent would.

import { connect } from 'node:tls'
import { once } from 'node:events'
import t from 'tap'
import { makeAuthority } from '#controller/tls/certificate-authority.ts'
import { limits } from '#shared/limits.ts'
import { formatUpgradeAuthorization, parseUpgradeAuthorization } from '#shared/wire/challenge.ts'
import { helloOf, shop } from '../support/fleet-facts.ts'
import { AgentKey } from '../support/agent-key.ts'
import { IdentityScene } from '../support/identity-scene.ts'
import { startRelay } from '../support/tls-relay.ts'

const scene = await IdentityScene.open(t)
const elsewhere = await IdentityScene.open(t, 'another-controller')
const { ports, clock } = scene.server
const blog = { app: 'blog', environment: 'production' }
const staging = { ...shop, environment: 'staging' }

type Case = readonly [name: string, outcome: string, attempt: () => Promise<string>]

/** Another character in place of the one there. */
function flipped(text: string, at: number): string {
  const other = text.at(at) === 'A' ? 'B' : 'A'
  return `${text.slice(0, at)}${other}${text.slice(at + 1)}`
}

function partsOf(token: string): [string, string, string, string] {
  const [prefix = '', id = '', secret = '', pin = ''] = token.split('.')
  return [prefix, id, secret, pin]
}

/** An identity that was found to be used twice. */
async function clonedHost(): Promise<AgentKey> {
  const key = await scene.host()
  const host = await ports.hosts.get(key.host)
  if (host === null) throw new Error('not enrolled')
  const instances = ['a', 'b', 'a'].map((letter) => letter.repeat(32))
  for (const instance of instances) {
    const channel = { binding: 'bound', send: () => undefined, close: () => undefined } as const
    await ports.sessions.accept(host, channel).receive(JSON.stringify(helloOf({ instance })))
  }
  return key
}

const stolen = await startRelay(t, scene.authority, { port: scene.port, isTls: true })
const foreign = await startRelay(t, makeAuthority(Date.now()), { port: scene.port, isTls: true })
/** To somebody who holds the controller's own authority, and passes everything on. */
const viaRelay = () => scene.channel([scene.pin], stolen.url)
/** To somebody with an authority of his own. */
const viaImpostor = () => scene.channel([scene.pin], foreign.url)

const tokens: readonly Case[] = [
  [
    'a token that was used',
    'bad-join-token',
    async () => {
      const token = await scene.token()
      t.equal(await scene.enrol({ token }), 'ok')
      return scene.enrol({ token })
    },
  ],
  [
    'a token of three uses, for the fourth time',
    'bad-join-token',
    async () => {
      const token = await scene.token({ usesMax: 3 })
      for (let use = 0; use < 3; use += 1) t.equal(await scene.enrol({ token }), 'ok')
      return scene.enrol({ token })
    },
  ],
  [
    'a token that has expired',
    'bad-join-token',
    async () => {
      const token = await scene.token()
      clock.advance(limits.joinTokenMs)
      return scene.enrol({ token })
    },
  ],
  [
    'a token that was revoked',
    'bad-join-token',
    async () => {
      const token = await scene.token()
      const [, id] = partsOf(token)
      await ports.tokens.revoke(id, { by: 'operator', why: null, at: clock.now() })
      return scene.enrol({ token })
    },
  ],
  [
    'a token of nobody',
    'bad-join-token',
    () => scene.enrol({ token: `lsj1.${'x'.repeat(11)}.${'y'.repeat(43)}.${scene.pin}` }),
  ],
  [
    'a token with another secret',
    'bad-join-token',
    async () => {
      const [prefix, id, secret, pin] = partsOf(await scene.token())
      return scene.enrol({ token: [prefix, id, flipped(secret, 7), pin].join('.') })
    },
  ],
  [
    'the secret of one token with the id of another',
    'bad-join-token',
    async () => {
      const [prefix, id] = partsOf(await scene.token())
      const [, , secret, pin] = partsOf(await scene.token())
      return scene.enrol({ token: [prefix, id, secret, pin].join('.') })
    },
  ],
  ['an API token', 'bad-join-token', () => scene.enrol({ token: scene.server.token })],
  [
    'a token of another controller',
    'bad-join-token',
    async () => scene.enrol({ token: await elsewhere.token() }),
  ],
  [
    'a token without its pin',
    'bad-join-token',
    async () =>
      scene.enrol({
        token: partsOf(await scene.token())
          .slice(0, 3)
          .join('.'),
      }),
  ],
  [
    'a token with the pin of another controller',
    'bad-join-token',
    async () => {
      const [prefix, id, secret] = partsOf(await scene.token())
      return scene.enrol({ token: [prefix, id, secret, elsewhere.pin].join('.') })
    },
  ],
  [
    'a token with one character of its pin changed',
    'bad-join-token',
    async () => {
      const [prefix, id, secret, pin] = partsOf(await scene.token())
      return scene.enrol({ token: [prefix, id, secret, flipped(pin, 3)].join('.') })
    },
  ],
  [
    'a token with more behind it',
    'bad-join-token',
    async () => scene.enrol({ token: `${await scene.token()}.more` }),
  ],
  ['no token', 'bad-join-token', () => scene.enrol({ token: '' })],
  [
    'a token with a line break in it',
    'bad-join-token',
    async () => scene.enrol({ token: `${await scene.token()}\nlsj1` }),
  ],
  [
    'a token for another app',
    'join-not-allowed',
    async () => scene.enrol({ token: await scene.token({ apps: [blog] }) }),
  ],
  [
    'a token for another environment',
    'join-not-allowed',
    async () => scene.enrol({ token: await scene.token({ apps: [staging] }) }),
  ],
  [
    'a token for one of two apps',
    'join-not-allowed',
    async () => scene.enrol({ signed: { apps: [shop, blog] } }),
  ],
]

const enrolments: readonly Case[] = [
  [
    'an enrolment again, to the letter',
    'bad-signature',
    async () => {
      const attempt = { key: new AgentKey(), challenge: scene.challenge() }
      t.equal(await scene.enrol(attempt), 'ok')
      return scene.enrol(attempt)
    },
  ],
  [
    'a challenge that is too old',
    'bad-signature',
    async () => {
      const challenge = scene.challenge()
      clock.advance(limits.challengeMs)
      return scene.enrol({ challenge })
    },
  ],
  [
    'a challenge that nobody drew',
    'bad-signature',
    () => scene.enrol({ challenge: { ...scene.challenge(), nonce: 'n'.repeat(32) } }),
  ],
  [
    'a challenge of another controller',
    'bad-signature',
    () => scene.enrol({ challenge: { ...scene.challenge(), nonce: elsewhere.challenge().nonce } }),
  ],
  [
    'a challenge that an upgrade has used',
    'bad-signature',
    async () => {
      const challenge = scene.challenge()
      t.equal(await scene.upgrade(await scene.host(), { challenge }), 'ok')
      return scene.enrol({ challenge })
    },
  ],
  [
    'a challenge that a failed attempt has used',
    'bad-signature',
    async () => {
      const challenge = scene.challenge()
      await scene.enrol({ challenge, token: 'nonsense' })
      return scene.enrol({ challenge })
    },
  ],
  [
    'meant for another controller',
    'bad-signature',
    () => scene.enrol({ signed: { controller: 'another-controller' } }),
  ],
  ['another name', 'bad-signature', () => scene.enrol({ sent: { name: 'other' } })],
  [
    'another key in place of the signer\u2019s',
    'bad-signature',
    () => scene.enrol({ sent: { publicKey: new AgentKey().publicKey } }),
  ],
  [
    'the key of a host that is enrolled',
    'bad-signature',
    async () => scene.enrol({ sent: { publicKey: (await scene.host()).publicKey } }),
  ],
  ['an app more', 'bad-signature', () => scene.enrol({ sent: { apps: [shop, blog] } })],
  [
    'an app less',
    'bad-signature',
    () => scene.enrol({ signed: { apps: [shop, blog] }, sent: { apps: [shop] } }),
  ],
  ['another environment', 'bad-signature', () => scene.enrol({ sent: { apps: [staging] } })],
  [
    'another token in place of the signed one',
    'bad-signature',
    async () => scene.enrol({ sent: { token: await scene.token() } }),
  ],
  [
    'another challenge than the signed one',
    'bad-signature',
    () => scene.enrol({ sent: { nonce: scene.challenge().nonce } }),
  ],
  [
    'a signature of nothing',
    'bad-signature',
    () => scene.enrol({ sent: { signature: 'A'.repeat(86) } }),
  ],
  [
    'a member that nobody knows',
    'bad-request',
    () => scene.enrol({ sent: { url: 'https://evil.example' } }),
  ],
  ['bound to no connection', 'bad-signature', () => scene.enrol({ signed: { exporter: '' } })],
  [
    'bound to another connection',
    'bad-signature',
    async () => {
      const { socket, exporter } = await scene.channel().connect(AbortSignal.timeout(10_000))
      socket.destroy()
      return scene.enrol({ signed: { exporter } })
    },
  ],
  [
    'through a relay that holds the controller\u2019s own authority',
    'bad-signature',
    () => scene.enrol({ channel: viaRelay() }),
  ],
  [
    'through a relay with an authority of its own',
    'wrong-pin',
    () => scene.enrol({ channel: viaImpostor() }),
  ],
  [
    'with the pin of another controller',
    'wrong-pin',
    () => scene.enrol({ channel: scene.channel([elsewhere.pin]) }),
  ],
  [
    'without a pin, and by no authority of the system',
    'unreachable',
    () => scene.enrol({ channel: scene.channel([]) }),
  ],
  [
    'under a name that the certificate does not have',
    'unreachable',
    () => {
      const url = `https://127.0.0.2:${scene.port}`
      return scene.enrol({ channel: scene.channel([scene.pin], url) })
    },
  ],
  [
    'over plain HTTP',
    'bad-request',
    () => {
      const url = `http://127.0.0.1:${scene.port}`
      return scene.enrol({ channel: scene.channel([scene.pin], url) })
    },
  ],
  [
    'the name of another host',
    'name-taken',
    async () => {
      const [first] = await ports.hosts.list()
      return scene.enrol({ signed: { name: first?.name ?? '' } })
    },
  ],
  [
    'a key that two agents use',
    'cloned-identity',
    async () => scene.enrol({ key: await clonedHost() }),
  ],
  [
    'a removed host with the token that it had',
    'bad-join-token',
    async () => {
      const key = new AgentKey()
      const token = await scene.token()
      t.equal(await scene.enrol({ key, token }), 'ok')
      await ports.hosts.remove(key.host, { by: 'operator', why: null, at: clock.now() })
      return scene.enrol({ key, token })
    },
  ],
]

const upgrades: readonly Case[] = [
  [
    'an upgrade again, to the letter',
    'bad-signature',
    async () => {
      const challenge = scene.challenge()
      const key = await scene.host()
      t.equal(await scene.upgrade(key, { challenge }), 'ok')
      return scene.upgrade(key, { challenge })
    },
  ],
  [
    'an upgrade over a challenge that is too old',
    'bad-signature',
    async () => {
      const key = await scene.host()
      const challenge = scene.challenge()
      clock.advance(limits.challengeMs)
      return scene.upgrade(key, { challenge })
    },
  ],
  [
    'an upgrade over a challenge that nobody drew',
    'bad-signature',
    async () => {
      const challenge = { ...scene.challenge(), nonce: 'n'.repeat(32) }
      return scene.upgrade(await scene.host(), { challenge })
    },
  ],
  [
    'an upgrade over a challenge of another controller',
    'bad-signature',
    async () => {
      const challenge = { ...scene.challenge(), nonce: elsewhere.challenge().nonce }
      return scene.upgrade(await scene.host(), { challenge })
    },
  ],
  [
    'an upgrade over a challenge that an enrolment has used',
    'bad-signature',
    async () => {
      const challenge = scene.challenge()
      const key = new AgentKey()
      t.equal(await scene.enrol({ key, challenge }), 'ok')
      return scene.upgrade(key, { challenge })
    },
  ],
  [
    'another challenge in place of the signed one',
    'bad-signature',
    async () => {
      const { nonce } = scene.challenge()
      return scene.upgrade(await scene.host(), { signed: { nonce } })
    },
  ],
  [
    'another nonce of the agent in place of the signed one',
    'bad-signature',
    async () => scene.upgrade(await scene.host(), { signed: { clientNonce: 'd'.repeat(32) } }),
  ],
  [
    'an upgrade that is meant for another controller',
    'bad-signature',
    async () => scene.upgrade(await scene.host(), { signed: { controller: 'another-controller' } }),
  ],
  [
    'an upgrade that was signed for another host',
    'bad-signature',
    async () => {
      const { host } = await scene.host()
      return scene.upgrade(await scene.host(), { signed: { host } })
    },
  ],
  [
    'the signature of one host under the id of another',
    'bad-signature',
    async () => {
      const { host } = await scene.host()
      return scene.upgrade(await scene.host(), { host })
    },
  ],
  [
    'the signature of a stranger under the id of a host',
    'bad-signature',
    async () => scene.upgrade(await scene.host(), { key: new AgentKey() }),
  ],
  [
    'a signature with one character changed',
    'bad-signature',
    async () => {
      const header = (good: string) => {
        const parts = parseUpgradeAuthorization(good)
        if (parts === null) throw new Error('no header of ours')
        return formatUpgradeAuthorization({ ...parts, signature: flipped(parts.signature, 20) })
      }
      return scene.upgrade(await scene.host(), { header })
    },
  ],
  [
    'the header of the version before',
    'unauthorised',
    async () => {
      const header = (good: string) => good.replace(/client=[^,]+,/, '')
      return scene.upgrade(await scene.host(), { header })
    },
  ],
  [
    'an API token in place of a signature',
    'unauthorised',
    async () => {
      const header = () => `Bearer ${scene.server.token}`
      return scene.upgrade(await scene.host(), { header })
    },
  ],
  [
    'a page of a browser',
    'unauthorised',
    async () => {
      const headers = { origin: `https://127.0.0.1:${scene.port}` }
      return scene.upgrade(await scene.host(), { headers })
    },
  ],
  [
    'an upgrade that is bound to no connection',
    'bad-signature',
    async () => scene.upgrade(await scene.host(), { signed: { exporter: '' } }),
  ],
  [
    'an upgrade that is bound to another connection',
    'bad-signature',
    async () => {
      const { socket, exporter } = await scene.channel().connect(AbortSignal.timeout(10_000))
      socket.destroy()
      return scene.upgrade(await scene.host(), { signed: { exporter } })
    },
  ],
  [
    'an upgrade through a relay that holds the controller\u2019s own authority',
    'bad-signature',
    async () => scene.upgrade(await scene.host(), { channel: viaRelay() }),
  ],
  [
    'an upgrade through a relay with an authority of its own',
    'wrong-pin',
    async () => scene.upgrade(await scene.host(), { channel: viaImpostor() }),
  ],
  ['a host that never enrolled', 'unknown-host', () => scene.upgrade(new AgentKey())],
  [
    'a host that was removed',
    'unknown-host',
    async () => {
      const key = await scene.host()
      await ports.hosts.remove(key.host, { by: 'operator', why: null, at: clock.now() })
      return scene.upgrade(key)
    },
  ],
  [
    'an identity that two agents use',
    'cloned-identity',
    async () => scene.upgrade(await clonedHost()),
  ],
]

void t.test('who does all of it right is let in', async (t) => {
  const key = new AgentKey()
  t.equal(await scene.enrol({ key }), 'ok')
  t.equal(await scene.upgrade(key), 'ok')
})

void t.test('and nobody else is', async (t) => {
  const cases = [...tokens, ...enrolments, ...upgrades]
  for (const [name, outcome, attempt] of cases) t.equal(await attempt(), outcome, name)
  t.equal(new Set(cases.map(([name]) => name)).size, cases.length)
  t.ok(cases.length >= 50)
  t.comment(`${cases.length} ways to get in that are none`)
})

void t.test('an impostor hears nothing, a relay nothing that is good elsewhere', async (t) => {
  t.ok(foreign.connections() > 0)
  t.equal(foreign.heard(), '', 'not one byte was said to who has no pinned key')
  t.match(stolen.heard(), /POST \/v1\/enrol/)
  const [header] = /LockstepAgent [^\r]+/.exec(stolen.heard()) ?? []
  const key = await scene.host()
  t.equal(await scene.upgrade(key, { header: () => header ?? '' }), 'bad-signature')
})

void t.test('TLS before 1.3 is not spoken', async (t) => {
  const socket = connect({
    host: '127.0.0.1',
    port: scene.port,
    ca: scene.authority.certificate,
    maxVersion: 'TLSv1.2',
  })
  const [error] = await once(socket, 'error')
  t.match(String(error), /protocol version|alert/i)
})
