// The steps from an empty database to the tables of schema.ts: forward only, never edited once
// they have left this repository.

import type { Rollout } from '#shared/environment/rollout.ts'
import { verdictOf } from '#shared/environment/verdict.ts'
import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { RolloutRow, TokenRow } from './schema.ts'

type Database = Kysely<unknown>

/** Epoch milliseconds have fractions here, which PostgreSQL's `bigint` would refuse. */
const instant = 'double precision'

export const migrations: Record<string, Migration> = {
  '001-initial': {
    async up(db: Database) {
      await createEnvironments(db)
      await createRollouts(db)
      await createReleases(db)
      await createHosts(db)
    },
  },
  '002-environment-settings': {
    async up(db: Database) {
      await createSettings(db)
      await addVerdicts(db)
      await db.schema
        .alterTable('host')
        .addColumn('labels', 'text', (c) => c.notNull().defaultTo('{}'))
        .execute()
    },
  },
  '003-release-removal': {
    async up(db: Database) {
      const release = db.schema.alterTable('release')
      await release.addColumn('requires', 'text').execute()
      await release.addColumn('removed_at', instant).execute()
      await release.addColumn('removed_by', 'text').execute()
    },
  },
  '004-hook-output': { up: createHookOutput },
  '005-cloned-hosts': {
    async up(db: Database) {
      await db.schema.alterTable('host').addColumn('cloned_at', instant).execute()
    },
  },
  '006-audit': { up: createAudit },
  '007-grants': { up: addGrants },
  '008-approvals': { up: createApprovals },
}

