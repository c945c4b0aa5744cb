// Sessions of agents over channels that only write down: who is heard, who is told, who is sent away.

import t from 'tap'
import type { Channel } from '#controller/sessions/channel.ts'
import { type RegistryPorts, SessionRegistry } from '#controller/sessions/session-registry.ts'
import type { EnrolledHost, HostApp } from '#controller/store/host-store.ts'
import type { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Report } from '#shared/report.ts'
import { decodeDown, encode } from '#shared/wire/codec.ts'
import type { DownMessage, UpMessage } from '#shared/wire/messages.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import {
  desiredMessageOf,
  helloOf,
  observedOf,
  reportOf,
  shop,
} from '../../../support/fleet-facts.ts'

const blog = { app: 'blog', environment: 'production' }
const instances = { a: 'a'.repeat(32), b: 'b'.repeat(32), c: 'c'.repeat(32) }

function hostOf(id: string): EnrolledHost {
  return { id: id.padEnd(26, '-'), name: id, publicKey: 'k', enrolledAt: 0, apps: [shop, blog] }
}

const web1 = hostOf('web-1')

/** The far end of a session: what it was sent, and how the connection ended. */
class Peer implements Channel {
  readonly binding = 'plain'
  readonly messages: DownMessage[] = []
  closed: { code: number; reason: string } | null = null
  #receive: (frame: string) => Promise<void> = () => Promise.resolve()
  #end: () => void = () => undefined

  static connect(registry: SessionRegistry, host = web1): Peer {
    const peer = new Peer()
    const session = registry.accept(host, peer)
    peer.#receive = (frame) => session.receive(frame)
    peer.#end = () => session.closed()
    return peer
  }

  send(message: DownMessage): void {
    this.messages.push(decodeDown(encode(message)))
  }

  close(code: number, reason: string): void {
    if (Buffer.byteLength(reason) > 123) throw new RangeError('a reason over 123 bytes')
    this.closed ??= { code, reason }
  }

  say(...messages: UpMessage[]): Promise<void> {
    return this.sayFrames(...messages.map((message) => JSON.stringify(message)))
  }

  async sayFrames(...frames: string[]): Promise<void> {
    for (const frame of frames) await this.#receive(frame)
  }

  hangUp(): void {
    this.#end()
  }

  get types(): string[] {
    return this.messages.map((message) => message.type)
  }

  get refusal(): string | null {
    const last = this.messages.at(-1)
    return last?.type === 'refused' ? last.code : null
  }
}

function buildRegistry(changes: Partial<RegistryPorts> = {}) {
  const clock = new FakeClock()
  const reports: { host: string; session: number; place: HostApp; report: Report }[] = []
  const closed: [string, number][] = []
  const refused: LockstepError[] = []
  const cloned: string[] = []
  const registry = new SessionRegistry({
    clock,
    report: async (host, session, place, report) => {
      reports.push({ host, session, place, report })
    },
    closed: (host, session) => closed.push([host.id, session]),
    output: async () => undefined,
    contentToken: (host) => `token-${host}-${clock.now()}`,
    pins: () => [],
    auditHead: () => null,
    introduced: () => undefined,
    onRefused: (_host, error) => refused.push(error),
    cloned: (host) => cloned.push(host.name),
    ...changes,
  })
  return { clock, reports, closed, refused, cloned, registry }
}

void t.test('hello is welcomed with a content token, and reports are handed on', async (t) => {
  const { registry, reports } = buildRegistry()
  const peer = Peer.connect(registry)
  t.equal(registry.of(web1.id), null, 'nobody before hello')
  await peer.say(helloOf())
  t.match(peer.messages, [{ type: 'welcome', contentToken: /^token-web-1/ }])
  t.equal(registry.of(web1.id)?.hello?.agentVersion, '0.0.1')
  await peer.say(observedOf({ seq: 4 }))
  t.same(reports, [{ host: web1.id, session: 1, place: shop, report: reportOf({ seq: 4 }) }])
  t.equal(peer.closed, null)
  registry.stop()
})

void t.test('a failure of a newer agent\u2019s own code stays a failure', async (t) => {
  const { registry, reports } = buildRegistry()
  const peer = Peer.connect(registry)
  const failure = { code: 'not-invented-yet', message: 'it broke' }
  await peer.say(helloOf(), observedOf({ phase: 'failed', failure }))
  t.same(reports[0]?.report.failure, { code: 'internal', message: 'it broke' })
  registry.stop()
})

