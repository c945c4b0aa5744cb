// One run of one command: what it uses, and the controller it talks to, which is looked up only when a
// command needs it.

import { ControllerClient } from './client/controller-client.ts'
import { readConnection } from './connection.ts'
import type { Surroundings } from './surroundings.ts'

export interface Session extends Surroundings {
  /**
   * @param reason of whatever it is used to change, for the audit trail
   * @throws LockstepError `bad-usage` when address or token is missing
   */
  client(reason?: string): ControllerClient
}

/** What a command's job comes to: the exit code, 0 where it says nothing else. */
export type Job = (session: Session) => Promise<number | undefined>

/** Runs a job and remembers its exit code; given to every command. */
export type RunJob = (job: Job) => Promise<void>

export function newSession(surroundings: Surroundings, url: string | undefined): Session {
  return {
    ...surroundings,
    client: (reason) => new ControllerClient(readConnection(url, surroundings.env), reason),
  }
}
