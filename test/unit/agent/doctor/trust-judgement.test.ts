// What the doctor says of a host's trust file, for each environment that the host serves.

import t from 'tap'
import { judgeTrust } from '#agent/doctor/trust-judgement.ts'
import type { TrustFileState } from '#agent/trust/trust-file.ts'
import { parseTrustPolicy } from '#shared/trust/trust-policy.ts'
import { bytesOf, trustFile } from '../../shared/trust/signing.ts'

const path = '/etc/lockstep/trust.json'
const read = (caution: string | null = null): TrustFileState => ({
  kind: 'read',
  policy: parseTrustPolicy(bytesOf(trustFile)),
  caution,
})

void t.test('only a rule that requires signatures is good', async (t) => {
  t.match(judgeTrust(read(), path, 'production'), {
    outcome: 'ok',
    found: '2 of ci, ann, bob have to sign',
  })
  t.match(judgeTrust(read(), path, 'staging'), { outcome: 'warn', found: /policy is warn/ })
  t.match(judgeTrust(read(), path, 'dev'), { outcome: 'warn', found: /policy is off/ })
  t.match(judgeTrust(read(), path, 'unheard-of'), { outcome: 'fail', found: /no rule for/ })
})

void t.test(
  'no file lets everything in, and one that cannot be followed nothing new',
  async (t) => {
    t.match(judgeTrust({ kind: 'missing' }, path, 'production'), {
      outcome: 'warn',
      found: `unsigned releases are let in: ${path} is not there`,
    })
    const reason = `${path}: the trust file is no JSON`
    t.match(judgeTrust({ kind: 'broken', reason }, path, 'production'), {
      outcome: 'fail',
      found: /nothing new is let in: .*no JSON/,
    })
  },
)

void t.test('a file that the agent could change itself is doubtful', async (t) => {
  const caution = 'it belongs to the agent’s own user, who could change it'
  t.match(judgeTrust(read(caution), path, 'production'), {
    outcome: 'warn',
    found: /have to sign; it belongs/,
    remedy: /chown root:root/,
  })
})