const broken: Readonly<Record<string, { says: UpMessage[]; code: string; reason: RegExp }>> = {
  'a report before hello': { says: [observedOf()], code: 'bad-message', reason: /hello/ },
  'the clock before hello': {
    says: [{ type: 'clock', sentAt: 1 }],
    code: 'bad-message',
    reason: /hello/,
  },
  'a second hello': { says: [helloOf(), helloOf()], code: 'bad-message', reason: /second hello/ },
  'another protocol': {
    says: [helloOf({ protocol: 2 })],
    code: 'protocol-version',
    reason: /protocol 2, this controller 1/,
  },
  'an app that it was not enrolled for': {
    says: [helloOf({ apps: [{ app: 'shop', environment: 'staging' }] })],
    code: 'join-not-allowed',
    reason: /web-1 is not enrolled for shop in staging/,
  },
  'a report of an app that its hello did not name': {
    says: [helloOf(), observedOf({ app: 'blog' })],
    code: 'bad-message',
    reason: /blog in production/,
  },
}

for (const [what, { says, code, reason }] of Object.entries(broken)) {
  void t.test(`${what} ends the session, and says why to both sides`, async (t) => {
    const { registry, refused, closed, reports } = buildRegistry()
    const peer = Peer.connect(registry)
    await peer.say(...says)
    t.match(peer.messages.at(-1), { type: 'refused', code, message: reason })
    t.same(peer.closed, { code: 4400, reason: code })
    t.match(refused, [{ code, message: reason }])
    t.same(closed, [[web1.id, 1]])
    t.equal(registry.of(web1.id), null)
    const heard = reports.length
    await peer.say(helloOf(), observedOf({ seq: 9 }))
    t.equal(reports.length, heard, 'nothing is heard after that')
    t.equal(peer.types.filter((type) => type === 'refused').length, 1)
    registry.stop()
  })
}

void t.test(
  'frames that are no messages are answered with a reason that fits into one',
  async (t) => {
    const name = '\u0001'.repeat(3000)
    const members = Object.fromEntries(['', '2', '3'].map((end) => [`${name}${end}`, 1]))
    const long = JSON.stringify({ ...helloOf(), ...members })
    const frames = ['', '{', '[]', '{"type":"bye"}', 'x'.repeat(limits.messageBytesMax + 1), long]
    for (const frame of frames) {
      const { registry } = buildRegistry()
      const peer = Peer.connect(registry)
      await peer.sayFrames(frame)
      t.ok(['bad-message', 'too-large'].includes(peer.refusal ?? ''), frame.slice(0, 20))
      t.equal(peer.closed?.code, 4400)
      registry.stop()
    }
  },
)

void t.test('a refusal with a very long reason is cut, not thrown', async (t) => {
  const { registry } = buildRegistry()
  const peer = Peer.connect(registry)
  await peer.say(helloOf())
  const long = { code: 'internal', message: '\u0001'.repeat(70_000), hint: 'h'.repeat(70_000) }
  registry.of(web1.id)?.refuse(Object.assign(new Error(), long) as LockstepError)
  t.equal(peer.refusal, 'internal')
  registry.stop()
})

void t.test('a newer connection takes over, and the older one is over', async (t) => {
  const { registry, reports, closed } = buildRegistry()
  const older = Peer.connect(registry)
  await older.say(helloOf())
  const newer = Peer.connect(registry)
  t.equal(older.closed, null, 'an arrival that has not said hello changes nothing')
  await newer.say(helloOf())
  t.match(older.closed, { code: 4409 })
  t.same(closed, [[web1.id, 1]])
  await older.say(observedOf({ seq: 100 }), { type: 'clock', sentAt: 1 })
  t.same(reports, [], 'what the old one says has no effect')
  t.same(older.types, ['welcome'], 'and gets no answer')
  older.hangUp()
  t.same(closed.length, 1, 'its end is told once')
  t.equal(registry.of(web1.id)?.number, 2)
  await newer.say(observedOf())
  t.equal(reports[0]?.session, 2)
  registry.stop()
})

void t.test('a hello that comes late on an older connection replaces nobody', async (t) => {
  const { registry, refused } = buildRegistry()
  const older = Peer.connect(registry)
  const newer = Peer.connect(registry)
  await newer.say(helloOf({ instance: instances.b }))
  await older.say(helloOf({ instance: instances.a }))
  t.match(older.closed, { code: 4409 })
  t.same(older.messages, [])
  t.equal(newer.closed, null)
  t.equal(registry.of(web1.id)?.number, 2)
  t.same(refused, [])
  registry.stop()
})

