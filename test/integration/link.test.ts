// The agent's link over real sockets: one session at a time, dialled again whatever happened to the
// last one, and ended when it is told to.

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ControllerChannel } from '#agent/link/controller-channel.ts'
import { ControllerLink, type LinkPorts } from '#agent/link/controller-link.ts'
import { enrol } from '#agent/link/enrolment.ts'
import { Identity, type Place } from '#agent/link/identity.ts'
import type { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { parseUpgradeAuthorization } from '#shared/wire/challenge.ts'
import type { DesiredMessage, Welcome } from '#shared/wire/messages.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { desiredMessageOf, helloOf, observedOf, shop } from '../support/fleet-facts.ts'
import { RunningController } from '../support/running-controller.ts'
import { controllerId, ScriptedController } from '../support/scripted-controller.ts'

/** What a link was told and asked, as it happened. */
class Heard {
  readonly opened: number[] = []
  readonly closed: number[] = []
  readonly desired: { session: number; message: DesiredMessage }[] = []
  readonly troubles: { error: LockstepError; retryInMs: number }[] = []
  reportsDue = 0
  readonly #waiting = new Set<() => void>()

  readonly ports: Pick<
    LinkPorts,
    'onOpened' | 'onClosed' | 'onDesired' | 'onPins' | 'onReportDue' | 'onTrouble'
  > = {
    onOpened: (session) => this.#note(() => this.opened.push(session)),
    onClosed: (session) => this.#note(() => this.closed.push(session)),
    onDesired: (session, message) => this.#note(() => this.desired.push({ session, message })),
    onPins: async () => [],
    onReportDue: () => this.#note(() => (this.reportsDue += 1)),
    onTrouble: (error, retryInMs) => this.#note(() => this.troubles.push({ error, retryInMs })),
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  #note(note: () => void): void {
    note()
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

function channelAt(url: string): ControllerChannel {
  return new ControllerChannel({ url, pins: () => [], isBound: true })
}

/** A link of an enrolled agent that has not been started yet. */
async function openLink(t: Test, controllerUrl: string, changes: Partial<LinkPorts> = {}) {
  const identity = await Identity.open(join(t.testdir({}), 'identity.json'))
  await identity.enrolled({ controller: controllerId, name: 'web-1', apps: [shop], pins: [] })
  const clock = new FakeClock(1000)
  const heard = new Heard()
  const link = new ControllerLink({
    channel: channelAt(controllerUrl),
    identity,
    agentVersion: '0.0.1',
    instance: 'a'.repeat(32),
    apps: () => [shop],
    labels: {},
    onAuditHead: () => undefined,
    clock,
    random: () => 0,
    ...heard.ports,
    ...changes,
  })
  t.teardown(() => link.stop())
  return { link, clock, heard, identity }
}

async function startLink(t: Test, changes: Partial<LinkPorts> = {}) {
  const controller = await ScriptedController.start(t)
  const there = await openLink(t, controller.url, changes)
  return { ...there, controller, ended: there.link.run() }
}

const welcome: Welcome = { type: 'welcome', contentToken: 'token-1', pins: [] }

void t.test('a session begins with a signature, hello and the clock', async (t) => {
  const { controller, link, heard, identity } = await startLink(t)
  const session = await controller.next()
  const [hello] = await session.heard('hello')
  t.same(hello, helloOf())
  t.equal((await session.heard('clock', 5)).length, 5)
  t.equal(session.messages[0]?.type, 'hello', 'hello comes first')
  const authorization = parseUpgradeAuthorization(controller.authorizations[0])
  t.match(authorization, { host: identity.host, nonce: 'n'.repeat(32) })
  t.same(heard.opened, [1])
  t.equal(link.contentToken, null)
  session.say(welcome)
  session.say(desiredMessageOf())
  await heard.until(() => heard.desired.length === 1)
  t.same(heard.desired, [{ session: 1, message: desiredMessageOf() }])
  t.equal(link.contentToken, 'token-1')
})

void t.test(
  'the clock is learnt from the answers, and a report is due with the first',
  async (t) => {
    const { controller, link, heard, clock } = await startLink(t)
    const session = await controller.next()
    const asked = await session.heard('clock', 5)
    t.equal(link.offset, null)
    clock.advance(10)
    session.say({ type: 'clock', sentAt: asked[0]?.sentAt ?? 0, at: 5_000_005 })
    await heard.until(() => heard.reportsDue === 1)
    t.same(link.offset, { offsetMs: 5_000_005 - 1005, errorMs: 5, roundTripMs: 10 })
  },
)

void t.test('reports are due every five seconds of a session, numbered anew in each', async (t) => {
  const { controller, link, heard, clock } = await startLink(t)
  const first = await controller.next()
  await first.heard('clock', 5)
  clock.advance(limits.reportEveryMs)
  t.equal(heard.reportsDue, 1)
  clock.advance(limits.reportEveryMs)
  t.equal(heard.reportsDue, 2)
  t.same([link.nextSeq(), link.nextSeq()], [1, 2])
  first.socket.terminate()
  const second = await controller.next()
  await second.heard('hello')
  t.equal(link.nextSeq(), 1)
  t.same(heard.opened, [1, 2])
  t.same(heard.closed, [1])
})

void t.test('what is said without a session is not kept for the next one', async (t) => {
  const { controller, link, heard } = await startLink(t)
  const first = await controller.next()
  await first.heard('hello')
  first.socket.terminate()
  await heard.until(() => heard.closed.length === 1)
  link.send(observedOf())
  const second = await controller.next()
  await second.heard('clock', 5)
  t.notOk(second.messages.some((message) => message.type === 'observed'))
  link.send(observedOf())
  await second.heard('observed')
})

void t.test('a connection on which nothing comes any more is given up', async (t) => {
  const { controller, heard, clock } = await startLink(t)
  const session = await controller.next()
  await session.heard('hello')
  session.socket.pause()
  clock.advance(limits.silenceMaxMs)
  t.same(heard.closed, [])
  clock.advance(limits.reportEveryMs)
  await heard.until(() => heard.troubles.length === 1)
  t.match(heard.troubles[0]?.error, { code: 'unreachable' })
  await (await controller.next()).heard('hello')
})

void t.test('every answer counts against the silence', async (t) => {
  const { controller, heard, clock } = await startLink(t)
  const session = await controller.next()
  for (let questions = 5; questions < 15; questions += 1) {
    const asked = await session.heard('clock', questions)
    const before = heard.desired.length
    session.say({ type: 'clock', sentAt: asked.at(-1)?.sentAt ?? 0, at: 1 }, desiredMessageOf())
    await heard.until(() => heard.desired.length > before)
    clock.advance(limits.reportEveryMs)
  }
  t.same(heard.closed, [])
})

const refusals = [
  { type: 'refused', code: 'cloned-identity', message: 'two', hint: 'Stop one.' },
  { type: 'refused', code: 'not-invented-yet', message: 'newer words', hint: 'Upgrade.' },
] as const

for (const refusal of refusals) {
  void t.test(
    `the controller\u2019s own words are told when it refuses: ${refusal.code}`,
    async (t) => {
      const { controller, heard } = await startLink(t)
      const session = await controller.next()
      await session.heard('hello')
      session.say(refusal)
      session.socket.close(4400, refusal.code)
      await heard.until(() => heard.troubles.length === 1)
      const { message, hint } = refusal
      const code = refusal.code === 'cloned-identity' ? 'cloned-identity' : 'internal'
      t.match(heard.troubles[0]?.error, { code, message, hint })
    },
  )
}

void t.test('a refusal in place of the upgrade is told as well', async (t) => {
  const controller = await ScriptedController.start(t)
  const { heard, link } = await openLink(t, controller.url)
  const body = JSON.stringify({ code: 'unknown-host', message: 'not enrolled', hint: 'Join.' })
  controller.onUpgrade = (_request, socket) => {
    const head = ['HTTP/1.1 404 Refused', 'connection: close', `content-length: ${body.length}`]
    socket.end([...head, '', body].join('\r\n'))
  }
  const ended = link.run()
  await heard.until(() => heard.troubles.length >= 1)
  t.match(heard.troubles[0]?.error, { code: 'unknown-host', hint: 'Join.' })
  link.stop()
  await ended
})

void t.test('what is no controller is told as that, in every shape', async (t) => {
  const controller = await ScriptedController.start(t)
  const { heard, link } = await openLink(t, controller.url)
  const answers: [string, (response: Parameters<typeof controller.challenge>[0]) => void][] = [
    ['no JSON', (response) => response.end('<html>')],
    ['another JSON', (response) => response.end('{"hello":1}')],
    ['nothing', (response) => response.end()],
    ['an error page', (response) => response.writeHead(502).end('<html>')],
    ['a redirection', (response) => response.writeHead(302, { location: 'http://x' }).end()],
    ['another controller', (r) => r.end(JSON.stringify({ nonce: 'n', controller: 'other' }))],
    ['a cut answer', (response) => response.write('{"nonce', () => response.destroy())],
    ['more than any answer', (response) => response.end('x'.repeat(limits.messageBytesMax + 1))],
  ]
  let at = 0
  controller.challenge = (response) => {
    const answer = answers[Math.min(at, answers.length - 1)]
    at += 1
    answer?.[1](response)
  }
  const ended = link.run()
  await heard.until(() => heard.troubles.length >= answers.length)
  for (const [index, [what]] of answers.entries()) {
    t.match(heard.troubles[index]?.error, { code: 'unreachable', message: /./, hint: /./ }, what)
  }
  link.stop()
  await ended
})

void t.test('a controller that breaks the protocol is not listened to any further', async (t) => {
  const { controller, heard } = await startLink(t)
  const session = await controller.next()
  await session.heard('hello')
  session.say(welcome)
  const ended = session.ended()
  session.socket.send('{"type":"bye"}')
  session.say(desiredMessageOf())
  t.match(await ended, { code: 4400, reason: 'bad-message' })
  await heard.until(() => heard.troubles.length === 1)
  t.match(heard.troubles[0]?.error, { code: 'bad-message', hint: /Upgrade/ })
  t.same(heard.desired, [])
})

void t.test('waits double while nobody welcomes', async (t) => {
  const controller = await ScriptedController.start(t)
  const { heard, link } = await openLink(t, controller.url, { random: () => 0.01 })
  controller.challenge = (response) => response.destroy()
  const ended = link.run()
  await heard.until(() => heard.troubles.length >= 4)
  link.stop()
  await ended
  t.same(
    heard.troubles.map(({ retryInMs }) => retryInMs),
    [10, 20, 40, 80],
  )
})

void t.test('a welcome makes the next wait short, unless it was taken back', async (t) => {
  const { controller, heard, link, ended } = await startLink(t, { random: () => 0.01 })
  const serve = async (end: (session: Awaited<ReturnType<typeof controller.next>>) => void) => {
    const session = await controller.next()
    await session.heard('hello')
    session.say(welcome)
    end(session)
  }
  await serve((session) => session.socket.close(1001))
  for (let times = 0; times < 3; times += 1) {
    await serve((session) => {
      session.say({ type: 'refused', code: 'bad-message', message: 'no' })
      session.socket.close(4400)
    })
  }
  await serve((session) => session.socket.close(4409, 'replaced'))
  await serve((session) => session.socket.close(1001))
  await (await controller.next()).heard('hello')
  link.stop()
  await ended
  t.same(
    heard.troubles.map(({ retryInMs }) => retryInMs),
    [5, 10, 20, 40, 80, 5],
  )
})

// ---- the end ---------------------------------------------------------------------------------------

void t.test('stop closes the session and ends the run', async (t) => {
  const { controller, link, heard, ended, clock } = await startLink(t)
  const session = await controller.next()
  await session.heard('hello')
  const closed = session.ended()
  link.stop()
  await ended
  t.match(await closed, { code: 1000 })
  t.same(heard.closed, [1])
  t.same(clock.pending, [], 'no timer is left')
})

void t.test('stop does not wait for a controller that does not answer', async (t) => {
  const { controller, link, ended } = await startLink(t)
  const session = await controller.next()
  await session.heard('hello')
  session.socket.pause()
  link.stop()
  await ended
  t.pass('it ended')
})

void t.test('stop ends a dial at whatever stage it is', async (t) => {
  const stages: Readonly<Record<string, (controller: ScriptedController) => Promise<unknown>>> = {
    'before the challenge is answered': (controller) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      controller.challenge = () => resolve()
      return promise
    },
    'before the upgrade is answered': (controller) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      controller.onUpgrade = () => resolve()
      return promise
    },
    'in the middle of a refusal': (controller) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      controller.onUpgrade = (_request, socket) => {
        socket.write('HTTP/1.1 404 Refused\r\ncontent-length: 1000\r\n\r\n{', () => resolve())
      }
      return promise
    },
  }
  for (const [what, prepare] of Object.entries(stages)) {
    const controller = await ScriptedController.start(t)
    const { link, heard } = await openLink(t, controller.url)
    const reached = prepare(controller)
    const ended = link.run()
    await reached
    link.stop()
    await ended
    t.same(heard.opened, [], what)
  }
})

