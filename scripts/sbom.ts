// `npm run sbom [-- DIRECTORY]`: writes a bill of materials (CycloneDX) for each part of the program.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { billOfPart, partNames } from './sbom/parts.ts'

const directory = resolve(process.argv[2] ?? 'sbom')

mkdirSync(directory, { recursive: true })
for (const name of partNames) {
  const bill = billOfPart(name)
  const file = join(directory, `lockstep-${name}.cdx.json`)
  writeFileSync(file, `${JSON.stringify(bill, null, 2)}\n`)
  console.log(`${file}: ${bill.components.length} components`)
}
