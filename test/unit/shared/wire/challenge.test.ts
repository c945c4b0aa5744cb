// What agents sign, and the header that carries it.

import t from 'tap'
import {
  enrolmentBytes,
  formatUpgradeAuthorization,
  parseUpgradeAuthorization,
  upgradeBytes,
} from '#shared/wire/challenge.ts'

const parts = { host: 'h'.repeat(26), nonce: 'n'.repeat(32), signature: 's'.repeat(86) }

void t.test('the texts that are signed begin with their purpose', (t) => {
  t.equal(
    upgradeBytes('controller', 'host', 'nonce').toString(),
    'lockstep-ws-v1\ncontroller\nhost\nnonce\n1',
  )
  const apps = [
    { app: 'shop', environment: 'production' },
    { app: 'blog', environment: 'staging' },
  ]
  t.equal(
    enrolmentBytes({ token: 'token', name: 'web-1', publicKey: 'key', apps }).toString(),
    'lockstep-enrol-v2\ntoken\nweb-1\nkey\nshop/production\nblog/staging',
  )
  t.end()
})

void t.test('the header comes out as it went in', (t) => {
  t.same(parseUpgradeAuthorization(formatUpgradeAuthorization(parts)), parts)
  t.end()
})

void t.test('any other header is none of ours', (t) => {
  const good = formatUpgradeAuthorization(parts)
  const bad = [
    undefined,
    '',
    'Bearer lsk1.x.y',
    ` ${good}`,
    `${good} `,
    `${good},more=1`,
    good.toLowerCase(),
    good.replace('id=h', 'id='),
    good.replace('nonce=', 'nonce=='),
    `${good}\n`,
  ]
  for (const header of bad) t.equal(parseUpgradeAuthorization(header), null, header ?? 'none')
  t.end()
})
