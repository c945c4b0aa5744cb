// The parts of the program that have a bill of materials each, and where each begins. Reads the project's
// package.json, lockfile and sources.

import { join } from 'node:path'
import about from '../../package.json' with { type: 'json' }
import { type BillOfMaterials, billOfMaterials } from './bill-of-materials.ts'
import { readLockfile } from './lockfile.ts'
import { programImports } from './program-imports.ts'

const root = join(import.meta.dirname, '../..')

/** The command loads parts of the agent's code for what it does on a host: bin/lockstep.ts. */
export const entriesOfParts = {
  agent: ['agent/main.ts'],
  cli: ['cli/main.ts', 'agent/config.ts', 'agent/host-apps.ts', 'agent/doctor/examine-host.ts'],
  controller: ['controller/main.ts'],
} as const

export type PartName = keyof typeof entriesOfParts

export const partNames = ['agent', 'cli', 'controller'] as const satisfies readonly PartName[]

export function billOfPart(name: PartName): BillOfMaterials {
  return billOfMaterials(readLockfile(join(root, 'package-lock.json')), {
    name,
    version: about.version,
    license: about.license,
    imports: programImports(root, entriesOfParts[name]).packages,
    runtimes: Object.keys(about.optionalDependencies),
  })
}
