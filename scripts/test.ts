// Runs tap and keeps its report short: a line per passing file with the figures its tests said
// (t.comment), everything of a failing one, and the counts as the closing line. Arguments go to
// tap. On a terminal tap's own reporter draws instead. The outcome is tap's exit code, never ours.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Report } from './test-report.ts'

const tap = fileURLToPath(new URL('../node_modules/.bin/tap', import.meta.url))
const onTerminal = process.stdout.isTTY === true
const args = process.argv.slice(2)
const child = spawn(process.execPath, [tap, ...args], {
  stdio: ['inherit', onTerminal ? 'inherit' : 'pipe', 'inherit'],
  env: { ...process.env, ...compileCache() },
})
const report = new Report((line) => process.stdout.write(`${line}\n`))
child.stdout?.setEncoding('utf8').on('data', (text: string) => report.write(text))
const [code] = (await once(child, 'close')) as [number | null]

process.exitCode = code ?? 1
if (!onTerminal && !report.end()) process.exitCode ||= 1

/**
 * Tests start hundreds of processes and workers: each would strip the types of every file anew.
 * Not for coverage, which a cache makes less exact (Node.js, module.enableCompileCache).
 */
function compileCache(): Record<string, string> {
  if (args.includes('--no-disable-coverage')) return {}
  return {
    NODE_COMPILE_CACHE: fileURLToPath(new URL('../node_modules/.cache/tests', import.meta.url)),
  }
}
