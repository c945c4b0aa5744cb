// A publisher killed at every stage: what can be found afterwards is whole, what was half-done is
// gone at the next start, and the same tarball can be published then.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { sha256Hex } from '#shared/ids.ts'
import { archive, file } from '../support/archives.ts'
import { buildPublisher, openTestStore, publishBytes } from '../support/publishing.ts'

const program = fileURLToPath(new URL('../support/publish-process.ts', import.meta.url))

const files = Array.from({ length: 300 }, (_, index) =>
  file(`dir-${index % 7}/file-${index}`, `content ${index}`.repeat(index)),
)
const tarball = archive(...files, file('large', Buffer.alloc(2_000_000, 'large')))

interface Moment {
  name: string
  givenBytes: number
  /** Judges the lines that the publisher has said. */
  isNow: (lines: readonly string[]) => boolean
  /** Whether everything can be found afterwards. */
  isStored: boolean
}

/** Publishes in a process of its own and kills it at the moment. */
async function killAt(root: string, moment: Moment): Promise<string | null> {
  const child = spawn(process.execPath, [program, root], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  // The pipe breaks when the publisher is killed before it has read everything.
  child.stdin.on('error', () => {})
  child.stdin.write(tarball.subarray(0, moment.givenBytes))
  if (moment.givenBytes === tarball.length) child.stdin.end()
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    if (moment.isNow(lines)) child.kill('SIGKILL')
  }
  const [, signal]: (string | null)[] = await exited
  return signal ?? null
}

/** Files of the store whose bytes do not have the hash that their name says. */
function wrongFilesBelow(root: string): string[] {
  return ['content', 'manifests', 'artifacts'].flatMap((kind) =>
    readdirSync(join(root, kind), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => {
        const name = path.slice(join(root, kind).length).replaceAll('/', '')
        return sha256Hex(readFileSync(path)) !== name
      }),
  )
}

void t.test('a publisher killed at any stage leaves nothing half-done', async (t) => {
  const half = Math.floor(tarball.length / 2)
  const received = (bytes: number) => (lines: readonly string[]) =>
    lines.at(-1) === `received ${bytes}`
  const syncs = (count: number) => (lines: readonly string[]) =>
    lines.filter((line) => line === 'sync').length === count
  const all = { givenBytes: tarball.length }
  const moments: Moment[] = [
    { name: 'at its first bytes', givenBytes: 1000, isNow: received(1000), isStored: false },
    { name: 'among small files', givenBytes: 60_000, isNow: received(60_000), isStored: false },
    { name: 'halfway', givenBytes: half, isNow: received(half), isStored: false },
    { name: 'before its first durable point', ...all, isNow: syncs(1), isStored: false },
    { name: 'before its second durable point', ...all, isNow: syncs(2), isStored: true },
  ]
  const root = t.testdir({ other: {}, data: {} })
  const publishInto = async (directory: string): Promise<string> =>
    (await publishBytes(buildPublisher(await openTestStore(join(root, directory))), tarball)).tree
  const tree = await publishInto('other')
  const data = join(root, 'data')
  for (const moment of moments) {
    t.equal(await killAt(data, moment), 'SIGKILL', moment.name)
    t.same(wrongFilesBelow(data), [], 'what can be found is whole')
    const content = await openTestStore(data)
    t.same(readdirSync(join(data, 'incoming')), [], 'nothing is left at the next start')
    t.equal((await content.sizeOf('manifests', tree)) !== null, moment.isStored)
  }
  t.equal(await publishInto('data'), tree, 'and the tarball can be published')
})
