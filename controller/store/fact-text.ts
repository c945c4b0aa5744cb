// A fact as one sentence for people, and what of it is indexed.

import type { Fact } from '#shared/environment/events.ts'

export interface FactText {
  readonly type: string
  readonly rollout: string | null
  readonly host: string | null
  readonly text: string
}

export function factText(fact: Fact): FactText {
  return { type: fact.type, ...sentenceOf(texts, fact) }
}

type Sentence = Omit<FactText, 'type'>
type FactOf<T extends Fact['type']> = Extract<Fact, { type: T }>
type Texts = { [T in Fact['type']]: (fact: FactOf<T>) => Sentence }

function sentenceOf<T extends Fact['type']>(table: Texts, fact: FactOf<T>): Sentence {
  return table[fact.type as T](fact)
}

const ofRollout = ({ id }: { id: string }, text: string): Sentence => ({
  rollout: id,
  host: null,
  text,
})
const ofHost = (host: string, text: string): Sentence => ({ rollout: null, host, text })

const texts: Texts = {
  'decided': ({ decision }) => {
    const { fence, kind, run, rollout } = decision
    const what = run === null ? 'nothing committed' : run.version
    const text = `decided ${kind} (${fence.term}, ${fence.epoch}): run ${what}`
    return { rollout, host: null, text }
  },
  'rollout-started': ({ rollout }) => {
    const hosts = Object.keys(rollout.participants).length
    const { target, requestedBy } = rollout
    const text = `rollout to ${target.version} started for ${hosts} hosts by ${requestedBy}`
    return ofRollout(rollout, text)
  },
  'once-told': ({ rollout, run }) => {
    const name = rollout.participants[run.host ?? '']?.name ?? run.host
    const text = `once run of ${rollout.target.version} told to ${name}`
    return { ...ofRollout(rollout, text), host: run.host }
  },
  'once-ended': ({ run }) => {
    const why = run.message === null ? '' : `: ${run.message}`
    return { rollout: run.rollout, host: run.host, text: `once run ${run.state}${why}` }
  },
  'wave-rested': ({ rollout }) => {
    const { wave, waves, between } = rollout
    const text = `wave ${wave + 1} of ${waves.length} is healthy: ${between?.step ?? 'done'}`
    return ofRollout(rollout, text)
  },
  'barrier-opened': ({ rollout }) => {
    const counted = Object.values(rollout.participants).filter((p) => p.counted).length
    return ofRollout(rollout, `barrier opened: ${counted} hosts activate ${rollout.target.version}`)
  },
  'verifying-started': ({ rollout }) => ofRollout(rollout, 'every counted host has swapped'),
  'roll-back-started': ({ rollout, hosts }) => {
    const names = hosts.map((host) => rollout.participants[host]?.name ?? host).join(', ')
    const back = rollout.fallback?.version ?? 'what each host ran before'
    const why = `${rollout.reason ?? 'unknown'}${names === '' ? '' : `: ${names}`}`
    return ofRollout(rollout, `rolling back to ${back} (${why})`)
  },
  'rollout-ended': ({ rollout }) => {
    const { target, phase, reason } = rollout
    return ofRollout(rollout, `rollout to ${target.version} ended ${phase} (${reason ?? ''})`)
  },
  'host-joined': ({ host, name }) => ofHost(host, `${name} joined`),
  'host-removed': ({ host, name }) => ofHost(host, `${name} was removed`),
  'host-drained': ({ host, name, reason }) => ofHost(host, `${name} was drained: ${reason}`),
  'host-let-in': ({ host, name }) => ofHost(host, `${name} was let in again`),
  'host-dropped': ({ rollout, host, name, reason }) => ({
    ...ofRollout(rollout, `${name} was dropped (${reason})`),
    host,
  }),
  'fenced': ({ host, fence, why }) =>
    ofHost(host, `fenced by (${fence.term}, ${fence.epoch}): ${why}`),
  'unfenced': ({ host }) => ofHost(host, 'the last fencing host was removed'),
  'recovered': ({ term, release }) => ({
    rollout: null,
    host: null,
    text: `recovered under term ${term}: run ${release?.version ?? 'nothing'}`,
  }),
}