void t.test('stop just as the connection opens begins no session', async (t) => {
  const { link, heard, ended, controller } = await startLink(t)
  // The controller has let it in; the agent has not read that yet.
  await controller.next()
  link.stop()
  await ended
  t.equal(heard.opened.length, heard.closed.length)
})

void t.test('stop ends the wait between two dials', async (t) => {
  const controller = await ScriptedController.start(t)
  const { link, heard } = await openLink(t, controller.url, { random: () => 0.999 })
  controller.challenge = (response) => response.destroy()
  const ended = link.run()
  await heard.until(() => heard.troubles.length === 1)
  link.stop()
  await ended
  t.equal(heard.troubles.length, 1)
})

// ---- with a whole controller -----------------------------------------------------------------------

void t.test('what a host serves is said anew when that has changed', async (t) => {
  const blog = { app: 'blog', environment: 'production' }
  let apps: readonly Place[] = [shop]
  const { controller, link, heard } = await startLink(t, { apps: () => apps })
  const session = await controller.next()
  session.say(welcome)
  t.match(await session.heard('hello'), [{ apps: [shop] }])
  apps = [shop, blog]
  link.renew()
  const [hello] = await (await controller.next()).heard('hello')
  t.same(hello?.apps, [shop, blog])
  t.same(heard.closed, [1])
})

void t.test('a link finds back to a controller that was restarted', async (t) => {
  const controller = await RunningController.start(t)
  const identity = await Identity.open(join(t.testdir({}), 'identity.json'))
  const token = await controller.joinToken()
  const channel = channelAt(controller.url)
  await enrol(identity, { channel, token, name: 'web-1', apps: [shop], pins: [] })
  const heard = new Heard()
  const link = new ControllerLink({
    channel,
    identity,
    agentVersion: '0.0.1',
    instance: 'a'.repeat(32),
    apps: () => [shop],
    labels: {},
    onAuditHead: () => undefined,
    clock: new FakeClock(),
    random: () => 0,
    ...heard.ports,
  })
  const ended = link.run()
  await heard.until(() => link.offset !== null)
  await controller.stop()
  await heard.until(() => heard.troubles.length === 1)
  t.match(heard.troubles[0]?.error, { code: 'unreachable', message: /1001/ })
  await controller.start()
  await heard.until(() => heard.opened.length === 2)
  await heard.until(() => link.offset !== null)
  await controller.call('DELETE', `/v1/hosts/${identity.host}`)
  await heard.until(() => heard.troubles.some(({ error }) => error.code === 'unknown-host'))
  link.stop()
  await ended
})
