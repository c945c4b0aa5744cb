// The mutants without one of the rules on waves, on who counts and on the once run.

import type { SeededMutant } from './mutant.ts'

export const wavesAndOnce: readonly SeededMutant[] = [
  {
    name: 'those left behind are told to activate',
    rule: 'Who was not counted is told fallback and stage until the end.',
    edits: [
      {
        file: 'shared/environment/tell.ts',
        from: "  if (decision.kind === 'activate' && !counted) {\n",
        to: "  if (decision.kind === 'activate' && !counted && fallback === undefined) {\n",
      },
    ],
  },
  {
    name: 'an unknown once run is repeated by itself',
    seed: 662,
    rule: 'A told run without a result is never retried by itself.',
    edits: [
      {
        file: 'shared/environment/request.ts',
        from: "  if (known?.state !== 'unknown' || request.once === 'done') return null\n",
        to: "  if (known?.state !== 'failed' || request.once !== 'done') return null\n",
      },
      {
        file: 'shared/environment/once.ts',
        from: "  if (known?.state !== 'unknown') return false\n",
        to: "  if (known?.state !== 'failed' || rollout.once === null) return false\n",
      },
    ],
  },
  {
    name: 'nobody waits for the once run',
    rule: 'Nobody swaps before the once run is done.',
    edits: [
      {
        file: 'shared/environment/preparing.ts',
        from: "    case 'told':\n    case undefined:\n      return unchanged(state)\n",
        to: "    case 'told':\n    case undefined:\n      return tryBarrier(state, at)\n",
      },
      {
        file: 'shared/environment/once.ts',
        from: "return known?.state === 'done' && known.rollout === id",
        to: 'return known?.rollout === id',
      },
    ],
  },
  {
    name: 'the next wave comes before the last is healthy',
    rule: 'No host of a wave activates before the wave before is healthy under its epoch.',
    edits: [
      {
        file: 'shared/environment/transition.ts',
        from: '(next) => tryNextWave(next, event.at)',
        to: '(next) => (isResting(next.record.rollout ?? { between: null }) ? letGoOn(next, event.at) : tryNextWave(next, event.at))',
      },
    ],
  },
  {
    name: 'a wave is opened to all',
    rule: 'A wave is decided for its own hosts only.',
    edits: [
      {
        file: 'shared/environment/barrier.ts',
        from: 'const own = ready.filter((p) => p.wave === first)',
        to: 'const own = ready.filter((p) => p.wave >= first)',
      },
    ],
  },
]
