// The mutants that the simulator has to catch: each is the program without one of its rules.

import type { SeededMutant } from './mutant.ts'
import { wavesAndOnce } from './waves-and-once.ts'

export const seeded: readonly SeededMutant[] = [
  {
    name: 'publish before persist',
    rule: 'A decision is durable before any agent hears of it.',
    edits: [
      {
        file: 'controller/runtime/environment-runner.ts',
        from: '    const after = step.state.record\n',
        to: '    const after = step.state.record\n    this.#perform(step)\n',
      },
    ],
  },
  {
    name: 'no fence',
    seed: 81,
    rule: 'An agent ignores every fence below the highest that it has persisted.',
    edits: [
      {
        file: 'shared/activation/transition.ts',
        from: 'switch (compareFence(desired.fence, held)) {',
        to: "switch (compareFence(desired.fence, held) === 'equal' ? 'equal' : 'higher') {",
      },
    ],
  },
  {
    name: 'volatile fence',
    rule: 'Before it acts, an agent persists the fence.',
    edits: [
      {
        file: 'agent/runtime/app-runner.ts',
        from: '        await this.#ports.journal.save(journal)\n',
        to: '        void this.#ports.journal.save(journal).catch(() => undefined)\n',
      },
    ],
  },
  {
    name: 'stale ready',
    rule: 'Ready counts while its session is open and its report is at most a lease old.',
    edits: [
      {
        file: 'shared/environment/readiness.ts',
        from: 'view.open && at - view.reportedAt <= limits.leaseMs',
        to: 'true',
      },
    ],
  },
  {
    name: 'ready of an older decision',
    seed: 69,
    rule: 'Ready counts only under the newest decision’s fence.',
    edits: [
      {
        file: 'shared/environment/readiness.ts',
        from: '  if (!sameFence(report.fence, state.record.decision?.fence ?? null)) return false\n',
        to: '',
      },
    ],
  },
  {
    name: 'partial quorum',
    rule: 'The barrier opens when all participants are ready.',
    edits: [
      {
        file: 'shared/environment/barrier.ts',
        from: 'return candidates.ready.length === participants.length\n    ? open(state, rollout, candidates, at)',
        to: 'return candidates.ready.length > 0\n    ? open(state, rollout, { ...candidates, ready: participants }, at)',
      },
    ],
  },
  {
    name: 'swap unstaged',
    rule: 'Only a release that is held whole is ever swapped to.',
    edits: [
      {
        file: 'shared/activation/goal.ts',
        from: "isHeld(state.disk, goal.release) && state.attested[goal.release.version]?.result === 'whole'",
        to: 'true',
      },
      {
        file: 'test/simulation/world/virtual-disk.ts',
        from: "const isMissing = target.kind === 'release' &&",
        to: "const isMissing = target.kind === 'nothing' &&",
      },
    ],
  },
  {
    name: 'commit on one word',
    rule: 'Committed is said only when every counted host attested.',
    edits: [
      {
        file: 'shared/environment/activation.ts',
        from: 'unhealthyOf(state, rollout).length === 0 ?',
        to: 'unhealthyOf(state, rollout).length < counted.length ?',
      },
      {
        file: 'shared/environment/activation.ts',
        from: "const all = counted.every((p) => hasAttested(p, epoch, ['active', 'healthy']))\n",
        to: "const all = counted.some((p) => hasAttested(p, epoch, ['active', 'healthy']))\n",
      },
    ],
  },
  {
    name: 'attest of an older decision',
    rule: 'An attest counts only if its fence is the newest decision’s.',
    edits: [
      {
        file: 'shared/environment/activation.ts',
        from: '  if (!sameFence(view.report.fence, decision.fence)) return unchanged(state)\n',
        to: '',
      },
    ],
  },
  {
    name: 'lost hosts are dropped without a floor',
    seed: 80,
    rule: 'Lost at the deadline: roll back, unless those that remain are enough.',
    edits: [
      {
        file: 'shared/environment/activation.ts',
        from: 'return counted < 1 || remaining < floorOf(rollout)',
        to: 'return counted < 1 || remaining < 1',
      },
    ],
  },
  {
    name: 'rolled back before they are back',
    rule: 'A roll back ends when every counted host attests the fallback.',
    edits: [
      {
        file: 'shared/environment/ending.ts',
        from: '  return stillOut(state, rollout).length === 0\n',
        to: '  return countedOf(rollout).length > 0\n',
      },
    ],
  },
  {
    name: 'before overwritten',
    seed: 268,
    rule: 'What a host ran before is never overwritten while nothing is committed.',
    edits: [
      {
        file: 'shared/activation/journal.ts',
        from: 'if (before !== null || isAtGoal(state, goal)',
        to: 'if (isAtGoal(state, goal)',
      },
    ],
  },
  {
    name: 'a swap under way is taken for none',
    seed: 135,
    rule: 'Nothing that was seen before a swap is trusted while it is under way.',
    edits: [
      {
        file: 'shared/activation/journal.ts',
        from: "  if (state.acting?.kind === 'activate') return only(pruned)\n",
        to: '',
      },
      {
        file: 'shared/activation/goal.ts',
        from: "  if (state.acting?.kind === 'activate') return 'elsewhere'\n",
        to: '',
      },
    ],
  },
  {
    name: 'foreign fences go unnoticed',
    scenario: 'T8',
    rule: 'A controller that hears a fence that it has not recorded stops deciding.',
    edits: [
      {
        file: 'shared/environment/hearing.ts',
        from: '  const { fence, conflict } = event.report\n',
        to: '  const { fence, conflict } = { fence: null, conflict: null }\n',
      },
    ],
  },
  {
    name: 'superseded terms fence again',
    seed: 531,
    rule: 'What is left of a lower term after a recovery is superseded.',
    edits: [
      {
        file: 'shared/environment/hearing.ts',
        from: 'if (fence === null || fence.term < term) return null\n',
        to: 'if (fence === null) return null\n',
      },
    ],
  },
  {
    name: 'deadlines are forgotten',
    rule: 'Every phase has a deadline.',
    edits: [
      {
        file: 'controller/runtime/environment-runner.ts',
        from: "      this.#enqueue({ type: 'deadline-passed', at: this.#now() })\n",
        to: '',
      },
    ],
  },
  {
    name: 'hosts that are behind are not told',
    rule: 'A host that does not bear the newest decision is told it again.',
    edits: [
      {
        file: 'shared/environment/hearing.ts',
        from: "=== 'lower'\n    ? withEffects(state, { type: 'tell', host })\n    : unchanged(state)\n",
        to: "=== 'lower'\n    ? unchanged(state)\n    : unchanged(state)\n",
      },
    ],
  },
  {
    name: 'clean-up takes the fallback',
    seed: 809,
    rule: 'Clean-up never removes what is current, fallback, staged or before.',
    edits: [
      {
        file: 'agent/layout/retention.ts',
        from: "  if (facts.pinned.includes(release.tree)) return 'pinned'\n",
        to: '',
      },
    ],
  },
  {
    name: 'a failed stage takes a host out of service',
    rule: 'A host that runs what it was told to, with nothing wrong about it, stays in service.',
    edits: [
      {
        file: 'shared/activation/failure.ts',
        from: 'return conditionOf(state) !== null || state.failed.act !== null',
        to: 'return failureOf(state) !== null',
      },
    ],
  },
  {
    name: 'healthy without its gate',
    scenario: 'bad-gate',
    rule: 'Committed is said only when every counted host has passed its health gate.',
    edits: [
      {
        file: 'shared/activation/observe.ts',
        from: "return hasPassedGate(state) ? 'healthy' : 'active'",
        to: "return 'healthy'",
      },
    ],
  },
  {
    name: 'a once run is begun again after a crash',
    rule: 'The once run is never started twice under one fence.',
    edits: [
      {
        file: 'shared/activation/once.ts',
        from: "if (once?.state === 'running' && state.onceRun === null)",
        to: 'if (once === undefined)',
      },
      {
        file: 'shared/activation/once.ts',
        from: 'if (state.onceRun !== null || isRunningOnce(state)) return null',
        to: 'if (state.onceRun !== null) return null',
      },
      {
        file: 'shared/activation/once.ts',
        from: "  if (compareFence(fence, once?.fence ?? null) !== 'higher') return null\n",
        to: '',
      },
    ],
  },
  {
    name: 'told before the first report is checked',
    rule: 'A session’s first message is a report, and nothing is sent down before it is checked.',
    edits: [
      {
        file: 'controller/sessions/session-registry.ts',
        from: 'if (session?.number !== number || !session.serves(place)) return\n',
        to: 'if (session === undefined || !session.serves(place)) return\n',
      },
    ],
  },
  ...wavesAndOnce,
]
