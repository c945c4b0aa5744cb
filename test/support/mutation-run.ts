// Publishes a number of damaged archives and says what came of them: every one is refused with an
// error of ours, or its manifest and its content satisfy an oracle that shares no code with us.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LockstepError } from '#shared/errors.ts'
import { archive, directory, file, gnuLong, hardLink, link, pax } from './archives.ts'
import { faultsOf, mutated, randomNumbers } from './archive-mutations.ts'
import { buildPublisher, listingOf, openTestStore, publishBytes } from './publishing.ts'

const lines = Array.from({ length: 90 }, (_, index) => `line ${index * 7919}\n`).join('')
const corpus = [
  archive(directory('app/'), file('app/a', lines), file('app/b', 'b', { mode: 0o755 })),
  archive(
    directory('./'),
    pax({ path: `app/${'n'.repeat(150)}`, mtime: '1.5' }),
    file('app/n', 'long name'),
    link('app/current', 'n'),
    file('data', lines),
    hardLink('again', 'data'),
  ),
  archive(
    gnuLong('L', `d/${'g'.repeat(120)}`),
    file('d/g', 'x', { magic: 'ustar  \0' }),
    directory('d/e/'),
    link('d/e/up', '../g'),
    file('z', ''),
  ),
]

export interface MutationOutcome {
  refused: number
  accepted: number
  /** What must not be, with the number of the round that shows it; at most the first ten. */
  wrong: string[]
  slowestMs: number
}

export async function runMutations(
  root: string,
  seed: number,
  rounds: number,
): Promise<MutationOutcome> {
  const publish = buildPublisher(await openTestStore(root))
  const random = randomNumbers(seed)
  const outcome: MutationOutcome = { refused: 0, accepted: 0, wrong: [], slowestMs: 0 }
  for (let round = 0; round < rounds && outcome.wrong.length < 10; round += 1) {
    const { kind, bytes } = mutated(corpus, random)
    const startedAt = performance.now()
    const result = await publishBytes(publish, bytes).catch((error: unknown) => error)
    outcome.slowestMs = Math.max(outcome.slowestMs, performance.now() - startedAt)
    const faults = judge(root, result, outcome)
    outcome.wrong.push(...faults.map((fault) => `round ${round}, ${kind}: ${fault}`))
  }
  outcome.wrong.push(...listingOf(join(root, 'incoming')).map((path) => `${path} is left`))
  return outcome
}

function judge(root: string, result: unknown, outcome: MutationOutcome): string[] {
  if (result instanceof LockstepError) {
    outcome.refused += 1
    const isOurs = ['bad-archive', 'refused-entry', 'archive-too-large'].includes(result.code)
    return isOurs ? [] : [`refused as ${result.code}: ${result.message}`]
  }
  if (typeof result !== 'object' || result === null || !('tree' in result)) return [String(result)]
  if (result instanceof Error) return [String(result.stack)]
  outcome.accepted += 1
  const tree = String(result.tree)
  const manifest = readFileSync(join(root, 'manifests', tree), 'utf8')
  return [...faultsOf(manifest, tree), ...contentFaults(root, manifest)]
}

/** Each file of the manifest is in the store, as long as said and with the hash said. */
function contentFaults(root: string, manifest: string): string[] {
  return manifest.split('\n').flatMap((line) => {
    const [type, , sizeBytes, sha256 = ''] = line.split('\t')
    if (type !== 'f') return []
    const bytes = readFileSync(join(root, 'content', sha256.slice(0, 2), sha256.slice(2)))
    const isSame = createHash('sha256').update(bytes).digest('hex') === sha256
    return isSame && bytes.length === Number(sizeBytes) ? [] : [`the content of ${line}`]
  })
}
