// The descriptor: strict, every mistake at once with what to write, and one judgement of a host.

import fc from 'fast-check'
import t from 'tap'
import { descriptorText, parseCommandRequirement, parseDescriptor } from '#shared/descriptor.ts'
import { LockstepError } from '#shared/errors.ts'
import { type HostFacts, misfitsOf } from '#shared/fit.ts'
import { limits } from '#shared/limits.ts'
import { parseConstraint, satisfies } from '#shared/version-constraint.ts'

const host: HostFacts = {
  os: 'linux',
  arch: 'x64',
  libc: { name: 'glibc', version: '2.36' },
  commands: new Map([
    ['php', { kind: 'found', version: '8.2.14' }],
    ['ruby', { kind: 'missing' }],
    ['java', { kind: 'silent', why: 'gave no answer within 10 s' }],
    ['blender', { kind: 'unknown' }],
  ]),
}

function refusalOf(text: string): string {
  try {
    parseDescriptor(text)
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'bad-descriptor') return error.message
    throw error
  }
  return ''
}

void t.test('a constraint compares as many numbers as it has', async (t) => {
  const holds: [constraint: string, fits: string, fitsNot: string][] = [
    ['>= 8.2', '8.2 8.2.0 8.2.14 8.10 9 8.3.0RC1 8.2rc1', '8.1.99 8 7.9.9'],
    ['>8.2', '8.3.0 9', '8.2 8.2.14 8.1'],
    ['<= 8.2', '8.2.14 8.1 7', '8.3.0 9'],
    ['< 9', '8.99.99 8', '9 9.0.1 10'],
    ['= 8.2', '8.2 8.2.14', '8.20 8.1 8'],
    ['= 1.8.0', '1.8.0 1.8.0_392', '1.8.1 1.8.10'],
    ['>= 8.2, < 9', '8.2 8.9.9', '8.1 9.0'],
    ['*', '0 99.1', ''],
  ]
  for (const [text, fits, fitsNot] of holds) {
    const constraint = parseConstraint(text)
    if (constraint === null) throw new Error(`${text} is a constraint`)
    for (const version of fits.split(' '))
      t.ok(satisfies(version, constraint), `${version} ${text}`)
    for (const version of fitsNot.split(' ').filter(Boolean)) {
      t.notOk(satisfies(version, constraint), `${version} not ${text}`)
    }
  }
  for (const text of [
    '',
    '8.2',
    '~> 8.2',
    '^8',
    '!= 8',
    '>= 8.x',
    '>= 8,',
    '>= v8',
    '>= 1.2.3.4.5',
  ]) {
    t.equal(parseConstraint(text), null, text)
  }
  t.equal(parseConstraint(' >=8.2 ,<9')?.text, '>= 8.2, < 9')
})

void t.test('every version is below, at or above every other, and never two of them', async () => {
  const version = fc
    .array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 4 })
    .map((numbers) => numbers.join('.'))
  fc.assert(
    fc.property(version, version, (one, other) => {
      const truths = ['<', '=', '>'].filter((operator) => {
        const constraint = parseConstraint(`${operator} ${other}`)
        return constraint !== null && satisfies(one, constraint)
      })
      return truths.length === 1
    }),
  )
})

void t.test('a descriptor is read, and has one canonical text', async (t) => {
  const requires = parseDescriptor(
    '{"requires":{"commands":{"php":">=8.2","git":"*"},"libc":["glibc >=2.31"],"arch":["x64","arm64"],"os":["linux"]}}',
  )
  t.same(requires, {
    os: ['linux'],
    arch: ['x64', 'arm64'],
    libc: ['glibc >= 2.31'],
    commands: { php: '>= 8.2', git: '*' },
  })
  const text = descriptorText(requires)
  t.equal(
    text,
    '{"requires":{"arch":["x64","arm64"],"commands":{"git":"*","php":">= 8.2"},"libc":["glibc >= 2.31"],"os":["linux"]}}\n',
  )
  t.same(parseDescriptor(text), requires)
  const nothing = parseDescriptor('{}')
  t.same(nothing, { os: [], arch: [], libc: [], commands: {} })
  t.equal(descriptorText(nothing), '{"requires":{}}\n')
})

