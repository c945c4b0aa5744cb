// A server with releases 1 to 3 of `shop` and two hosts in production, whose agents are the test's to
// play: they obey, or they fail.

import type { Test } from 'tap'
import type { EnvironmentRunner } from '#controller/runtime/environment-runner.ts'
import type { Desired } from '#shared/desired.ts'
import { desiredOf } from '#shared/environment/tell.ts'
import { declaresNothing, type Report } from '#shared/report.ts'
import type { AgentKey } from './agent-key.ts'
import { digestOf, reportOf, shop } from './fleet-facts.ts'
import { openTestServer, type TestServer } from './test-server.ts'

type EnvironmentName = 'production' | 'staging'

export interface Requested {
  readonly outcome: string
  readonly rollout: { readonly id: string; readonly phase: string; readonly target: object } | null
}

interface Answer<Body> {
  readonly status: number
  readonly body: Body
}

export function baseOf(environment: string): string {
  return `/v1/apps/shop/environments/${environment}`
}

/** @param environments `staging` too has one host, where that is asked for */
export async function openShop(t: Test, environments: readonly EnvironmentName[] = []) {
  const there = await openTestServer(t)
  for (const number of ['1', '2', '3']) await publish(there, `${number}.0.0`, digestOf(number))
  const hosts = [await there.enrol('web-1'), await there.enrol('web-2')]
  const staging = environments.includes('staging')
    ? [await there.enrol('test-1', { app: 'shop', environment: 'staging' })]
    : []
  const runnerOf = (environment: EnvironmentName): EnvironmentRunner => {
    const runner = there.ports.environments.of({ app: 'shop', environment })
    if (runner === null) throw new Error(`shop has no ${environment}`)
    return runner
  }
  const fleetOf = (environment: EnvironmentName) => (environment === 'staging' ? staging : hosts)
  const call = caller(there)
  const play = player(there)
  return {
    ...there,
    hosts,
    call,
    runner: runnerOf('production'),
    desire: (
      payload: object,
      key?: string,
      environment: EnvironmentName = 'production',
    ): Promise<Answer<Requested>> => call('PUT', `${baseOf(environment)}/desired`, payload, key),
    /** Every host does what it is told, at once, until nothing is left to do. */
    obey: (environment: EnvironmentName = 'production') =>
      play(runnerOf(environment), fleetOf(environment), () => ({})),
    /** Every host stages well, and fails at what it activates; it goes back as it is told. */
    fail: (environment: EnvironmentName = 'production') =>
      play(runnerOf(environment), fleetOf(environment), failing),
    /** Every host of production declares a once run; the elected one says how it ended. */
    once: (state: 'done' | 'failed', message: string | null = null) =>
      play(runnerOf('production'), hosts, ({ fence, once, stage }) => ({
        declares: { ...declaresNothing, once: digestOf('d'), onceMs: 1000 },
        ...(once && stage !== null ? { once: { fence, tree: stage.tree, state, message } } : {}),
      })),
  }
}

function caller({ server, token }: TestServer) {
  return async (
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    url: string,
    payload?: object,
    key?: string,
  ) => {
    const answer = await server.inject({
      method,
      url,
      headers: {
        authorization: `Bearer ${token}`,
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(payload === undefined ? {} : { payload }),
    })
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() }
  }
}

function player({ clock }: TestServer) {
  let seq = 0
  return async (
    runner: EnvironmentRunner,
    hosts: readonly AgentKey[],
    besides: (desired: Desired) => Partial<Report>,
  ) => {
    for (let round = 0; round < 4; round += 1) {
      for (const { host } of hosts) {
        seq += 1
        const desired = desiredOf(runner.state.record, host)
        if (desired === null) continue
        await runner.report(host, 1, { ...obedient(desired), ...besides(desired), seq })
        await runner.idle()
      }
      clock.advance(1)
    }
  }
}

/** Who is told to activate has nothing more to stage. */
function failing({ kind, stage, hold }: Desired): Partial<Report> {
  if (kind !== 'activate' || stage !== null || hold) return {}
  const failure = { code: 'reload-failed' as const, message: 'php-fpm does not start' }
  return { phase: 'failed', failure }
}

function obedient({ fence, run, stage }: Desired): Report {
  const isStaged = stage !== null && stage.tree !== run.release?.tree
  return reportOf({
    fence,
    current: run.release,
    standing: run.release === null ? 'before' : 'run',
    phase: isStaged ? 'ready' : 'healthy',
    ready: isStaged ? { target: stage.tree, fallback: run.fallback?.tree ?? null } : null,
  })
}

async function publish({ ports }: TestServer, version: string, tree: string): Promise<void> {
  await ports.releases.publish({
    app: shop.app,
    version,
    tree,
    artifact: digestOf('a'),
    artifactBytes: 1,
    treeBytes: 1,
    entries: 1,
    publishedAt: 1,
    publishedBy: 'test',
    statement: null,
    sequence: null,
    requires: null,
  })
}