void t.test('two processes with one identity are found out as the first comes back', async (t) => {
  const { registry, refused, cloned, closed } = buildRegistry()
  const first = Peer.connect(registry)
  await first.say(helloOf({ instance: instances.a }))
  const clone = Peer.connect(registry)
  await clone.say(helloOf({ instance: instances.b }))
  t.match(first.closed, { code: 4409 })
  t.equal(clone.closed, null)
  const back = Peer.connect(registry)
  await back.say(helloOf({ instance: instances.a }))
  t.equal(back.refusal, 'cloned-identity')
  const alarm = { code: 'cloned-identity', message: /web-1/, hint: /hosts remove web-1/ }
  t.match(refused, [alarm, alarm])
  t.equal(clone.refusal, 'cloned-identity', 'nobody knows which of the two is the host')
  t.equal(registry.of(web1.id), null)
  t.same(cloned, ['web-1'])
  t.ok(registry.isCloned(web1.id))
  t.equal(closed.length, 3)
  for (const instance of Object.values(instances)) {
    const again = Peer.connect(registry)
    await again.say(helloOf({ instance }))
    t.equal(again.refusal, 'cloned-identity', 'both, and any other')
  }
  t.same(cloned, ['web-1'], 'said once')
  registry.remove(web1.id)
  const joined = Peer.connect(registry)
  await joined.say(helloOf({ instance: instances.a }))
  t.equal(joined.refusal, null, 'removed and enrolled anew')
  registry.stop()
})

void t.test('once the other one is stopped, the first is let in again', async (t) => {
  const { registry } = buildRegistry()
  const first = Peer.connect(registry)
  await first.say(helloOf({ instance: instances.a }))
  const clone = Peer.connect(registry)
  await clone.say(helloOf({ instance: instances.b }))
  clone.hangUp()
  const back = Peer.connect(registry)
  await back.say(helloOf({ instance: instances.a }))
  t.equal(back.refusal, null)
  t.equal(registry.of(web1.id)?.hello?.instance, instances.a)
  registry.stop()
})

void t.test('restarts and reconnections of one agent are no clones', async (t) => {
  const { registry, refused } = buildRegistry()
  for (const instance of [instances.a, instances.a, instances.b, instances.b, instances.c]) {
    await Peer.connect(registry).say(helloOf({ instance }))
  }
  t.same(refused, [])
  registry.stop()
})

void t.test('a clone that comes under many names is found out all the same', async (t) => {
  const comeAs = (number: number, registry: SessionRegistry) => {
    const peer = Peer.connect(registry)
    const instance = number.toString(16).padStart(32, '0')
    return peer.say(helloOf({ instance })).then(() => peer.refusal)
  }
  const few = buildRegistry()
  for (let number = 0; number < 20; number += 1) await comeAs(number, few.registry)
  t.equal(await comeAs(0, few.registry), 'cloned-identity', 'the first one is not forgotten')
  few.registry.stop()
  const many = buildRegistry()
  for (let number = 0; number < 200; number += 1) await comeAs(number, many.registry)
  t.same(many.cloned, ['web-1'], 'nor is it made to be forgotten')
  many.registry.stop()
  const slow = buildRegistry()
  for (let number = 0; number < 200; number += 1) {
    await comeAs(number, slow.registry)
    slow.clock.advance(10_000)
  }
  t.same(slow.cloned, [], 'an agent that starts anew for half an hour is a poor one, and no clone')
  slow.registry.stop()
})

void t.test('a host is told in its session only, and only what that serves', async (t) => {
  const { registry } = buildRegistry()
  const { type: _, app: _app, environment: _environment, ...desired } = desiredMessageOf()
  const peer = Peer.connect(registry)
  registry.tell(web1.id, 1, shop, desired)
  t.same(peer.types, [], 'not before hello')
  await peer.say(helloOf())
  registry.tell(web1.id, 1, blog, desired)
  registry.tell(web1.id, 1, { ...shop, environment: 'staging' }, desired)
  registry.tell(web1.id, 2, shop, desired)
  registry.tell(hostOf('web-2').id, 1, shop, desired)
  t.same(peer.types, ['welcome'])
  registry.tell(web1.id, 1, shop, desired)
  t.same(peer.messages.at(-1), desiredMessageOf())
  peer.hangUp()
  registry.tell(web1.id, 1, shop, desired)
  t.equal(peer.messages.length, 2)
  registry.stop()
})