void t.test('what is wrong is named with its place and what to write, all of it', async (t) => {
  t.equal(
    refusalOf(
      '{"require":1,"requires":{"os":["Linux"],"arch":["amd64"],"libc":["bionic"],"commands":{"php":"8.2","/bin/sh":"*"},"ram":1}}',
    ),
    [
      'lockstep.json: "require" is no known member; write only requires here',
      '  requires."ram" is no known member; write only os, arch, libc, commands here',
      '  requires.os[0] is "Linux"; write "linux"',
      '  requires.arch[0] is "amd64"; write "x64"',
      '  requires.libc[0] is "bionic"; write "glibc", "musl" or such as "glibc >= 2.31"',
      '  requires.commands."php" is "8.2"; write numbers after >=, >, <=, < or =, such as ">= 8.2" or ">= 8.2, < 9", or "*"',
      '  requires.commands."/bin/sh" is no name of a command; write a name such as "php", no path',
    ].join('\n'),
  )
  const many = Array.from({ length: limits.descriptorItemsMax + 1 }, (_, at) => `"c${at}":"*"`)
  const refusals: [text: string, message: RegExp][] = [
    ['', /is no JSON/],
    ['[]', /the file is \[\]; write an object/],
    ['null', /the file is null/],
    ['{"requires":[]}', /requires is \[\]/],
    ['{"requires":{"os":"linux"}}', /requires\.os is "linux"; write a list/],
    ['{"requires":{"os":[]}}', /requires\.os is \[\].*or leave it out/],
    ['{"requires":{"os":[1]}}', /requires\.os\[0\] is 1; write a text/],
    ['{"requires":{"libc":["glibc 2.31"]}}', /libc\[0\] is "glibc 2.31"/],
    ['{"requires":{"commands":[]}}', /commands is \[\]; write an object/],
    [`{"requires":{"commands":{${many.join()}}}}`, /names 33 commands; write at most 32/],
    ['{"requires":{"commands":{"__proto__":"*"}}}', /is no name of a command/],
    [`{"requires":{"os":["${'x'.repeat(500)}"]}}`, /x…; write one of aix/],
    [' '.repeat(limits.descriptorBytesMax + 1), /is over 65536 bytes/],
  ]
  for (const [text, message] of refusals) t.match(refusalOf(text), message)
})

void t.test('a command and its constraint in one text', async (t) => {
  t.same(parseCommandRequirement('php >= 8.2'), { name: 'php', constraint: '>= 8.2' })
  t.same(parseCommandRequirement('php>=8.2,<9'), { name: 'php', constraint: '>= 8.2, < 9' })
  t.same(parseCommandRequirement('git'), { name: 'git', constraint: '*' })
  for (const text of ['', '>= 8', 'php 8', 'a/b', 'php >= x']) {
    t.equal(parseCommandRequirement(text), null, text)
  }
})

void t.test('a host that fits lacks nothing, another one all that it lacks', async (t) => {
  const fitting =
    '{"requires":{"os":["linux"],"libc":["musl","glibc >= 2.31"],"commands":{"php":"= 8.2"}}}'
  t.same(misfitsOf(parseDescriptor(fitting), host), [])
  const lacking = parseDescriptor(
    '{"requires":{"os":["darwin"],"arch":["arm64","ppc64"],"libc":["glibc >= 2.38"],"commands":{"php":">= 8.3","ruby":"*","java":">= 17","blender":"> 3"}}}',
  )
  t.same(
    misfitsOf(lacking, host).map((misfit) => [misfit.requires, misfit.host, misfit.unknownCommand]),
    [
      ['os darwin', 'is linux', null],
      ['arch arm64 or ppc64', 'is x64', null],
      ['libc glibc >= 2.38', 'has glibc 2.36', null],
      ['php >= 8.3', 'has php 8.2.14', null],
      ['ruby', 'has no ruby', null],
      ['java >= 17', 'has java, which gave no answer within 10 s', null],
      ['blender > 3', 'does not know how to ask blender for its version', 'blender'],
    ],
  )
  const musl = parseDescriptor('{"requires":{"libc":["musl"]}}')
  t.match(misfitsOf(musl, { ...host, libc: null }), [{ host: 'has none that is known' }])
  const unsaid = { ...host, libc: { name: 'musl', version: null } }
  t.same(misfitsOf(musl, unsaid), [])
  const versioned = parseDescriptor('{"requires":{"libc":["musl >= 1.2"]}}')
  t.match(misfitsOf(versioned, unsaid), [{ host: 'has musl' }])
})
