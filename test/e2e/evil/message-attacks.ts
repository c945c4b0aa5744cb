// Attacks with messages: members that no message has, names that are paths, frames that are none. The
// agent ends the session, and comes back to be told something sound.

import { limits } from '#shared/limits.ts'
import { type Attack, refOf, type Scene } from './scene.ts'

type Frame = (message: Record<string, unknown>, scene: Scene) => unknown

/** A sound decision, and something else in its place; the control says the sound one. */
function said(name: string, kind: string, frame: Frame): Attack {
  return {
    name,
    kind,
    async attempt(scene, evil) {
      const { controller } = scene
      const release = scene.make()
      scene.sign(release)
      if (!evil) return scene.stage(release)
      const desired = scene.desired({ stage: refOf(release) })
      const message = { type: 'desired', app: 'shop', environment: 'production', ...desired }
      const before = controller.sessions
      const ended = controller.ended()
      const sent = frame(message, scene)
      controller.sayRaw(
        typeof sent === 'string' || sent instanceof Uint8Array ? sent : JSON.stringify(sent),
      )
      const code = await ended
      await controller.session(before)
      // A good session in between, so that the agent does not wait longer after every attack.
      await scene.calm()
      controller.endSession()
      await controller.session(before + 1)
      return `refused ${code}`
    },
  }
}

const evilUrl = 'http://127.0.0.1:1/evil'

export const messageAttacks: readonly Attack[] = [
  said('an address to fetch from', 'SSRF', (message) => ({ ...message, url: evilUrl })),
  said('an address in the release', 'SSRF', (message) => ({
    ...message,
    stage: { ...(message['stage'] as object), url: evilUrl },
  })),
  said('a command to run', 'CodeDeploy: hooks', (message) => ({
    ...message,
    command: ['/bin/sh', '-c', 'id'],
  })),
  said('a hook', 'CodeDeploy: hooks', (message) => ({
    ...message,
    hooks: { 'after-stage': { run: ['/bin/sh', '-c', 'id'] } },
  })),
  said('a message that would run something', 'arbitrary command', () => ({
    type: 'exec',
    command: 'id',
  })),
  said('a root directory', 'paths', (message) => ({ ...message, root: '/etc' })),
  said('a version that is a path', 'paths', (message) => ({
    ...message,
    stage: { ...(message['stage'] as object), version: '../../../../etc' },
  })),
  said('a version with dots in it', 'paths', (message) => ({
    ...message,
    stage: { ...(message['stage'] as object), version: '1..2' },
  })),
  said('a digest that is a path', 'paths', (message) => ({
    ...message,
    stage: { ...(message['stage'] as object), tree: '../../../etc/shadow' },
  })),
  said('an app that is a path', 'paths', (message) => ({ ...message, app: '../other' })),
  said('a prototype', 'prototype pollution', (message) =>
    JSON.stringify(message).replace('{', '{"__proto__":{"policy":"off"},'),
  ),
  said('a content token that would be a header more', 'header injection', () => ({
    type: 'welcome',
    contentToken: 'x\r\nhost: evil.example\r\n\r\nGET /evil',
  })),
  said('a host that is to hold and to stage', 'contradiction', (message) => ({
    ...message,
    hold: true,
  })),
  said('a frame over the limit', 'flood', () =>
    JSON.stringify({ type: 'desired', filler: 'x'.repeat(limits.messageBytesMax) }),
  ),
  said('a frame of bytes', 'malformed', () => Buffer.from([0, 1, 2, 255])),
  said('a frame that is no JSON', 'malformed', () => '{"type":"desired"'),
]