async function createApprovals(db: Database): Promise<void> {
  await db.schema
    .alterTable('environment_setting')
    .addColumn('approvals', 'integer', (c) => c.notNull().defaultTo(0))
    .execute()
  let table = db.schema
    .createTable('approval')
    .addColumn('number', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('id', 'text', (c) => c.notNull().unique())
  const texts = ['app', 'environment', 'what', 'version', 'tree', 'policy', 'requested_by', 'state']
  for (const name of texts) table = table.addColumn(name, 'text', (c) => c.notNull())
  for (const name of ['owner', 'why', 'request_key', 'decided_by', 'rollout']) {
    table = table.addColumn(name, 'text')
  }
  await table
    .addColumn('requested_at', instant, (c) => c.notNull())
    .addColumn('expires_at', instant, (c) => c.notNull())
    .addColumn('decided_at', instant)
    .execute()
  await db.schema
    .createIndex('approval_by_place')
    .on('approval')
    .columns(['app', 'environment', 'number'])
    .execute()
}

async function createAudit(db: Database): Promise<void> {
  await db.schema
    .createTable('audit')
    .addColumn('sequence', 'integer', (c) => c.primaryKey())
    .addColumn('at', instant, (c) => c.notNull())
    .addColumn('who', 'text', (c) => c.notNull())
    .addColumn('what', 'text', (c) => c.notNull())
    .addColumn('app', 'text')
    .addColumn('environment', 'text')
    .addColumn('why', 'text')
    .addColumn('outcome', 'text', (c) => c.notNull())
    .addColumn('details', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .execute()
  for (const columns of [['who'], ['what'], ['app', 'environment'], ['outcome']]) {
    await db.schema
      .createIndex(`audit_by_${columns[0]}`)
      .on('audit')
      .columns([...columns, 'sequence'])
      .execute()
  }
  // Against accidents: whoever may write the file may drop them too, and the hashes show it then.
  const never = (name: string, when: string) =>
    sql.raw(
      `CREATE TRIGGER ${name} ${when} BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END`,
    )
  await never('audit_unchanged', 'BEFORE UPDATE ON audit').execute(db)
  await never('audit_undeleted', 'BEFORE DELETE ON audit').execute(db)
  // `INSERT OR REPLACE` deletes without a trigger.
  const due = '(SELECT coalesce(max(sequence), 0) + 1 FROM audit)'
  await never('audit_gapless', `BEFORE INSERT ON audit WHEN NEW.sequence <> ${due}`).execute(db)
}

/** Every API token of before was an administrator's, and stays one. */
async function addGrants(db: Database): Promise<void> {
  const table = () => db.schema.alterTable('token')
  await table()
    .addColumn('grants', 'text', (c) => c.notNull().defaultTo('[]'))
    .execute()
  await table().addColumn('owner', 'text').execute()
  const everything = JSON.stringify([{ role: 'admin', app: '*', environment: '*' }])
  await db
    .withTables<{ token: Pick<TokenRow, 'kind' | 'grants'> }>()
    .updateTable('token')
    .set({ grants: everything })
    .where('kind', '=', 'api')
    .execute()
  await table().dropColumn('role').execute()
}

async function createHookOutput(db: Database): Promise<void> {
  await db.schema
    .createTable('hook_output')
    .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('rollout', 'text', (c) => c.notNull())
    .addColumn('host', 'text', (c) => c.notNull())
    .addColumn('at', instant, (c) => c.notNull())
    .addColumn('hook', 'text', (c) => c.notNull())
    .addColumn('stream', 'text', (c) => c.notNull())
    .addColumn('text', 'text', (c) => c.notNull())
    .addColumn('truncated', 'integer', (c) => c.notNull())
    .execute()
  await db.schema
    .createIndex('hook_output_by_rollout')
    .on('hook_output')
    .columns(['rollout', 'id'])
    .execute()
}

async function createSettings(db: Database): Promise<void> {
  await db.schema
    .createTable('environment_setting')
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('freeze', 'text')
    .addColumn('requires', 'text')
    .addPrimaryKeyConstraint('environment_setting_key', ['app', 'environment'])
    .execute()
}

/** What a rollout says of its release is asked for by tree: it gets columns of its own. */
async function addVerdicts(db: Database): Promise<void> {
  await db.schema
    .alterTable('rollout')
    .addColumn('tree', 'text', (c) => c.notNull().defaultTo(''))
    .execute()
  await db.schema.alterTable('rollout').addColumn('verdict', 'text').execute()
  await db.schema
    .createIndex('rollout_by_verdict')
    .on('rollout')
    .columns(['app', 'environment', 'verdict', 'tree', 'number'])
    .execute()
  const tables = db.withTables<{
    rollout: Pick<RolloutRow, 'id' | 'rollout' | 'tree' | 'verdict'>
  }>()
  for (const { id, rollout } of await tables
    .selectFrom('rollout')
    .select(['id', 'rollout'])
    .execute()) {
    const told: Rollout = JSON.parse(rollout)
    await tables
      .updateTable('rollout')
      .set({ tree: told.target.tree, verdict: verdictOf(told) })
      .where('id', '=', id)
      .execute()
  }
}

async function createEnvironments(db: Database): Promise<void> {
  await db.schema
    .createTable('environment')
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('revision', 'integer', (c) => c.notNull())
    .addColumn('record', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('environment_key', ['app', 'environment'])
    .execute()
  await db.schema
    .createTable('member')
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('host', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('member_key', ['app', 'environment', 'host'])
    .execute()
  // The key makes two decisions under one epoch impossible, whoever writes them.
  await db.schema
    .createTable('decision')
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('term', 'integer', (c) => c.notNull())
    .addColumn('epoch', 'integer', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('rollout', 'text')
    .addColumn('wave', 'integer')
    .addColumn('decision', 'text', (c) => c.notNull())
    .addColumn('decided_at', instant, (c) => c.notNull())
    .addPrimaryKeyConstraint('decision_key', ['app', 'environment', 'term', 'epoch'])
    .execute()
}

async function createRollouts(db: Database): Promise<void> {
  await db.schema
    .createTable('rollout')
    .addColumn('number', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('id', 'text', (c) => c.notNull().unique())
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('phase', 'text', (c) => c.notNull())
    .addColumn('request_key', 'text')
    .addColumn('started_at', instant, (c) => c.notNull())
    .addColumn('rollout', 'text', (c) => c.notNull())
    .execute()
  await db.schema
    .createIndex('rollout_by_environment')
    .on('rollout')
    .columns(['app', 'environment', 'number'])
    .execute()
  await db.schema
    .createTable('participant')
    .addColumn('rollout', 'text', (c) => c.notNull())
    .addColumn('host', 'text', (c) => c.notNull())
    .addColumn('wave', 'integer', (c) => c.notNull())
    .addColumn('counted', 'integer', (c) => c.notNull())
    .addColumn('participant', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('participant_key', ['rollout', 'host'])
    .execute()
  await db.schema
    .createTable('fact')
    .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('at', instant, (c) => c.notNull())
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('rollout', 'text')
    .addColumn('host', 'text')
    .addColumn('text', 'text', (c) => c.notNull())
    .execute()
}

async function createReleases(db: Database): Promise<void> {
  await db.schema
    .createTable('release')
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('version', 'text', (c) => c.notNull())
    .addColumn('number', 'integer', (c) => c.notNull().unique())
    .addColumn('tree', 'text', (c) => c.notNull())
    .addColumn('artifact', 'text', (c) => c.notNull())
    .addColumn('artifact_bytes', 'bigint', (c) => c.notNull())
    .addColumn('tree_bytes', 'bigint', (c) => c.notNull())
    .addColumn('entries', 'integer', (c) => c.notNull())
    .addColumn('published_at', instant, (c) => c.notNull())
    .addColumn('published_by', 'text', (c) => c.notNull())
    .addColumn('statement', 'text')
    .addColumn('sequence', 'integer')
    .addPrimaryKeyConstraint('release_key', ['app', 'version'])
    .execute()
  await db.schema.createIndex('release_by_tree').on('release').column('tree').execute()
}

async function createHosts(db: Database): Promise<void> {
  await db.schema
    .createTable('host')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('public_key', 'text', (c) => c.notNull())
    .addColumn('enrolled_at', instant, (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('host_app')
    .addColumn('host', 'text', (c) => c.notNull().references('host.id').onDelete('cascade'))
    .addColumn('app', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('host_app_key', ['host', 'app'])
    .execute()
  await db.schema
    .createTable('token')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('secret_hash', 'text', (c) => c.notNull())
    .addColumn('role', 'text')
    .addColumn('apps', 'text', (c) => c.notNull())
    .addColumn('created_at', instant, (c) => c.notNull())
    .addColumn('expires_at', instant, (c) => c.notNull())
    .addColumn('uses_max', 'integer')
    .addColumn('used', 'integer', (c) => c.notNull())
    .addColumn('last_used_at', instant)
    .execute()
  await db.schema
    .createTable('setting')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute()
}
