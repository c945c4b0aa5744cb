// Preloaded into a process that writes through fs/promises: counts what it does to files, and kills
// the process right before and right after the one that is asked for. KILL_AT: from 1, by halves.

import { promises } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

type Operation = (...args: never[]) => Promise<unknown>

const killAt = Number(process.env['KILL_AT'] ?? 0)
let count = 0

function die(): void {
  count += 1
  if (count === killAt) process.kill(process.pid, 'SIGKILL')
}

function counted(original: Operation): Operation {
  return async (...args) => {
    die()
    const result = await original(...args)
    die()
    return result
  }
}

const open = promises.open.bind(promises)
promises.open = async (...args) => {
  die()
  const file = await open(...args)
  die()
  for (const name of ['writeFile', 'sync'] as const) {
    Object.assign(file, { [name]: counted(file[name].bind(file) as Operation) })
  }
  return file
}
promises.rename = counted(promises.rename.bind(promises) as Operation) as typeof promises.rename
syncBuiltinESMExports()
