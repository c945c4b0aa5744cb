// A publisher as a process of its own, to be killed: publishes its standard input into the data
// directory that it is given, and says how far it is, a line each.
//
//   received BYTES    sync (before each durable point)    done TREE

import { PassThrough } from 'node:stream'
import { openFileContentStore } from '#controller/content/file-content-store.ts'
import { syncFileSystem } from '#controller/content/sync-file-system.ts'
import { buildPublisher } from './publishing.ts'

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const [, , root = ''] = process.argv
const content = await openFileContentStore(root, async (directory) => {
  say('sync')
  await syncFileSystem(directory)
})
const stream = new PassThrough()
let receivedBytes = 0
process.stdin.on('data', (chunk: Buffer) => {
  receivedBytes += chunk.length
  stream.write(chunk, () => say(`received ${receivedBytes}`))
})
process.stdin.on('end', () => stream.end())
const { tree } = await buildPublisher(content)({
  stream,
  strip: 0,
  signal: new AbortController().signal,
})
say(`done ${tree}`)
