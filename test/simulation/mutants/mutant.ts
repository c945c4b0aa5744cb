// A mutant: one rule taken out of the program's text as it is loaded. What ships is not touched,
// and a rule that is no longer where the mutant looks for it is an error, not a survivor.

import assert from 'node:assert/strict'
import { registerHooks } from 'node:module'

export interface Mutant {
  readonly name: string
  /** The rule that is taken out, as a sentence. */
  readonly rule: string
  /** Each text occurs exactly once in its file, relative to the project. */
  readonly edits: readonly Edit[]
}

export interface SeededMutant extends Mutant {
  /** The schedule that is run first: at the time of writing it broke a guarantee. */
  readonly seed?: number
  /** The scenario that catches it, where schedules take too long to. */
  readonly scenario?: string
}

export interface Edit {
  readonly file: string
  readonly from: string
  readonly to: string
}

const project = new URL('../../../', import.meta.url).href

/** The machines check themselves too: without that, only the oracle is left to notice. */
const silenced: readonly Edit[] = [
  {
    file: 'shared/environment/invariants.ts',
    from: '  const change = changeOf(before, cause, step)\n',
    to: '  if (cause.type !== null) return\n  const change = changeOf(before, cause, step)\n',
  },
  {
    file: 'shared/activation/invariants.ts',
    from: '  const change = { cause, before, after: step.state, effects: step.effects }\n',
    to: '  if (cause.type !== null) return\n  const change = { cause, before, after: step.state, effects: step.effects }\n',
  },
]

/**
 * For everything that is loaded from the given module on, which is the program once more beside the
 * others of this thread; the invariants are silenced with it. What is installed is shared.
 * @param entry the module's address; it must not bear a query
 * @returns the address to import, and what ends the planting
 */
export function plant(mutant: Mutant, entry: URL): { address: string; uproot: () => void } {
  const edits = [...mutant.edits, ...silenced]
  const query = `?without=${encodeURIComponent(mutant.name)}`
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const resolved = nextResolve(specifier, context)
      const isOurs = resolved.url.startsWith(project) && !resolved.url.includes('/node_modules/')
      const isInside = context.parentURL?.endsWith(query) === true
      return isOurs && isInside ? { ...resolved, url: `${resolved.url}${query}` } : resolved
    },
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const wanted = edits.filter((edit) => url === `${project}${edit.file}${query}`)
      if (wanted.length === 0) return loaded
      assert.ok(loaded.source !== null && loaded.source !== undefined, `${url} has no source`)
      const text =
        typeof loaded.source === 'string'
          ? loaded.source
          : Buffer.from(loaded.source as Uint8Array).toString('utf8')
      const source = wanted.reduce((before, edit) => edited(before, edit, mutant.name), text)
      return { ...loaded, source }
    },
  })
  return { address: `${entry.href}${query}`, uproot: () => hooks.deregister() }
}

function edited(text: string, { file, from, to }: Edit, name: string): string {
  const times = text.split(from).length - 1
  assert.equal(times, 1, `${file} has the rule of "${name}" ${times} times: mend the mutant`)
  return text.replace(from, () => to)
}
