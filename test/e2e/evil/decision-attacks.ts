// Attacks with decisions: what an evil controller says of whom to run what, and when.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Desired } from '#shared/desired.ts'
import { releaseOf, type TestRelease } from '../../integration/test-release.ts'
import { ann, ci } from '../../unit/shared/trust/signing.ts'
import { evilMark } from './guarded-host.ts'
import { type Attack, type Outcome, refOf, type Scene } from './scene.ts'

/** The same decision over a release that is signed, or is not. */
function decided(
  name: string,
  kind: string,
  decide: (scene: Scene, release: TestRelease) => Promise<Outcome>,
): Attack {
  return {
    name,
    kind,
    async attempt(scene, evil) {
      const release = scene.make(evil ? { index: evilMark } : {})
      if (!evil) scene.sign(release)
      return decide(scene, release)
    },
  }
}

function both(release: TestRelease): Desired['run'] {
  const ref = refOf(release)
  return { release: ref, fallback: ref, activateAt: null }
}

/** What came of a message that ought to be passed over: whatever it names is not even asked for. */
async function passedOver(scene: Scene, release: TestRelease, tell: () => void): Promise<Outcome> {
  const { controller, host } = scene
  const asked = controller.requests.length
  const ran = host.canaryLines().length
  tell()
  // Messages are taken in order: what was said before this has been heard when it is answered.
  await scene.calm()
  const isAsked = controller.requests.slice(asked).some((path) => path.includes(release.tree))
  const hasRun = host
    .canaryLines()
    .slice(ran)
    .some((line) => line.includes(` ${release.version} `))
  return isAsked || hasRun ? 'taken' : 'refused silently'
}

