// The controller as the command sees it: one method for each route of the HTTP API that it uses, with the
// schemas of shared/api. Retries nothing; who asks knows whether asking again is right.

import type { Readable } from 'node:stream'
import type { Static, TSchema } from 'typebox'
import { ControllerView, type RotateBody } from '#shared/api/controller-schemas.ts'
import { HookOutputList } from '#shared/api/output-schemas.ts'
import { PlanView } from '#shared/api/plan.ts'
import {
  DiffView,
  KeepView,
  PruneAnswer,
  type PruneBody,
  RemovedRelease,
} from '#shared/api/release-schemas.ts'
import {
  DesiredAnswer,
  type DesiredBody,
  type DrainBody,
  type FreezeBody,
  type PromoteBody,
  reasonHeader,
  RecoverAnswer,
  type RecoverBody,
  type RollbackBody,
  type SettingsBody,
  SettingsView,
} from '#shared/api/requests.ts'
import {
  AppList,
  type AppView,
  EnvironmentView,
  FactList,
  HostList,
  HostView,
  ReleaseList,
  ReleaseView,
  RolloutList,
  RolloutView,
} from '#shared/api/schemas.ts'
import {
  type TokenBody,
  TokenCreated,
  TokenList,
  type TokenView,
  WhoAmI,
} from '#shared/api/token-schemas.ts'
import { limits } from '#shared/limits.ts'
import type { Connection } from '../connection.ts'
import { AnswerReader } from './answer.ts'
import { pathOf, type Place, rolloutPath, statementPath, withQuery } from './api-path.ts'
import { everyPage } from './every-page.ts'
import { EventText, type ServerEvent } from './event-text.ts'
import { exchange, open, type Reply, type RequestOptions } from './http-exchange.ts'
import { unreachable } from './unreachable.ts'

export interface Tarball {
  readonly stream: Readable
  readonly sizeBytes: number | undefined
  readonly onSent: (sentBytes: number) => void
}

export class ControllerClient {
  readonly #connection: Connection
  readonly #answers: AnswerReader
  readonly #reason: Readonly<Record<string, string>>

  /** @param reason of whatever is changed, for the audit trail */
  constructor(connection: Connection, reason?: string) {
    this.#connection = connection
    this.#reason = reason === undefined ? {} : { [reasonHeader]: encodeURIComponent(reason) }
    this.#answers = new AnswerReader(connection)
  }