void t.test('who says nothing is let go: sooner before hello than after it', async (t) => {
  const { registry, clock, closed } = buildRegistry()
  const silent = Peer.connect(registry)
  const greeted = Peer.connect(registry, hostOf('web-2'))
  await greeted.say(helloOf())
  clock.advance(limits.helloDeadlineMs)
  t.equal(silent.closed, null)
  clock.advance(5000)
  t.match(silent.closed, { code: 4408 })
  t.equal(greeted.closed, null)
  await greeted.say({ type: 'clock', sentAt: 1 })
  clock.advance(limits.silenceMaxMs)
  t.equal(greeted.closed, null)
  clock.advance(5001)
  t.match(greeted.closed, { code: 4408 })
  t.equal(registry.of(hostOf('web-2').id), null)
  t.equal(closed.length, 2)
  registry.stop()
})

void t.test('the clock is answered with what was asked, and a token in good time', async (t) => {
  const { registry, clock } = buildRegistry()
  const peer = Peer.connect(registry)
  await peer.say(helloOf(), { type: 'clock', sentAt: 12.5 })
  t.same(peer.messages.at(-1), { type: 'clock', sentAt: 12.5, at: clock.now() })
  for (let passedMs = 0; passedMs < limits.contentTokenMs; passedMs += limits.reportEveryMs) {
    clock.advance(limits.reportEveryMs)
    await peer.say({ type: 'clock', sentAt: passedMs })
  }
  const tokens = peer.messages.flatMap((m) => (m.type === 'welcome' ? [m.contentToken] : []))
  t.equal(tokens.length, 2, 'renewed once, at half of its time')
  t.equal(new Set(tokens).size, 2)
  registry.stop()
})

void t.test('a removed host is sent away, and one that has just arrived as well', async (t) => {
  const { registry, reports } = buildRegistry()
  const connected = Peer.connect(registry)
  await connected.say(helloOf())
  const arriving = Peer.connect(registry)
  const other = Peer.connect(registry, hostOf('web-2'))
  await other.say(helloOf())
  registry.remove(web1.id)
  t.equal(connected.refusal, 'unknown-host')
  t.equal(arriving.refusal, 'unknown-host')
  t.equal(other.closed, null)
  await arriving.say(helloOf(), observedOf())
  t.same(reports, [])
  t.equal(registry.of(web1.id), null)
  registry.stop()
})

void t.test('stopping ends every session, and whoever comes after', async (t) => {
  const { registry, clock } = buildRegistry()
  const greeted = Peer.connect(registry)
  await greeted.say(helloOf())
  const arriving = Peer.connect(registry, hostOf('web-2'))
  registry.stop()
  const late = Peer.connect(registry, hostOf('web-3'))
  for (const peer of [greeted, arriving, late]) t.match(peer.closed, { code: 1001 })
  t.same(clock.pending, [], 'nothing is swept any more')
})

void t.test('an agent that floods is sent away, and the others are not', async (t) => {
  const { registry, refused, clock } = buildRegistry()
  const flood = Peer.connect(registry)
  const calm = Peer.connect(registry, hostOf('web-2'))
  for (const peer of [flood, calm]) await peer.say(helloOf())
  for (let seq = 1; seq < limits.messagesBurst; seq += 1) await flood.say(observedOf({ seq }))
  t.equal(flood.closed, null)
  await flood.say(observedOf({ seq: limits.messagesBurst }))
  t.equal(flood.refusal, 'too-many-requests')
  t.match(refused, [{ code: 'too-many-requests' }])
  clock.advance(limits.reportEveryMs)
  await calm.say(observedOf({ seq: 1 }))
  t.equal(calm.closed, null)
  registry.stop()
})

void t.test('messages that wait to be saved are bounded', async (t) => {
  const gate = Promise.withResolvers<void>()
  const { registry } = buildRegistry({ report: () => gate.promise })
  const peer = Peer.connect(registry)
  await peer.say(helloOf())
  const said = Array.from({ length: limits.messagesPendingMax }, (_, at) =>
    peer.say(observedOf({ seq: at + 1 })),
  )
  t.equal(peer.closed, null)
  await peer.say(observedOf({ seq: said.length + 1 }))
  t.equal(peer.refusal, 'too-many-requests')
  gate.resolve()
  await Promise.all(said)
  registry.stop()
})

void t.test('a host that only connects leaves no more than a few connections', async (t) => {
  const { registry } = buildRegistry()
  const peers = Array.from({ length: limits.arrivingPerHostMax + 3 }, () => Peer.connect(registry))
  t.same(
    peers.map(({ closed }) => closed !== null),
    [...Array(3).fill(true), ...Array(limits.arrivingPerHostMax).fill(false)],
    'the oldest go',
  )
  await peers.at(-1)?.say(helloOf())
  t.ok(registry.of(web1.id))
  registry.stop()
})
