// Tells one environment in lines as it changes: its rollouts, and outside of them hosts that go, come back
// or run something else. Pure but for what it has told already.

import type { EnvironmentView, FactView, HostView, RolloutView } from '#shared/api/schemas.ts'
import { countText } from '../output/quantities.ts'
import { bad, bold, good, type Text, warning } from '../output/text.ts'
import { RolloutNarrator } from './rollout-narrator.ts'

/** Facts that the views of rollouts tell better. */
const toldByRollouts = new Set([
  'decided',
  'rollout-started',
  'once-told',
  'once-ended',
  'wave-rested',
  'barrier-opened',
  'verifying-started',
  'roll-back-started',
  'rollout-ended',
  'host-dropped',
])

interface SeenHost {
  readonly connected: boolean
  readonly runs: string | null
  readonly failure: string | null
}

export class EnvironmentNarrator {
  #isFirst = true
  #rollout: { readonly id: string; readonly narrator: RolloutNarrator } | undefined
  #endedId: string | undefined
  #hosts = new Map<string, SeenHost>()

  /** @param at epoch milliseconds of this look */
  next(view: EnvironmentView, at: number): Text[] {
    const { rollout } = view
    const isFirst = this.#isFirst
    this.#isFirst = false
    const isOpen = rollout !== null && rollout.exitCode === null
    if (isFirst && !isOpen) this.#endedId = rollout?.id
    return [
      ...(isFirst ? [summaryOf(view)] : []),
      ...(rollout === null ? [] : this.rollout(rollout, at)),
      ...this.#changedHosts(view, isFirst || isOpen),
    ]
  }

  rollout(view: RolloutView, at: number): Text[] {
    if (view.id === this.#endedId) return []
    if (this.#rollout?.id !== view.id) {
      this.#rollout = { id: view.id, narrator: new RolloutNarrator() }
    }
    const { narrator } = this.#rollout
    const lines = narrator.next(view, at)
    if (view.exitCode === null) return lines
    this.#endedId = view.id
    return [...lines, ...narrator.end(view)]
  }

  fact({ type, text }: FactView): Text[] {
    return toldByRollouts.has(type) ? [] : [text]
  }

  /** While a rollout is open it tells what hosts run; that one is away is told at any time. */
  #changedHosts({ app, environment, hosts }: EnvironmentView, isToldElsewhere: boolean): Text[] {
    const before = this.#hosts
    const isFirst = before.size === 0
    this.#hosts = new Map(hosts.map((host) => [host.id, seen(host, app, environment)]))
    return hosts.flatMap((host): Text[] => {
      const now = this.#hosts.get(host.id)
      const then = before.get(host.id)
      if (now === undefined || then === undefined || isFirst) return []
      const lines: Text[] = []
      if (now.connected !== then.connected) {
        lines.push(now.connected ? [good(host.name), ' is back'] : [warning(host.name), ' is away'])
      }
      if (isToldElsewhere || !now.connected) return lines
      if (now.runs !== null && now.runs !== then.runs) lines.push(`${host.name} runs ${now.runs}`)
      if (now.failure !== null && now.failure !== then.failure) {
        lines.push([bad(`${host.name} failed`), `: ${now.failure}`])
      }
      return lines
    })
  }
}

function seen({ connected, apps }: HostView, app: string, environment: string): SeenHost {
  const mine = apps.find((served) => served.app === app && served.environment === environment)
  const failure = mine?.failure ?? null
  return {
    connected,
    runs: mine?.runs ?? null,
    failure: failure === null ? null : `${failure.message} (${failure.code})`,
  }
}

function summaryOf({
  app,
  environment,
  committed,
  rollout,
  hosts,
  fencedBy,
  freeze,
}: EnvironmentView): Text {
  const connected = hosts.filter((host) => host.connected).length
  const runs = committed === null ? 'nothing committed yet' : `committed to ${committed.version}`
  const open = rollout !== null && rollout.exitCode === null ? '' : ', no rollout open'
  return [
    bold(`${app} in ${environment}`),
    `: ${runs}, ${connected} of ${countText(hosts.length, 'host')} connected${open}`,
    fencedBy.length === 0 ? '' : [', ', bad('fenced')],
    freeze === null ? '' : [', ', warning(`frozen by ${freeze.owner}`), `: ${freeze.reason}`],
  ]
}
