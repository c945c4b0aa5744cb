// A corpus of bad statements, envelopes and trust files. Each differs from a good one in the one
// thing that its name says, and none is taken.

import t from 'tap'
import { limits } from '#shared/limits.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseEnvelope } from '#shared/trust/envelope.ts'
import { parseStatement } from '#shared/trust/statement.ts'
import { parseTrustPolicy, verifyRelease } from '#shared/trust/trust-policy.ts'
import {
  ann,
  bytesOf,
  ci,
  envelopeOf,
  mallory,
  now,
  signedStatement,
  statement,
  textOf,
  trustFile,
} from './signing.ts'

const bytesOrText = (content: string | Buffer): Buffer => Buffer.from(content)
const policy = parseTrustPolicy(bytesOf(trustFile))
const good = JSON.stringify(statement)
const goodEnvelope = signedStatement(statement, ci, ann).toString()
const goodTrust = JSON.stringify(trustFile)

function refusalOf(act: () => unknown, code: string): string {
  try {
    act()
  } catch (error) {
    if (error instanceof LockstepError && error.code === code) return error.message
    throw error
  }
  return ''
}

/** The texts that stand for no value, or for two. */
function badTexts(text: string, member: string): (string | Buffer)[] {
  const [first = ''] = new RegExp(`"${member}":[^,{[]*`).exec(text) ?? []
  return [
    '',
    ' ',
    'null',
    'true',
    '1',
    '"text"',
    '[]',
    '{}',
    `[${text}]`,
    `${text}${text}`,
    `${text},`,
    `${text}x`,
    `\uFEFF${text}`,
    text.slice(0, -1),
    text.slice(1),
    text.replaceAll('"', "'"),
    text.replace('{', '{,'),
    text.replace('{', '{/* comment */'),
    text.replace('{', `{${first},`),
    text.replace('{', `{"${`\\u00${member.charCodeAt(0).toString(16)}`}${member.slice(1)}":1,`),
    text.replace('{', '{"unknown":1,'),
    text.replace('{', '{"__proto__":{},'),
    text.replace('{', '{"constructor":1,'),
    text.replace('{', '{"":1,'),
    text.replace(`"${member}"`, `"${member.toUpperCase()}"`),
    text.replace(`"${member}"`, `"${member} "`),
    Buffer.concat([Buffer.from(text), Buffer.from([0])]),
    Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from(',"x":"\xff"}', 'latin1')]),
    Buffer.from(text, 'utf16le'),
    text.replace(/}$/, `${' '.repeat(limits.envelopeBytesMax)}}`),
  ]
}

const days = [
  '2026-12-31',
  '2026-12-31T00:00:00',
  '2026-12-31T00:00:00+00:00',
  '2026-12-31T00:00:00z',
  '2026-12-31 00:00:00Z',
  '2026-12-31T24:00:00Z',
  '2026-12-31T23:60:00Z',
  '2026-12-31T23:59:60Z',
  '2026-02-29T00:00:00Z',
  '2026-04-31T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-00-01T00:00:00Z',
  '2026-01-00T00:00:00Z',
  '2026-12-31T00:00:00.1Z',
  '2026-12-31T00:00:00.0000Z',
  '+02026-12-31T00:00:00Z',
  '0026-12-31T00:00:00Z',
  '1999-12-31T00:00:00Z',
  ' 2026-12-31T00:00:00Z',
  '2026-12-31T00:00:00Z\n',
  'tomorrow',
  '',
]

