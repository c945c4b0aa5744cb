// Between two waves: the rest after a healthy one, the pause that somebody asked for, and the
// barrier of the next.

import { limits } from '../limits.ts'
import { judgeWave, tryWave } from './barrier.ts'
import { commit, rollBack } from './ending.ts'
import type { Step } from './events.ts'
import { type Between, comingOf, given, nextWaveOf, type Rollout } from './rollout.ts'
import { doubtfulOf, unhealthyOf } from './readiness.ts'
import { openRolloutOf, type EnvironmentState } from './state.ts'
import { unchanged, withFacts, withRecord, withRollout } from './step.ts'

/** Every host of the waves so far is healthy: the last wave commits, any other rests. */
export function restOrCommit(state: EnvironmentState, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return unchanged(state)
  if (nextWaveOf(rollout) === null) return commit(state, at)
  if (rollout.between !== null) return tryNextWave(state, at)
  const soakMs = rollout.waves[rollout.wave]?.soakMs ?? null
  if (soakMs === 0) return letGoOn(state, at)
  const rested: Rollout =
    soakMs === null
      ? resting(rollout, 'pause', at, limits.pauseDeadlineMs)
      : resting(rollout, 'soak', at, Math.min(soakMs, limits.pauseDeadlineMs))
  return withFacts(withRecord(state, { rollout: rested }), { type: 'wave-rested', rollout: rested })
}

/** The next wave's hosts have to be ready again, for as long as it has. */
export function letGoOn(state: EnvironmentState, at: number): Step {
  const next = withRollout(state, (r) =>
    r.between?.step === 'barrier' ? r : resting(r, 'barrier', at, limits.waveDeadlineMs),
  )
  return tryNextWave(next, at)
}

/** Nothing further opens before somebody lets it go on. */
export function holdUp(state: EnvironmentState, at: number): Step {
  const held = withRollout(state, (rollout) => {
    const waves = rollout.waves.map((wave, index) =>
      index === rollout.wave ? { ...wave, soakMs: null } : wave,
    )
    const isResting = rollout.between !== null && rollout.between.step !== 'pause'
    const paused = isResting ? resting(rollout, 'pause', at, limits.pauseDeadlineMs) : rollout
    return { ...paused, waves }
  })
  return unchanged(held)
}

/**
 * Opens the next wave as soon as all of its hosts are ready, if the rest is over and those of the
 * waves before are heard and healthy: one that began anew meanwhile has to pass its gate again.
 */
export function tryNextWave(state: EnvironmentState, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout?.between?.step !== 'barrier') return unchanged(state)
  if (unhealthyOf(state, rollout).length > 0) return unchanged(state)
  const next = nextWaveOf(rollout)
  if (next === null) return commit(state, at)
  if (doubtfulOf(state, rollout, at).length > 0) return unchanged(state)
  return tryWave(state, next, at) ?? unchanged(state)
}

/** The rest is over, nobody let it go on, or the wave was not ready in time; all else is well. */
export function judgeBetween(state: EnvironmentState, { step }: Between, at: number): Step {
  switch (step) {
    case 'soak':
      return letGoOn(state, at)
    case 'pause':
      return rollBack(state, 'pause-deadline', [], at)
    case 'barrier': {
      const rollout = openRolloutOf(state.record)
      const next = rollout === null ? null : nextWaveOf(rollout)
      if (rollout === null || next === null) return commit(state, at)
      const hosts = comingOf(rollout, next).map((p) => p.host)
      return judgeWave(state, next, at) ?? rollBack(state, 'wave-deadline', hosts, at)
    }
  }
}

function resting<R extends Rollout>(
  rollout: R,
  step: Between['step'],
  at: number,
  durationMs: number,
): R {
  return { ...given(rollout, at, durationMs), between: { step, since: at } }
}
