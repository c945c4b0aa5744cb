// The proof that an agent holds its key: nonces that are good once, signatures over the very words.

import t from 'tap'
import { Challenges, checkEnrolment, isUpgradeSigned } from '#controller/access/agent-identity.ts'
import { limits } from '#shared/limits.ts'
import { upgradeBytes } from '#shared/wire/challenge.ts'
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

void t.test('an enrolment is the work of the key in it, to the letter', (t) => {
  const key = new AgentKey()
  const body = key.enrolment('lsj1.x.y', 'web-1')
  t.same(checkEnrolment(body), { host: key.host })
  const other = new AgentKey()
  const forged = [
    { ...body, token: 'lsj1.x.z' },
    { ...body, name: 'web-2' },
    { ...body, apps: [{ app: 'blog', environment: 'production' }] },
    { ...body, apps: [...body.apps, { app: 'blog', environment: 'production' }] },
    { ...body, publicKey: other.publicKey },
    { ...body, signature: other.enrolment('lsj1.x.y', 'web-1').signature },
    { ...body, signature: key.sign(upgradeBytes('c', key.host, 'n')) },
    // Not in canonical base64url, and no point of the curve.
    { ...body, publicKey: '_'.repeat(43) },
    { ...body, publicKey: 'A'.repeat(43), signature: 'A'.repeat(86) },
  ]
  for (const wrong of forged) {
    t.throws(() => checkEnrolment(wrong), { code: 'bad-signature' }, JSON.stringify(wrong))
  }
  t.end()
})

void t.test('an upgrade is signed for this controller, this host and this nonce', (t) => {
  const key = new AgentKey()
  const { host, publicKey } = key
  const signed = (controller: string, id: string, nonce: string, by = key) => ({
    host,
    nonce: 'nonce',
    signature: by.sign(upgradeBytes(controller, id, nonce)),
  })
  t.equal(isUpgradeSigned(publicKey, 'here', signed('here', host, 'nonce')), true)
  t.equal(isUpgradeSigned(publicKey, 'here', signed('there', host, 'nonce')), false)
  t.equal(isUpgradeSigned(publicKey, 'here', signed('here', 'other', 'nonce')), false)
  t.equal(isUpgradeSigned(publicKey, 'here', signed('here', host, 'again')), false)
  t.equal(isUpgradeSigned(publicKey, 'here', signed('here', host, 'nonce', new AgentKey())), false)
  const { signature } = key.enrolment('here', host)
  t.equal(isUpgradeSigned(publicKey, 'here', { host, nonce: 'nonce', signature }), false)
  t.end()
})
