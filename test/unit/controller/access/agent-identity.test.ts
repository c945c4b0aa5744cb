// The proof that an agent holds its key: nonces that are good once, signatures over the very words.

import t from 'tap'
import { Challenges, checkEnrolment, isUpgradeSigned } from '#controller/access/agent-identity.ts'
import { limits } from '#shared/limits.ts'
import { type Upgrade, upgradeBytes } from '#shared/wire/challenge.ts'
import { AgentKey } from '../../../support/agent-key.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

void t.test('a nonce is good once, and for half a minute', (t) => {
  const clock = new FakeClock()
  const challenges = new Challenges(clock)
  const nonce = challenges.draw()
  t.match(nonce, /^[\w-]{32}$/)
  t.equal(challenges.use(nonce), true)
  t.equal(challenges.use(nonce), false, 'replayed')
  const late = challenges.draw()
  clock.advance(limits.challengeMs)
  t.equal(challenges.use(late), false, 'expired')
  t.equal(challenges.use('n'.repeat(32)), false, 'never drawn')
  t.not(challenges.draw(), challenges.draw())
  t.end()
})

void t.test('whoever asks for many nonces makes the oldest forgotten, and no memory grow', (t) => {
  const challenges = new Challenges(new FakeClock())
  const first = challenges.draw()
  const second = challenges.draw()
  for (let drawn = 2; drawn < 20_001; drawn += 1) challenges.draw()
  t.equal(challenges.use(first), false)
  t.equal(challenges.use(second), true)
  t.end()
})

const here = { controller: 'here', exporter: 'of-this-connection' }
const challenge = { nonce: 'nonce', controller: 'here' }

void t.test('an enrolment is the work of the key in it, for here, to the letter', (t) => {
  const key = new AgentKey()
  const { exporter } = here
  const body = key.enrolment('lsj1.x.y', 'web-1', challenge, { exporter })
  t.same(checkEnrolment(body, here), { host: key.host })
  const other = new AgentKey()
  const upgrade = { ...here, host: key.host, nonce: 'nonce', clientNonce: 'c' }
  const forged = [
    { ...body, token: 'lsj1.x.z' },
    { ...body, name: 'web-2' },
    { ...body, nonce: 'another' },
    { ...body, apps: [{ app: 'blog', environment: 'production' }] },
    { ...body, apps: [...body.apps, { app: 'blog', environment: 'production' }] },
    { ...body, publicKey: other.publicKey },
    {
      ...body,
      signature: other.enrolment('lsj1.x.y', 'web-1', challenge, { exporter }).signature,
    },
    { ...body, signature: key.sign(upgradeBytes(upgrade)) },
    key.enrolment('lsj1.x.y', 'web-1', challenge),
    key.enrolment('lsj1.x.y', 'web-1', challenge, { exporter: 'of-another' }),
    key.enrolment('lsj1.x.y', 'web-1', challenge, { exporter, controller: 'there' }),
    // Not in canonical base64url, and no point of the curve.
    { ...body, publicKey: '_'.repeat(43) },
    { ...body, publicKey: 'A'.repeat(43), signature: 'A'.repeat(86) },
  ]
  for (const wrong of forged) {
    t.throws(() => checkEnrolment(wrong, here), { code: 'bad-signature' }, JSON.stringify(wrong))
  }
  t.end()
})

void t.test('an upgrade is signed for this controller, host, connection and nonces', (t) => {
  const key = new AgentKey()
  const { publicKey } = key
  const asked = { host: key.host, nonce: 'nonce', clientNonce: 'client' }
  const isGood = (changes: Partial<Upgrade>, by = key) => {
    const signature = by.sign(upgradeBytes({ ...here, ...asked, ...changes }))
    return isUpgradeSigned(publicKey, { ...asked, signature }, here)
  }
  t.equal(isGood({}), true)
  t.equal(isGood({ controller: 'there' }), false)
  t.equal(isGood({ host: 'other' }), false)
  t.equal(isGood({ nonce: 'again' }), false)
  t.equal(isGood({ clientNonce: 'again' }), false)
  t.equal(isGood({ exporter: 'of-another' }), false, 'relayed')
  t.equal(isGood({ exporter: '' }), false, 'not bound')
  t.equal(isGood({}, new AgentKey()), false)
  const { signature } = key.enrolment('here', key.host, challenge)
  t.equal(isUpgradeSigned(publicKey, { ...asked, signature }, here), false)
  t.end()
})
