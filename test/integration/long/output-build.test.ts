// `lockstep build` over a repository that is hostile in what its commands say, in the names of its files
// and in its tag: nothing raw reaches the terminal, and no line of the command's is forged.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { GitRepository } from '../../support/git-repository.ts'
import { packs, payloads } from '../escape-payloads.ts'
import { forms, holesOf } from '../output-holes.ts'
import { run } from '../cli-run.ts'

function place(t: Test): { repository: GitRepository; out: string; home: string } {
  const root = t.testdir({ home: {}, out: {} })
  const home = join(root, 'home')
  return { repository: new GitRepository(join(root, 'site'), home), out: join(root, 'out'), home }
}

// Every build clones, with a process for each step.
t.setTimeout(120_000)

/** What a file may be called; two that are the same beside a line end are one. */
const fileNames = payloads.filter(
  (text) => /^[^\0/]+$/.test(text) && text.isWellFormed() && Buffer.byteLength(text) <= 255,
)

void t.test('what the commands of a build say, while they run and when they fail', async (t) => {
  const { repository, out } = place(t)
  repository.write({ 'said.txt': packs.join('\n') }).commit('v1')
  const counts = { runs: 0 }
  for (const [index, form] of forms.entries()) {
    const command = index === 0 ? 'cat said.txt' : 'cat said.txt; cat said.txt >&2; exit 3'
    const words = ['build', repository.directory, '--command', command, '--force']
    const argv = [...words, '--output', join(out, 'x.tar.zst'), ...form.more]
    const begun = run(argv, { ...form, env: repository.env })
    // A command's output is bytes: what is no character is shown as the mark for that.
    const holes = (await holesOf(begun)).filter((hole) => hole !== 'half a pair')
    t.same(holes, [], argv.slice(2).join(' '))
    t.match(begun.err.text, / {2}\| FORGED/, 'it is quoted')
    counts.runs += 1
  }
  t.comment(`${payloads.length} payloads said by commands, ${counts.runs} runs: 0 raw`)
})

void t.test('files that are not committed, and files that no release may hold', async (t) => {
  const { repository, out } = place(t)
  repository.write({ a: '1' }).commit('v1')
  for (const [at, name] of fileNames.entries()) {
    mkdirSync(join(repository.directory, 'new', String(at)), { recursive: true })
    repository.write({ [`new/${at}/${name}`]: name })
  }
  const words = ['build', repository.directory, '--force', '--output', join(out, 'x.tar.zst')]
  const changed = run(words, { env: repository.env })
  t.same(await holesOf(changed), [], 'not committed')
  t.match(changed.err.text, /unclean-source|not committed/)
  // A build names one file that it refuses, and takes a while: some of the names are enough.
  const some = fileNames.filter((_, at) => at % 125 === 0)
  repository.commit('v2-\u202egpj\u200b')
  const ends: number[] = []
  for (const [turn, name] of some.entries()) {
    const form = forms[turn % forms.length] ?? { more: [] }
    const pack = ['--pack', `new/${fileNames.indexOf(name)}`]
    const begun = run([...words, ...pack, ...form.more], { ...form, env: repository.env })
    t.same(await holesOf(begun), [], encodeURIComponent(name))
    ends.push(await begun.exitCode)
  }
  const refused = ends.filter((exitCode) => exitCode !== 0).length
  t.ok(refused > some.length / 2)
  t.comment(
    `${fileNames.length} names of files that are new, ${some.length} of them built under a tag with ` +
      `hidden letters, ${refused} refused: 0 raw`,
  )
})
