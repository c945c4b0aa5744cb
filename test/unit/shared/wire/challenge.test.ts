// What agents sign, and the header that carries it.

import t from 'tap'
import {
  enrolmentBytes,
  formatUpgradeAuthorization,
  parseUpgradeAuthorization,
  upgradeBytes,
} from '#shared/wire/challenge.ts'

const parts = {
  host: 'h'.repeat(26),
  nonce: 'n'.repeat(32),
  clientNonce: 'c'.repeat(32),
  signature: 's'.repeat(86),
}
const upgrade = {
  controller: 'controller',
  host: 'host',
  nonce: 'nonce',
  clientNonce: 'client',
  exporter: 'exporter',
}
const enrolment = {
  token: 'token',
  controller: 'controller',
  nonce: 'nonce',
  exporter: '',
  name: 'web-1',
  publicKey: 'key',
  apps: [
    { app: 'shop', environment: 'production' },
    { app: 'blog', environment: 'staging' },
  ],
}

void t.test('the texts that are signed begin with their purpose', (t) => {
  t.equal(
    upgradeBytes(upgrade).toString(),
    'lockstep-ws-v2\ncontroller\nhost\nnonce\nclient\n1\nexporter',
  )
  t.equal(
    enrolmentBytes(enrolment).toString(),
    'lockstep-enrol-v3\ntoken\ncontroller\nnonce\n\nweb-1\nkey\nshop/production\nblog/staging',
  )
  t.end()
})

void t.test('no two enrolments or upgrades have one text', (t) => {
  const texts = [
    ...Object.keys(enrolment)
      .filter((key) => key !== 'apps')
      .map((key) => enrolmentBytes({ ...enrolment, [key]: 'other' })),
    enrolmentBytes({ ...enrolment, apps: enrolment.apps.slice(1) }),
    enrolmentBytes({ ...enrolment, apps: enrolment.apps.toReversed() }),
    enrolmentBytes(enrolment),
    ...Object.keys(upgrade).map((key) => upgradeBytes({ ...upgrade, [key]: 'other' })),
    upgradeBytes(upgrade),
  ]
  t.equal(new Set(texts.map(String)).size, texts.length)
  t.equal(texts.length, 15)
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
    good.replace(/client=\w+,/, ''),
    good.replace(/client=\w+/, 'client='),
    `${good}\n`,
  ]
  for (const header of bad) t.equal(parseUpgradeAuthorization(header), null, header ?? 'none')
  t.end()
})