const badMembers: Readonly<Record<string, readonly unknown[]>> = {
  statement: [0, 2, '1', true, null],
  app: ['', 'Shop', 'shop/..', 'shop\n', '-shop', 'x'.repeat(64), 7, null, ['shop']],
  version: ['', '..', '1..2', '1/2', '-1', 'x'.repeat(65), '1.4.0\n', 1.4, 14, null],
  sequence: [0, -1, 1.5, 2 ** 53, 1e21, '17', null, true, [17]],
  tree: ['', 'x', statement.tree.toUpperCase(), `${statement.tree}0`, statement.tree.slice(1), 5],
  artifact: [
    null,
    'x',
    {},
    [],
    { sha256: statement.tree },
    { bytes: 1 },
    { sha256: statement.tree, bytes: 0 },
    { sha256: statement.tree, bytes: -1 },
    { sha256: statement.tree, bytes: '1' },
    { sha256: statement.tree, bytes: limits.artifactBytesMax + 1 },
    { sha256: 'x', bytes: 1 },
    { sha256: statement.tree, bytes: 1, sha1: 'x' },
  ],
  environments: [
    [],
    null,
    'production',
    {},
    ['*'],
    [''],
    ['Production'],
    ['production', 'production'],
    [7],
    [['production']],
    Array.from({ length: limits.statementEnvironmentsMax + 1 }, (_, at) => `e${at}`),
  ],
  expires: [...days, 0, 1_767_139_200, false, [], {}],
  floor: [0, -1, 1.5, 18, '12', null, 2 ** 53],
}

void t.test('no bad statement is taken, even when it is signed', async (t) => {
  t.equal(parseStatement(bytesOf(good)).sequence, 17)
  const spelled = [
    good.replace('17', '17.0'),
    good.replace('17', '1.7e1'),
    good.replace('17', '017'),
    good.replace('17', '+17'),
    good.replace('17', '-0'),
    good.replace('17', '16.99999999999999999999'),
    good.replace('17', '9007199254740993'),
    good.replace('"bytes":4096', '"bytes":4096,"bytes":1'),
    good.replace('"bytes":4096', '"bytes":4096,"\\u0062ytes":1'),
    good.replace('shop', 'shop\\u0000'),
    good.replace('shop', 'sh\\ud800op'),
  ]
  const values = Object.entries(badMembers).flatMap(([member, bad]) =>
    bad.map((value) => JSON.stringify({ ...statement, [member]: value })),
  )
  const missing = Object.keys(statement)
    .filter((member) => member !== 'floor')
    .map((member) => JSON.stringify({ ...statement, [member]: undefined }))
  const all = [...badTexts(good, 'app'), ...spelled, ...values, ...missing].map(bytesOrText)
  const { app, version, tree } = statement
  const question = { policy, app, environment: 'production', release: { version, tree }, at: now }
  for (const [at, bytes] of all.entries()) {
    const name = `${at}: ${bytes.toString('utf8').slice(0, 60)}`
    t.not(
      refusalOf(() => parseStatement(bytes), 'bad-envelope'),
      '',
      name,
    )
    const verdict = verifyRelease({ ...question, envelope: signedBytes(bytes) })
    t.match(verdict, { outcome: 'refused', reason: 'malformed' }, name)
  }
  t.ok(all.length >= 130, `${all.length}`)
  t.comment(`${all.length} bad statements, none taken`)
})

/** Signed as it is, so that nothing but its form can be why it is refused. */
function signedBytes(payload: Buffer): Buffer {
  return textOf(envelopeOf(payload, [ci, ann]))
}

