// A fact as one sentence for people, and what of it is indexed.

import type { Fact } from '#shared/environment/events.ts'

export interface FactText {
  readonly type: string
  readonly rollout: string | null
  readonly host: string | null
  readonly text: string
}

export function factText(fact: Fact): FactText {
  const { type } = fact
  switch (type) {
    case 'decided': {
      const { fence, kind, run, rollout } = fact.decision
      const what = run === null ? 'nothing committed' : run.version
      const text = `decided ${kind} (${fence.term}, ${fence.epoch}): run ${what}`
      return { type, rollout, host: null, text }
    }
    case 'rollout-started': {
      const { rollout } = fact
      const hosts = Object.keys(rollout.participants).length
      const text = `rollout to ${rollout.target.version} started for ${hosts} hosts by ${rollout.requestedBy}`
      return { type, rollout: rollout.id, host: null, text }
    }
    case 'once-told': {
      const { rollout, run } = fact
      const name = rollout.participants[run.host ?? '']?.name ?? run.host
      const text = `once run of ${rollout.target.version} told to ${name}`
      return { type, rollout: rollout.id, host: run.host, text }
    }
    case 'once-ended': {
      const { run } = fact
      const why = run.message === null ? '' : `: ${run.message}`
      return { type, rollout: run.rollout, host: run.host, text: `once run ${run.state}${why}` }
    }
    case 'wave-rested': {
      const { rollout } = fact
      const text = `wave ${rollout.wave + 1} of ${rollout.waves.length} is healthy: ${rollout.between?.step ?? 'done'}`
      return { type, rollout: rollout.id, host: null, text }
    }
    case 'barrier-opened': {
      const counted = Object.values(fact.rollout.participants).filter((p) => p.counted).length
      const text = `barrier opened: ${counted} hosts activate ${fact.rollout.target.version}`
      return { type, rollout: fact.rollout.id, host: null, text }
    }
    case 'verifying-started':
      return { type, rollout: fact.rollout.id, host: null, text: 'every counted host has swapped' }
    case 'roll-back-started': {
      const { rollout, hosts } = fact
      const names = hosts.map((host) => rollout.participants[host]?.name ?? host).join(', ')
      const back = rollout.fallback?.version ?? 'what each host ran before'
      const why = `${rollout.reason ?? 'unknown'}${names === '' ? '' : `: ${names}`}`
      return { type, rollout: rollout.id, host: null, text: `rolling back to ${back} (${why})` }
    }
    case 'rollout-ended': {
      const { rollout } = fact
      const text = `rollout to ${rollout.target.version} ended ${rollout.phase} (${rollout.reason ?? ''})`
      return { type, rollout: rollout.id, host: null, text }
    }
    case 'host-joined':
      return { type, rollout: null, host: fact.host, text: `${fact.name} joined` }
    case 'host-removed':
      return { type, rollout: null, host: fact.host, text: `${fact.name} was removed` }
    case 'host-drained':
      return {
        type,
        rollout: null,
        host: fact.host,
        text: `${fact.name} was drained: ${fact.reason ?? ''}`,
      }
    case 'host-let-in':
      return { type, rollout: null, host: fact.host, text: `${fact.name} was let in again` }
    case 'host-dropped': {
      const text = `${fact.name} was dropped (${fact.reason})`
      return { type, rollout: fact.rollout.id, host: fact.host, text }
    }
    case 'fenced': {
      const place = `(${fact.fence.term}, ${fact.fence.epoch})`
      return { type, rollout: null, host: fact.host, text: `fenced by ${place}: ${fact.why}` }
    }
    case 'unfenced':
      return { type, rollout: null, host: fact.host, text: 'the last fencing host was removed' }
    case 'recovered': {
      const text = `recovered under term ${fact.term}: run ${fact.release?.version ?? 'nothing'}`
      return { type, rollout: null, host: null, text }
    }
  }
}
