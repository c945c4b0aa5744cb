// Whom the agent believes to be its controller: the pins of its configuration, else those that it
// joined with. And joining itself, where there is anything to join for.

import type { AgentConfig } from '../config.ts'
import { LockstepError } from '#shared/errors.ts'
import { joinTokenOf } from '#shared/join-token.ts'
import { ControllerChannel } from './controller-channel.ts'
import { enrol } from './enrolment.ts'
import type { Identity, Place } from './identity.ts'

type Where = Pick<AgentConfig, 'controller' | 'pins' | 'channelBinding'>

/** What of the configuration joining is about. */
export interface Membership extends Where {
  readonly name: string
  readonly apps: readonly Place[]
}

/** @param stored pins that are good where the host's owner configured none */
export function channelTo(
  { controller: url, pins, channelBinding }: Where,
  stored: () => readonly string[],
): ControllerChannel {
  const isBound = channelBinding === 'on'
  return new ControllerChannel({ url, isBound, pins: () => (pins.length > 0 ? pins : stored()) })
}

/**
 * Enrols for what the identity is not enrolled for.
 * @returns whether anything was to be done, and done
 * @throws LockstepError as `enrol`; `bad-usage` when there is no token and it never joined;
 *   `wrong-pin` for a token that only one key may see, where nothing shows a key
 */
export async function joinWhereDue(
  identity: Identity,
  config: Membership,
  joinToken: () => Promise<string | null>,
): Promise<boolean> {
  const apps = config.apps.map(({ app, environment }) => ({ app, environment }))
  if (apps.every((place) => identity.isEnrolledFor(place))) return false
  const token = await joinToken()
  if (token === null) {
    // Apps that it is enrolled for go on; the others are named.
    if (identity.controller !== null) return false
    throw new LockstepError('bad-usage', 'this agent has not joined a controller yet', {
      hint: 'Start it once with --join-token-file FILE; `lockstep token create --join` makes one.',
    })
  }
  const { pin = null } = joinTokenOf(token) ?? {}
  if (pin !== null && !config.controller.startsWith('https:')) throw noKeyShown(config.controller)
  const given = pin === null ? identity.pins : [pin]
  // What its owner configured is good for ever; the rest may be followed by another.
  const pins = config.pins.length > 0 ? [] : given
  const channel = channelTo(config, () => given)
  await enrol(identity, { channel, token, name: config.name, apps, pins })
  return true
}

function noKeyShown(controller: string): LockstepError {
  return new LockstepError(
    'wrong-pin',
    `the join token has a pin, and ${controller} is plain HTTP`,
    {
      hint: 'Nothing was sent to it. Write https:// in `controller` of agent.toml.',
    },
  )
}