  /**
   * @param requires what the release requires of hosts, as JSON, for a tarball without a descriptor
   * @returns whether the version is new, or was there with the same content
   */
  async publish(
    app: string,
    version: string,
    strip: number,
    tarball: Tarball,
    requires?: string,
  ): Promise<{ outcome: 'published' | 'present'; release: ReleaseView }> {
    const path = `/v1/apps/${app}/releases/${encodeURIComponent(version)}`
    const reply = await this.#ask(
      'PUT',
      withQuery(path, { strip: strip === 0 ? undefined : `${strip}`, requires }),
      {
        body: tarball,
        // What is sent must still be judged and made durable before the answer.
        silenceMs: 2 * limits.publishStallMs,
      },
    )
    const release = this.#answers.value(reply, ReleaseView)
    return { outcome: reply.status === 201 ? 'published' : 'present', release }
  }

  /** @param text a signed envelope, kept as it is */
  async sendStatement(app: string, version: string, text: string): Promise<ReleaseView> {
    const reply = await this.#ask('PUT', statementPath(app, version), { body: text })
    return this.#answers.value(reply, ReleaseView)
  }

  /** The envelope as it was sent. */
  async statement(app: string, version: string): Promise<string> {
    const reply = await this.#ask('GET', statementPath(app, version))
    if (reply.status >= 300) throw this.#answers.error(reply)
    return reply.text
  }

  releases(app: string, after?: string): Promise<Static<typeof ReleaseList>> {
    return this.read(withQuery(`/v1/apps/${app}/releases`, { after }), ReleaseList)
  }

  /** From the difference after `after` on, `limit` of them at most. */
  diff(
    app: string,
    versions: { from: string; to: string },
    page: { after?: string; limit?: number },
  ): Promise<DiffView> {
    const path = `/v1/apps/${app}/releases/${encodeURIComponent(versions.to)}/diff`
    const limit = page.limit === undefined ? undefined : `${page.limit}`
    const query = { from: versions.from, after: page.after, limit }
    return this.read(withQuery(path, query), DiffView, limits.publishStallMs)
  }

  async prune(app: string, body: PruneBody): Promise<PruneAnswer> {
    const reply = await this.#ask('POST', `/v1/apps/${app}/releases/prune`, {
      body: JSON.stringify(body),
      silenceMs: limits.pruneSilenceMs,
    })
    return this.#answers.value(reply, PruneAnswer)
  }

  async removeRelease(app: string, version: string): Promise<RemovedRelease> {
    const path = `/v1/apps/${app}/releases/${encodeURIComponent(version)}`
    const reply = await this.#ask('DELETE', path, { silenceMs: limits.pruneSilenceMs })
    return this.#answers.value(reply, RemovedRelease)
  }

  kept(app: string): Promise<KeepView> {
    return this.read(`/v1/apps/${app}/keep`, KeepView)
  }

  keep(app: string, keep: number): Promise<KeepView> {
    return this.write('PUT', `/v1/apps/${app}/keep`, { keep }, KeepView)
  }

  apps(): Promise<AppView[]> {
    return everyPage((after) => this.read(withQuery('/v1/apps', { after }), AppList))
  }

  /** @param key the Idempotency-Key: a repeat with it is answered with the first rollout */
  setDesired(place: Place, body: DesiredBody, key: string): Promise<DesiredAnswer> {
    return this.write('PUT', `${pathOf(place)}/desired`, body, DesiredAnswer, key)
  }

  rollback(place: Place, body: RollbackBody, key: string): Promise<DesiredAnswer> {
    return this.write('POST', `${pathOf(place)}/rollback`, body, DesiredAnswer, key)
  }

  promote(place: Place, body: PromoteBody, key: string): Promise<DesiredAnswer> {
    return this.write('POST', `${pathOf(place)}/promote`, body, DesiredAnswer, key)
  }

  plan(place: Place, body: DesiredBody): Promise<PlanView> {
    return this.write('POST', `${pathOf(place)}/plan`, body, PlanView)
  }

  freeze(place: Place, body: FreezeBody): Promise<SettingsView> {
    return this.write('POST', `${pathOf(place)}/freeze`, body, SettingsView)
  }

  async unfreeze(place: Place): Promise<SettingsView> {
    return this.#answers.value(await this.#ask('DELETE', `${pathOf(place)}/freeze`), SettingsView)
  }

  set(place: Place, body: SettingsBody): Promise<SettingsView> {
    return this.write('PUT', `${pathOf(place)}/settings`, body, SettingsView)
  }

  recover(place: Place, body: RecoverBody): Promise<RecoverAnswer> {
    return this.write('POST', `${pathOf(place)}/recover`, body, RecoverAnswer)
  }

  environment(place: Place): Promise<EnvironmentView> {
    return this.read(pathOf(place), EnvironmentView)
  }

  /** Newest first. */
  rollouts(place: Place, after?: string): Promise<Static<typeof RolloutList>> {
    return this.read(withQuery(`${pathOf(place)}/rollouts`, { after }), RolloutList)
  }

  /** What was recorded of the environment, newest first. */
  facts(place: Place, after?: string): Promise<Static<typeof FactList>> {
    return this.read(withQuery('/v1/facts', { ...place, order: 'newest', after }), FactList)
  }

  rollout(id: string): Promise<RolloutView> {
    return this.read(rolloutPath(id), RolloutView)
  }

  /** Oldest first, what was said after the item `after`. */
  output(id: string, after: number): Promise<HookOutputList> {
    const path = `${rolloutPath(id)}/output`
    return this.read(withQuery(path, { after: `${after}` }), HookOutputList)
  }

  cancel(id: string): Promise<DesiredAnswer> {
    return this.write('POST', `${rolloutPath(id)}/cancel`, {}, DesiredAnswer)
  }

  goOn(id: string): Promise<DesiredAnswer> {
    return this.write('POST', `${rolloutPath(id)}/continue`, {}, DesiredAnswer)
  }

  pause(id: string): Promise<DesiredAnswer> {
    return this.write('POST', `${rolloutPath(id)}/pause`, {}, DesiredAnswer)
  }

  /** @param label only hosts with these labels, such as `role=web,zone=a` */
  hosts(filter: Partial<Place> & { label?: string }): Promise<HostView[]> {
    return everyPage((after) => this.read(withQuery('/v1/hosts', { ...filter, after }), HostList))
  }

  removeHost(id: string): Promise<void> {
    return this.#remove(`/v1/hosts/${encodeURIComponent(id)}`)
  }

  drain(id: string, body: DrainBody): Promise<HostView> {
    return this.write('POST', `/v1/hosts/${encodeURIComponent(id)}/drain`, body, HostView)
  }

  async letIn(id: string): Promise<HostView> {
    const path = `/v1/hosts/${encodeURIComponent(id)}/drain`
    return this.#answers.value(await this.#ask('DELETE', path), HostView)
  }

  controller(): Promise<ControllerView> {
    return this.read('/v1/controller', ControllerView)
  }

  rotateAuthority(body: RotateBody): Promise<ControllerView> {
    return this.write('POST', '/v1/controller/rotate-ca', body, ControllerView)
  }

  createToken(body: TokenBody): Promise<TokenCreated> {
    return this.write('POST', '/v1/tokens', body, TokenCreated)
  }

  tokens(): Promise<TokenView[]> {
    return everyPage((after) => this.read(withQuery('/v1/tokens', { after }), TokenList))
  }

  whoAmI(): Promise<WhoAmI> {
    return this.read('/v1/whoami', WhoAmI)
  }

  revokeToken(id: string): Promise<void> {
    return this.#remove(`/v1/tokens/${encodeURIComponent(id)}`)
  }

  /** Until the stream ends, which it does when the controller stops. */
  async *events(
    filter: Partial<Place>,
    options: { lastEventId: string; signal: AbortSignal },
  ): AsyncGenerator<ServerEvent, void, void> {
    const { lastEventId, signal } = options
    const url = `${this.#connection.url}${withQuery('/v1/events', { ...filter })}`
    const { status, headers, message, close } = await open({
      method: 'GET',
      url,
      headers: {
        ...this.#headers(),
        'accept': 'text/event-stream',
        ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }),
      },
      signal,
      trust: this.#connection.trust,
      env: this.#connection.env,
      silenceMs: limits.eventSilenceMs,
    })
    try {
      if (status !== 200) throw this.#answers.error({ status, headers, text: '' })
      const text = new EventText(limits.answerBytesMax)
      message.setEncoding('utf8')
      for await (const chunk of message as AsyncIterable<string>) yield* text.push(chunk)
    } catch (error) {
      throw signal.aborted ? signal.reason : unreachable(error, url)
    } finally {
      close()
    }
  }

  /** What is at the address, for what has a file of its own. */
  async read<T extends TSchema>(path: string, schema: T, silenceMs?: number): Promise<Static<T>> {
    const more = silenceMs === undefined ? {} : { silenceMs }
    return this.#answers.value(await this.#ask('GET', path, more), schema)
  }

  /** The same for what changes something. */
  async write<T extends TSchema>(
    method: 'PUT' | 'POST',
    path: string,
    body: unknown,
    schema: T,
    key?: string,
  ): Promise<Static<T>> {
    const headers = key === undefined ? {} : { 'idempotency-key': key }
    const reply = await this.#ask(method, path, { body: JSON.stringify(body), headers })
    return this.#answers.value(reply, schema)
  }

  async #remove(path: string): Promise<void> {
    const reply = await this.#ask('DELETE', path)
    if (reply.status >= 300) throw this.#answers.error(reply)
  }

  #ask(
    method: RequestOptions['method'],
    path: string,
    more: Partial<Pick<RequestOptions, 'body' | 'headers' | 'silenceMs'>> = {},
  ): Promise<Reply> {
    return exchange({
      method,
      url: `${this.#connection.url}${path}`,
      headers: {
        ...this.#headers(),
        ...(method === 'GET' ? {} : this.#reason),
        'accept': 'application/json',
        ...more.headers,
      },
      body: more.body,
      trust: this.#connection.trust,
      env: this.#connection.env,
      silenceMs: more.silenceMs ?? limits.requestTimeoutMs,
    })
  }

  #headers(): Record<string, string> {
    return { 'authorization': `Bearer ${this.#connection.token}`, 'user-agent': 'lockstep' }
  }
}