void t.test('no bad envelope is taken', async (t) => {
  t.equal(parseEnvelope(bytesOf(goodEnvelope)).signatures.length, 2)
  const envelope = JSON.parse(goodEnvelope)
  const [first, second] = envelope.signatures
  const withFirst = (more: object): object => ({
    ...envelope,
    signatures: [{ ...first, ...more }, second],
  })
  const sig: string = first.sig
  const keyid: string = first.keyid
  const payload: string = envelope.payload
  const values: object[] = [
    ...[1, null, {}, 'x'.repeat(129), ''].map((payloadType) => ({ ...envelope, payloadType })),
    ...[
      '',
      1,
      null,
      {},
      [payload],
      ` ${payload}`,
      `${payload}\n`,
      `${payload}=`,
      '====',
      'A',
      payload.slice(0, -2),
      `${payload.slice(0, 8)}\n${payload.slice(8)}`,
      `${payload}*`,
      `${payload.replaceAll('=', '')}`.slice(0, -1),
    ].map((bad) => ({ ...envelope, payload: bad })),
    ...[[], null, {}, 'x', [null], ['x'], [[]], [{}], first].map((signatures) => ({
      ...envelope,
      signatures,
    })),
    { ...envelope, signatures: Array.from({ length: 17 }, () => first) },
    ...[
      '',
      1,
      null,
      {},
      ` ${sig}`,
      `${sig}=`,
      sig.slice(0, -1),
      sig.replaceAll('=', ''),
      '*',
      Buffer.from(sig, 'base64').toString('base64url'),
      `${sig}${sig}`,
      'A'.repeat(4096),
    ].map((bad) => withFirst({ sig: bad })),
    ...[
      '',
      1,
      null,
      keyid.slice(7),
      keyid.slice(0, -1),
      `${keyid}=`,
      `${keyid}A`,
      keyid.toLowerCase(),
      `MD5:${keyid.slice(7)}`,
      'ci',
      `${keyid}\n`,
    ].map((bad) => withFirst({ keyid: bad })),
    withFirst({ cert: 'x' }),
    withFirst({ sig: undefined }),
    withFirst({ keyid: undefined }),
    { ...envelope, payloadType: undefined },
    { ...envelope, payload: undefined },
    { ...envelope, signatures: undefined },
  ]
  const texts = [
    ...badTexts(goodEnvelope, 'payloadType'),
    goodEnvelope.replace('"keyid"', '"keyid":"x","keyid"'),
    goodEnvelope.replace('"sig"', '"sig":"x","s\\u0069g"'),
  ]
  const all = [...texts.map(bytesOrText), ...values.map(bytesOf)]
  for (const [at, bytes] of all.entries()) {
    const verdict = verifyRelease({
      envelope: bytes,
      policy,
      app: 'shop',
      environment: 'production',
      release: statement,
      at: now,
    })
    t.equal(verdict.outcome, 'refused', `${at}: ${bytes.toString('utf8').slice(0, 60)}`)
  }
  t.ok(all.length >= 80, `${all.length}`)
  t.comment(`${all.length} bad envelopes, none taken`)
})

