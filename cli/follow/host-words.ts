// The words for a host as the controller sees it now. A host that it does not hear is away, and what it
// runs is unknown, whatever it last said. Pure.

import type { HostView } from '#shared/api/schemas.ts'
import { ageText } from '../output/quantities.ts'
import { bad, good, type Text, warning } from '../output/text.ts'

export type HostApp = HostView['apps'][number]

/** `connected`, `away 3 min`, `never seen` */
export function connectionCell({ connected, lastSeenAt }: HostView, now: number): Text {
  if (connected) return good('connected')
  if (lastSeenAt === null) return warning('never seen')
  return warning(`away ${ageText(now - lastSeenAt)}`)
}

/** `0.0.12`, `none`, `unknown (last 0.0.11)` */
export function runsCell({ connected }: HostView, { runs }: HostApp): Text {
  if (connected) return runs ?? 'none'
  return warning(runs === null ? 'unknown' : `unknown (last ${runs})`)
}

/** `healthy`, `failed: no-space`, `excluded: reason`, `drained: reason` */
export function phaseCellOf({ phase, failure, excluded, drained }: HostApp): Text {
  const shown =
    phase === 'failed' || failure !== null
      ? bad(
          failure === null
            ? phase
            : `${phase === 'failed' ? '' : `${phase}, `}failed: ${failure.code}`,
        )
      : phase === 'unknown'
        ? warning(phase)
        : phase
  if (drained !== null) return [shown, ', ', warning(`drained: ${drained}`)]
  return excluded === null ? shown : [shown, `, excluded: ${excluded}`]
}

export function servingCell({ serving }: HostApp): Text {
  return serving ? good('yes') : warning('no')
}

/** Whether a host lets unsigned releases in, as it says. */
export function unsignedCell({ trust }: HostApp): Text {
  switch (trust?.policy) {
    case 'require':
      return good('refused')
    case 'warn':
      return warning('allowed, warned of')
    case 'off':
    case 'none':
      return warning('allowed')
    case 'broken':
      return bad('refused, all that is new')
    case undefined:
      return 'unknown'
  }
}

/** What hosts say of their trust files. */
export function trustLines(hosts: readonly HostView[]): Text[] {
  return hosts.flatMap((host) =>
    host.apps.flatMap(({ app, environment, trust }): Text[] =>
      trust === null || trust.note === null
        ? []
        : [[warning(host.name), `, ${app} in ${environment}, trust file: ${trust.note}`]],
    ),
  )
}

/** Hosts whose sessions are tied to no TLS connection: whoever ends their TLS could pass for them. */
export function channelLines(hosts: readonly HostView[]): Text[] {
  return hosts.flatMap(({ name, channel }): Text[] =>
    channel?.binding === 'unbound'
      ? [[warning(name), ': a proxy ends its TLS, so what it signs is bound to no connection']]
      : [],
  )
}

/** The failures of hosts with what to do about them. */
export function failureLines(hosts: readonly HostView[]): Text[] {
  return hosts.flatMap((host) =>
    host.apps.flatMap(({ app, environment, failure }) => {
      if (failure === null) return []
      return [
        [bad(host.name), `, ${app} in ${environment}: ${failure.message} (${failure.code})`],
        ...(failure.hint === undefined ? [] : [`  what to do: ${failure.hint}`]),
      ]
    }),
  )
}
