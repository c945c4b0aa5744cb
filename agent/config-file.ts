// Reads the agent's configuration from the disk. What it may hold is for config.ts to say.

import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { type AgentConfig, parseAgentConfig } from './config.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'

/**
 * @param file path of `agent.toml`
 * @throws LockstepError `bad-configuration` when the file cannot be read or has mistakes.
 */
export function readAgentConfig(file: string): AgentConfig {
  return parseAgentConfig(readText(file), { file, hostname: hostname() })
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw new LockstepError('bad-configuration', `${file} cannot be read (${code})`, {
      hint: 'Name the configuration with --config FILE; the agent’s user must be able to read it.',
      details: { file, systemCode: code },
      cause: error,
    })
  }
}
