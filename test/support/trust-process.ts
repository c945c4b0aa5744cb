// A process of its own that takes one app's trust record through a life: verifies, commits, raises
// the floor, begins and ends to ask. Writes down each permission as it is given; to be killed.

import { appendFileSync } from 'node:fs'
import { AppTrust } from '#agent/trust/app-trust.ts'
import { TrustFile } from '#agent/trust/trust-file.ts'
import { digestOf, now, signedStatement, ci, statement } from '../unit/shared/trust/signing.ts'

const [file = '', record = '', permits = ''] = process.argv.slice(2)
const trust = await AppTrust.open({
  app: 'shop',
  environment: 'production',
  file: new TrustFile({ file, isNamed: true }, process.getuid?.() ?? 0),
  record,
  now: () => now,
  onSight: () => undefined,
  onDoubt: () => undefined,
  onFound: ({ version }) => appendFileSync(permits, `found ${version}\n`),
  onProblem: (doing, error) => {
    throw new Error(doing, { cause: error })
  },
})
const releaseOf = (version: string) => ({ version, tree: digestOf(version) })
await trust.refresh(releaseOf('0'))
for (const sequence of [1, 2, 3]) {
  const release = releaseOf(`${sequence}`)
  const content = { ...statement, ...release, sequence, floor: sequence }
  const refusal = await trust.admit({
    release,
    isSettled: false,
    isStanding: false,
    fetch: async () => signedStatement(content, ci),
  })
  appendFileSync(permits, refusal === null ? `verified ${sequence}\n` : `refused ${sequence}\n`)
  if (refusal === null && (await trust.commit(release))) {
    appendFileSync(permits, `committed ${sequence}\n`)
  }
}
