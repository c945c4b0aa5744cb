// A sweep as a process of its own, to be killed: of the data directory with one recorded tree and
// artifact. Says each file before it is removed, a line each, and lets the test act on it.

import { setTimeout as pause } from 'node:timers/promises'
import { SweptStore } from './swept-store.ts'

const [, , root = '', tree = '', artifact = ''] = process.argv
const swept = await SweptStore.open(root, {
  remove: async (path) => {
    process.stdout.write(`${path}\n`)
    // Whoever reads these lines has time to kill before much more is removed.
    await pause(2)
  },
})
swept.know('recorded', tree, artifact)
await swept.sweep()
// As long as it takes to be killed after the last line.
await pause(600_000)
