// Attacks on who signed what, and when: those of TUF and Uptane, and our own.

import {
  envelopeOf,
  ann,
  bob,
  bytesOf,
  ci,
  mallory,
  signedStatement,
  textOf,
} from '../../unit/shared/trust/signing.ts'
import type { TestRelease } from '../../integration/test-release.ts'
import type { Attack, Outcome, Scene } from './scene.ts'

type Show = (scene: Scene, release: TestRelease) => void

/** Stages a release with a statement that is not good enough; the control has a good one. */
function staged(name: string, kind: string, show: Show): Attack {
  return {
    name,
    kind,
    async attempt(scene, evil): Promise<Outcome> {
      const release = scene.make()
      if (evil) show(scene, release)
      else scene.sign(release)
      return scene.stage(release)
    },
  }
}

export const statementAttacks: readonly Attack[] = [
  {
    name: 'an unsigned release at the first session after enrolment',
    kind: 'Uptane: arbitrary software',
    async attempt(scene, evil) {
      const release = scene.make()
      if (!evil) scene.sign(release)
      return evil ? scene.settle(release) : scene.deploy(release)
    },
  },
  staged('a release without a statement', 'TUF: arbitrary installation', () => undefined),
  staged('a statement that only the attacker signed', 'TUF: arbitrary installation', (s, r) =>
    s.show(r, {}, mallory),
  ),
  staged('one stolen key of the two that are needed', 'TUF: key compromise', (s, r) =>
    s.show(r, {}, ci),
  ),
  staged('one stolen key and one of the attacker’s', 'TUF: key compromise', (s, r) =>
    s.show(r, {}, ci, mallory),
  ),
  staged('the same key twice', 'TUF: CVE-2020-6174', (s, r) => s.show(r, {}, ci, ci)),
  staged('one signature under two names of keys', 'TUF: CVE-2020-15093', (s, r) => {
    const { payloadType, payload, signatures } = envelopeOf(bytesOf(s.statementOf(r)), [ci])
    const [own] = signatures
    const both = own === undefined ? [] : [own, { ...own, keyId: ann.key.id }]
    s.controller.statement(r, textOf({ payloadType, payload, signatures: both }))
  }),
  staged('a statement that was changed after it was signed', 'DSSE', (s, r) => {
    const signed = bytesOf(s.statementOf({ ...r, tree: 'a'.repeat(64) }))
    const payload = bytesOf(s.statementOf(r))
    s.controller.statement(r, textOf(envelopeOf(payload, [ci, ann], { signedPayload: signed })))
  }),
  staged('a signature of another type of document', 'DSSE', (s, r) => {
    const payloadType = 'application/vnd.lockstep.trust.v1+json'
    const payload = bytesOf(s.statementOf(r))
    s.controller.statement(r, textOf(envelopeOf(payload, [ci, ann], { payloadType })))
  }),
  staged('another app’s statement', 'Uptane: wrong component', (s, r) =>
    s.show(r, { app: 'blog' }, ci, ann),
  ),
  staged('a statement for another environment', 'Uptane: wrong component', (s, r) =>
    s.show(r, { environments: ['staging'] }, ci, ann),
  ),
  staged('a statement of another version', 'TUF: mix and match', (s, r) =>
    s.show(r, { version: '1.0.999' }, ci, ann),
  ),
  staged('a statement of another tree', 'TUF: mix and match', (s, r) =>
    s.show(r, { tree: 'b'.repeat(64) }, ci, ann),
  ),
  staged('the statement of what runs, for something else', 'Uptane: mixed bundles', (s, r) => {
    const { committed } = s
    if (committed !== null) {
      s.controller.statement(r, signedStatement(s.statementOf(committed), ci, ann))
    }
  }),
  staged('a statement that has expired', 'TUF: indefinite freeze', (s, r) =>
    s.show(r, { expires: '2026-01-01T00:00:00Z' }, ci, ann),
  ),
  staged('an older sequence that never ran here', 'TUF: rollback', (s, r) =>
    s.show(r, { sequence: 1 }, ci, bob),
  ),
  staged('the sequence of what runs, used again', 'TUF: rollback', (s, r) => {
    const sequence = Number(s.committed?.version.split('.')[1] ?? 1)
    s.show(r, { sequence }, ci, ann)
  }),
  staged('an envelope that is no JSON', 'malformed', (s, r) =>
    s.controller.statement(r, Buffer.from('{"payload":')),
  ),
  staged('a member twice, to be read in two ways', 'malformed', (s, r) => {
    const good = JSON.stringify(s.statementOf(r))
    const twice = good.replace('{', '{"tree":"c","app":"blog",')
    s.controller.statement(r, textOf(envelopeOf(Buffer.from(twice), [ci, ann])))
  }),
  {
    name: 'an expired release of old, said to be what the environment runs',
    kind: 'TUF: indefinite freeze',
    async attempt(scene, evil) {
      const release = scene.make()
      if (!evil) scene.sign(release)
      else scene.show(release, { sequence: 1, expires: '2026-01-01T00:00:00Z' }, ci, ann)
      return scene.settle(release)
    },
  },
  {
    name: 'a huge sequence that is staged, to lock the next releases out',
    kind: 'TUF: fast forward',
    async attempt(scene, evil) {
      const ahead = scene.make()
      scene.sign(ahead, evil ? { sequence: Number.MAX_SAFE_INTEGER } : {})
      const outcome = await scene.stage(ahead)
      const next = scene.make()
      scene.sign(next)
      const after = await scene.stage(next)
      // What is staged raises nothing: that the next one is let in is how the attack fails.
      return outcome === 'taken' && after === 'taken' && evil ? 'refused fast-forward' : after
    },
  },
  {
    name: 'back below the floor that a committed release signed',
    kind: 'TUF: rollback',
    async attempt(scene, evil) {
      const old = scene.make()
      scene.sign(old)
      const first = await scene.deploy(old)
      const mended = scene.make()
      scene.sign(mended, evil ? { floor: scene.sequence } : {})
      const second = await scene.deploy(mended)
      if (first !== 'taken' || second !== 'taken') throw new Error(`${first}, ${second}`)
      return evil ? scene.activate(old) : scene.settle(old)
    },
  },
  {
    name: 'to a release that was staged and overtaken',
    kind: 'TUF: rollback',
    async attempt(scene, evil) {
      const overtaken = scene.make()
      scene.sign(overtaken)
      const first = await scene.stage(overtaken)
      const next = scene.make()
      scene.sign(next)
      const second = evil ? await scene.deploy(next) : 'taken'
      if (first !== 'taken' || second !== 'taken') throw new Error(`${first}, ${second}`)
      return scene.activate(overtaken)
    },
  },
]
