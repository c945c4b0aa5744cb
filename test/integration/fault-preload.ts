// Preloaded into a staging process: counts the file operations of its worker, writes them down, and
// kills the process at the one that is asked for, in the middle of it where it writes.
// FAULT_KILL_AT: the number of the operation, from 1. FAULT_LOG: where to write them down.

import childProcess from 'node:child_process'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { promisify } from 'node:util'
import { isMainThread } from 'node:worker_threads'

const watched = [
  'openSync',
  'writeSync',
  'fsyncSync',
  'fchmodSync',
  'futimesSync',
  'mkdirSync',
  'chmodSync',
  'linkSync',
  'copyFileSync',
  'symlinkSync',
  'lutimesSync',
  'utimesSync',
  'renameSync',
  'unlinkSync',
  'rmdirSync',
] as const

/** O_ACCMODE of open(2), which Node does not name; 0 in it is O_RDONLY. */
const accessMode = 3

type Operation = (...args: unknown[]) => unknown

if (!isMainThread) {
  const killAt = Number(process.env['FAULT_KILL_AT'] ?? 0)
  const log = process.env['FAULT_LOG']
  const { appendFileSync, readlinkSync } = fs
  const functions = fs as unknown as Record<string, Operation>
  let count = 0

  const note = (name: string, args: unknown[], half: () => void): void => {
    count += 1
    const [first, second] = args
    // Named now: a rename may be what comes.
    const subject = typeof first === 'number' ? readlinkSync(`/proc/self/fd/${first}`) : first
    const object = name === 'renameSync' ? ` ${String(second)}` : ''
    if (log !== undefined) appendFileSync(log, `${name} ${held(`${String(subject)}${object}`)}\n`)
    if (count !== killAt) return
    half()
    process.kill(process.pid, 'SIGKILL')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }

  /** A directory that is held open is written down by its name. */
  const held = (line: string): string =>
    line.replaceAll(/\/proc\/\d+\/fd\/\d+/g, (descriptor) => readlinkSync(descriptor))

  for (const name of watched) {
    const original = functions[name] as Operation
    functions[name] = (...args) => {
      // What only reads is not counted.
      const isReading = name === 'openSync' && (Number(args[1]) & accessMode) === 0
      if (!isReading) {
        note(name, args, () => {
          const [file, bytes] = args
          if (name === 'writeSync' && bytes instanceof Uint8Array) {
            original(file, bytes.subarray(0, bytes.length / 2))
          }
        })
      }
      return original(...args)
    }
  }
  const run = promisify(childProcess.execFile)
  const counted = {
    [promisify.custom]: async (file: string, args: string[]) => {
      note('execFile', [`${file} ${args.join(' ')}`], () => undefined)
      return run(file, args)
    },
  }
  Object.assign(childProcess, { execFile: Object.assign(() => undefined, counted) })
  syncBuiltinESMExports()
}