export const decisionAttacks: readonly Attack[] = [
  decided('to activate what was never staged', 'Uptane: arbitrary software', (scene, release) =>
    scene.activate(release),
  ),
  decided('to settle on what nobody signed', 'Uptane: arbitrary software', (scene, release) =>
    scene.settle(release),
  ),
  decided('to roll back to what never ran here', 'TUF: rollback', (scene, release) => {
    const desired = scene.desired({ kind: 'roll-back', run: both(release) })
    return scene.tell(desired, ({ current }) => current?.tree === release.tree)
  }),
  {
    name: 'to stage a signed release and to activate another',
    kind: 'Uptane: mix and match',
    async attempt(scene, evil) {
      const signed = scene.make()
      scene.sign(signed)
      const staged = await scene.stage(signed)
      if (staged !== 'taken') throw new Error(staged)
      return scene.activate(evil ? scene.make({ index: evilMark }) : signed)
    },
  },
  {
    name: 'another tree under the version that was staged',
    kind: 'Uptane: mix and match',
    async attempt(scene, evil) {
      const signed = scene.make()
      scene.sign(signed)
      const staged = await scene.stage(signed)
      if (staged !== 'taken') throw new Error(staged)
      const other = releaseOf(signed.version, { index: evilMark })
      scene.controller.offer(other, [])
      return scene.activate(evil ? other : signed)
    },
  },
  {
    name: 'a directory that lies in versions/ already',
    kind: 'a planted release',
    async attempt(scene, evil) {
      const release = scene.make(evil ? { index: evilMark } : {})
      if (!evil) scene.sign(release)
      const planted = join(scene.host.root, 'versions', release.version)
      for (const entry of release.entries) {
        const path = join(planted, entry.path)
        if (entry.type === 'directory') mkdirSync(path, { recursive: true })
        else if (entry.type === 'file') {
          mkdirSync(join(path, '..'), { recursive: true })
          writeFileSync(path, release.contents.get(entry.sha256) ?? '', { mode: entry.mode })
        }
      }
      const outcome = await scene.settle(release)
      if (evil) rmSync(planted, { recursive: true, force: true })
      return outcome
    },
  },
  decided('to run the once hook for an unsigned release', 'hooks', (scene, release) => {
    const desired = scene.desired({ kind: 'prepare', stage: refOf(release), once: true })
    return scene.tell(desired, ({ once }) => once?.tree === release.tree && once.state === 'done')
  }),
  {
    name: 'an older decision once more',
    kind: 'replay',
    async attempt(scene, evil) {
      const release = scene.make()
      scene.sign(release)
      const staged = await scene.stage(release)
      if (staged !== 'taken') throw new Error(staged)
      if (!evil) return scene.activate(release)
      const run = { release: refOf(release), fallback: refOf(scene.committed), activateAt: null }
      const old = scene.desired({ kind: 'activate', run })
      await scene.calm()
      return passedOver(scene, release, () => scene.controller.tell(old))
    },
  },
  {
    name: 'another decision under the same epoch',
    kind: 'two controllers',
    async attempt(scene, evil) {
      const release = scene.make()
      scene.sign(release)
      const staged = await scene.stage(release)
      if (staged !== 'taken') throw new Error(staged)
      if (!evil) return scene.activate(release)
      const fence = scene.nextFence(scene.epoch, 'another')
      const from = scene.controller.reportCount
      scene.controller.tell(scene.desired({ fence, kind: 'activate', run: runOf(scene, release) }))
      const report = await scene.controller.report(({ conflict }) => conflict !== null, from)
      return report.current?.tree === release.tree ? 'taken' : 'refused fence-conflict'
    },
  },
  {
    name: 'a decision for an app that the host does not serve',
    kind: 'wrong app',
    async attempt(scene, evil) {
      const release = scene.make()
      scene.sign(release)
      if (!evil) return scene.stage(release)
      const message = { ...scene.desired({ stage: refOf(release) }), environment: 'production' }
      return passedOver(scene, release, () =>
        scene.controller.say({ type: 'desired', app: 'blog', ...message }),
      )
    },
  },
  {
    name: 'a decision for an environment that the host is not in',
    kind: 'wrong environment',
    async attempt(scene, evil) {
      const release = scene.make()
      scene.sign(release)
      if (!evil) return scene.stage(release)
      const message = { ...scene.desired({ stage: refOf(release) }), environment: 'staging' }
      return passedOver(scene, release, () =>
        scene.controller.say({ type: 'desired', app: 'shop', ...message }),
      )
    },
  },
  {
    name: 'a clock that lies, so that what has expired looks fresh',
    kind: 'TUF: indefinite freeze',
    async attempt(scene, evil) {
      const { controller } = scene
      controller.clockShiftMs = -5 * 365 * 86_400_000
      await renewed(scene)
      const release = scene.make()
      if (evil) scene.show(release, { expires: '2026-01-01T00:00:00Z' }, ci, ann)
      else scene.sign(release)
      const outcome = await scene.stage(release)
      controller.clockShiftMs = 0
      await renewed(scene)
      return outcome
    },
  },
  {
    name: 'files of a staged release that have changed since',
    kind: 'RAUC: CVE-2020-25860, time of use',
    async attempt(scene, evil) {
      const release = scene.make()
      scene.sign(release)
      const staged = await scene.stage(release)
      if (staged !== 'taken') throw new Error(staged)
      const path = join(scene.host.root, 'versions', release.version, 'index')
      if (evil) writeFileSync(path, evilMark)
      // Every decision promises anew, and so it is looked at anew.
      const again = await scene.stage(release)
      if (!evil) return again
      return readFileSync(path, 'utf8') === evilMark ? 'taken' : 'refused to promise it'
    },
  },
  {
    name: 'an unsigned release after the agent was killed',
    kind: 'Uptane: arbitrary software',
    async attempt(scene, evil) {
      const { controller, host } = scene
      const release = scene.make(evil ? { index: evilMark } : {})
      if (!evil) scene.sign(release)
      const before = controller.sessions
      await host.daemon.kill()
      await host.start()
      await controller.session(before)
      return scene.settle(release)
    },
  },
  {
    name: 'a hundred decisions at once, the last of them for an unsigned release',
    kind: 'flood',
    async attempt(scene, evil) {
      const signed = scene.make()
      scene.sign(signed)
      const unsigned = scene.make({ index: evilMark })
      for (let told = 0; told < 100; told += 1) {
        const release = evil && told % 2 === 0 ? unsigned : signed
        scene.controller.tell(scene.desired({ stage: refOf(release) }))
      }
      return scene.stage(evil ? unsigned : signed)
    },
  },
]

function runOf(scene: Scene, release: TestRelease): Desired['run'] {
  return { release: refOf(release), fallback: refOf(scene.committed), activateAt: null }
}

/** The agent comes back in a new session. */
async function renewed({ controller }: Scene): Promise<void> {
  const before = controller.sessions
  controller.endSession()
  await controller.session(before)
}
