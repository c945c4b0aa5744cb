// A rollout as rows: one for itself, one for each participant.

import { limits } from '#shared/limits.ts'
import type { Participant, Rollout } from '#shared/environment/rollout.ts'
import { verdictOf } from '#shared/environment/verdict.ts'
import type { Kysely, Transaction } from 'kysely'
import type { RolloutRow, Tables } from './schema.ts'

/** Writes the rollout and those participants that differ from `before`, if that is the same one. */
export async function writeRollout(
  trx: Transaction<Tables>,
  rollout: Rollout,
  before: Rollout | null,
): Promise<void> {
  const { participants, ...rest } = rollout
  const row = {
    id: rollout.id,
    app: rollout.app,
    environment: rollout.environment,
    phase: rollout.phase,
    request_key: rollout.requestKey,
    started_at: rollout.phases[0]?.at ?? 0,
    tree: rollout.target.tree,
    verdict: verdictOf(rollout),
    rollout: JSON.stringify(rest),
  }
  await trx
    .insertInto('rollout')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet({ phase: row.phase, verdict: row.verdict, rollout: row.rollout }),
    )
    .execute()
  const known = before?.id === rollout.id ? before.participants : {}
  for (const participant of Object.values(participants)) {
    if (known[participant.host] !== participant)
      await writeParticipant(trx, rollout.id, participant)
  }
}

/** What a rollout has that was recorded before there were waves and once runs. */
const beforeWaves: Pick<Rollout, 'waves' | 'wave' | 'between' | 'once' | 'givenMs'> = {
  givenMs: limits.stageDeadlineMs,
  waves: [{ name: null, soakMs: 0 }],
  wave: 0,
  between: null,
  once: null,
}

export async function readRollout(
  db: Kysely<Tables>,
  row: Pick<RolloutRow, 'id' | 'rollout'>,
): Promise<Rollout> {
  const rows = await db
    .selectFrom('participant')
    .select(['host', 'participant'])
    .where('rollout', '=', row.id)
    .execute()
  const participants: Record<string, Participant> = Object.fromEntries(
    rows.map(({ host, participant }) => [host, JSON.parse(participant)]),
  )
  const rest: Omit<Rollout, 'participants'> = JSON.parse(row.rollout)
  return { ...beforeWaves, ...rest, participants }
}

async function writeParticipant(
  trx: Transaction<Tables>,
  rollout: string,
  participant: Participant,
): Promise<void> {
  const row = {
    rollout,
    host: participant.host,
    wave: participant.wave,
    counted: participant.counted ? 1 : 0,
    participant: JSON.stringify(participant),
  }
  const { wave, counted, participant: text } = row
  await trx
    .insertInto('participant')
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(['rollout', 'host']).doUpdateSet({ wave, counted, participant: text }),
    )
    .execute()
}