void t.test('no bad trust file is taken, and each says why', async (t) => {
  t.equal(policy.version, 3)
  const { keys, environments } = trustFile
  const production = environments.production
  const withRule = (more: object): object => ({
    ...trustFile,
    environments: { ...environments, production: { ...production, ...more } },
  })
  const withKey = (more: object): object => ({
    ...trustFile,
    keys: { ...keys, ci: { ...keys.ci, ...more } },
  })
  const crowd = Array.from({ length: limits.trustKeysMax + 1 }, (_, at) => [`k${at}`, keys.ci])
  const bad: [value: object, says: RegExp][] = [
    ...[0, 2, '1', null].map((trust): [object, RegExp] => [{ ...trustFile, trust }, /\/trust/]),
    ...[0, -1, 1.5, '3', null, 2 ** 53].map((version): [object, RegExp] => [
      { ...trustFile, version },
      /\/version|not written as a whole/,
    ]),
    ...[null, [], 'x', { 'Ci': keys.ci }, { '': keys.ci }, { ci: 'x' }, { ci: {} }].map(
      (value): [object, RegExp] => [{ ...trustFile, keys: value }, /\/keys/],
    ),
    [{ ...trustFile, keys: Object.fromEntries(crowd) }, /\/keys/],
    [
      { ...trustFile, keys: { ...keys, robot: { key: ci.line } } },
      /one key twice: "ci" and "robot"/,
    ],
    [{ ...trustFile, keys: { ...keys, ci: { key: ann.line } } }, /one key twice/],
    [{ ...trustFile, keys: {} }, /no key "ci"/],
    [withKey({ key: '' }), /bad key "ci"/],
    [withKey({ key: mallory.line.replace('ssh-ed25519', 'ssh-rsa') }), /bad key "ci"/],
    [withKey({ key: `${ci.line}\n${ann.line}` }), /bad key "ci"/],
    [withKey({ key: 5 }), /\/keys\/ci\/key/],
    [withKey({ comment: 'x' }), /"comment"/],
    ...days.map((notBefore): [object, RegExp] => [
      withKey({ notBefore }),
      /no instant as notBefore|\/notBefore/,
    ]),
    [withKey({ notAfter: 'never' }), /no instant as notAfter/],
    [withKey({ notAfter: null }), /\/keys\/ci\/notAfter/],
    [
      withKey({ notBefore: '2026-01-01T00:00:00Z', notAfter: '2026-01-01T00:00:00Z' }),
      /count at no time/,
    ],
    ...[0, -1, 0.5, '2', null, true, 65].map((threshold): [object, RegExp] => [
      withRule({ threshold }),
      /threshold|not written as a whole/,
    ]),
    [
      withRule({ threshold: 4 }),
      /asks for 4 signatures of 3 keys for the environment "production"/,
    ],
    [withRule({ threshold: undefined }), /gives no threshold/],
    [withRule({ keys: undefined }), /asks for 2 signatures of 0 keys/],
    [withRule({ keys: undefined, threshold: undefined }), /gives no threshold/],
    [withRule({ keys: [] }), /\/keys/],
    [withRule({ keys: 'ci' }), /\/keys/],
    [withRule({ keys: ['ci', 'ci'] }), /lists a key twice/],
    [withRule({ keys: ['ci', 'eve'] }), /no key "eve"/],
    [withRule({ keys: ['ci', 'constructor'] }), /no key "constructor"/],
    [withRule({ policy: undefined }), /policy/],
    [withRule({ policy: 'Require' }), /policy/],
    [withRule({ policy: 'ignore' }), /policy/],
    [withRule({ policy: null }), /policy/],
    [withRule({ apps: ['shop'] }), /"apps"/],
    ...[null, [], 'x', {}].map((value): [object, RegExp] => [
      { ...trustFile, environments: value },
      /\/environments/,
    ]),
    ...['**', 'Production', 'prod*', '', ' '].map((name): [object, RegExp] => [
      { ...trustFile, environments: { [name]: production } },
      /\/environments/,
    ]),
    [{ ...trustFile, environments: { dev: { policy: 'off', threshold: 0 } } }, /threshold/],
    [{ ...trustFile, environments: { dev: { policy: 'off', keys: ['eve'] } } }, /no key "eve"/],
  ]
  for (const [value, says] of bad) {
    const text = JSON.stringify(value)
    const message = refusalOf(() => parseTrustPolicy(bytesOf(text)), 'bad-trust-file')
    t.match(message, says, text.slice(-80))
    t.match(message, /^the trust file /)
  }
  const texts = [
    ...badTexts(goodTrust, 'version'),
    goodTrust.replace('"ann":', `"ci":{"key":"${mallory.line}"},"ann":`),
    goodTrust.replace('"policy":"require"', '"policy":"require","policy":"off"'),
    goodTrust.replace('"staging":', '"production":'),
  ]
  for (const [at, text] of texts.entries()) {
    const message = refusalOf(() => parseTrustPolicy(bytesOrText(text)), 'bad-trust-file')
    t.not(message, '', `${at}: ${text.toString().slice(0, 60)}`)
  }
  t.ok(bad.length + texts.length >= 100, `${bad.length + texts.length}`)
  t.comment(`${bad.length + texts.length} bad trust files, none taken`)
})

void t.test('a message names what it found', async (t) => {
  const messageOf = (text: string): string =>
    refusalOf(() => parseTrustPolicy(bytesOf(text)), 'bad-trust-file')
  t.match(messageOf(goodTrust.replace('"staging"', '"production"')), /member "production" twice/)
  t.match(messageOf(goodTrust.replace('{', '{"extra":1,')), /\["extra"\]/)
  t.match(messageOf('{'), /is no JSON/)
  const latin1 = Buffer.from(goodTrust.replace('somebody', 'J\xfcrg'), 'latin1')
  t.match(
    refusalOf(() => parseTrustPolicy(latin1), 'bad-trust-file'),
    /is not UTF-8/,
    'a comment that two readers would read differently',
  )
  t.match(messageOf(' '.repeat(limits.trustFileBytesMax + 1)), /over 65536 bytes/)
})
