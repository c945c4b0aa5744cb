// No message carries an address, a path or a command: every member of every schema that crosses the
// wire is walked, and each text among them has to refuse all of these, or be named here as words for
// people that no program acts on.

import t from 'tap'
import { type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import { ChallengeAnswer, EnrolAnswer, EnrolBody } from '#shared/api/enrolment.ts'
import { downSchemas, upSchemas } from '#shared/wire/messages.ts'

/** What an agent or a controller could be made to fetch, open or run. */
const payloads = [
  'http://evil.example/x',
  'https://evil.example',
  '//evil.example/x',
  'file:///etc/shadow',
  'ws://evil.example',
  'data:text/plain,x',
  '/etc/passwd',
  '../../etc/passwd',
  './run',
  'C:\\Windows',
  'rm -rf /',
  'sh -c id',
  '$(id)',
  '`id`',
  'a;id',
  'a|id',
  'a&&id',
  'a\nid',
  'a b',
  '--upload-pack=id',
  '-oProxyCommand=id',
]

/** Words that are shown or logged, and the agent's own hook output: nothing reads them. */
const forPeople = [
  'hello.agentVersion',
  'observed.failure.message',
  'observed.failure.hint',
  'observed.once.message',
  'observed.trust.note',
  'log.text',
  'refused.message',
  'refused.hint',
]

interface Node {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly additionalProperties?: unknown
  readonly properties?: Readonly<Record<string, Node>>
  readonly patternProperties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly anyOf?: readonly Node[]
}

interface Leaf {
  readonly path: string
  readonly schema: Node
}

function* leavesOf(path: string, schema: Node): Generator<Leaf> {
  if (schema.anyOf !== undefined) {
    for (const one of schema.anyOf) yield* leavesOf(path, one)
  } else if (schema.type === 'array') {
    yield* leavesOf(`${path}[]`, schema.items ?? {})
  } else if (schema.type === 'object') {
    for (const [name, one] of Object.entries(schema.properties ?? {}))
      yield* leavesOf(`${path}.${name}`, one)
    for (const [pattern, one] of Object.entries(schema.patternProperties ?? {})) {
      yield { path: `${path} (names)`, schema: Type.String({ pattern }) }
      yield* leavesOf(`${path}.*`, one)
    }
  } else yield { path, schema }
}

function isHarmless({ schema }: Leaf): boolean {
  if (['number', 'integer', 'boolean', 'null'].includes(schema.type ?? '')) return true
  if (schema.const !== undefined || schema.enum !== undefined) return true
  return payloads.every((payload) => !Value.Check(schema as TSchema, payload))
}

function walk(schemas: Readonly<Record<string, Node>>): Leaf[] {
  return Object.entries(schemas).flatMap(([name, schema]) => [...leavesOf(name, schema)])
}

void t.test('no member of a message can hold an address, a path or a command', async (t) => {
  const leaves = walk({ ...upSchemas, ...downSchemas })
  const open = leaves.filter((leaf) => !isHarmless(leaf)).map(({ path }) => path)
  t.same(new Set(open), new Set(forPeople))
  t.ok(leaves.length > 60)
  t.comment(`${leaves.length} members of ${payloads.length} payloads`)
})

void t.test('what the agent is answered over HTTP before a session cannot either', async (t) => {
  const leaves = walk({ challenge: ChallengeAnswer, enrolled: EnrolAnswer, enrol: EnrolBody })
  const open = leaves.filter((leaf) => !isHarmless(leaf)).map(({ path }) => path)
  // The controller looks the token up by its parts, and refuses what has none.
  t.same(open, ['enrol.token'])
})

void t.test('a member that no schema names is refused at every level', async (t) => {
  const open: string[] = []
  const look = (path: string, node: Node): void => {
    if (node.type === 'object' && node.additionalProperties !== false) open.push(path)
    for (const one of node.anyOf ?? []) look(path, one)
    if (node.items !== undefined) look(`${path}[]`, node.items)
    const members = { ...node.properties, ...node.patternProperties }
    for (const [name, one] of Object.entries(members)) look(`${path}.${name}`, one)
  }
  for (const [name, schema] of Object.entries({ ...upSchemas, ...downSchemas })) look(name, schema)
  t.same(open, [])
})

void t.test('the walk finds an address where there is one', async (t) => {
  const bad = Type.Object({ deep: Type.Array(Type.Object({ mirror: Type.String() })) })
  t.same(
    walk({ bad })
      .filter((leaf) => !isHarmless(leaf))
      .map(({ path }) => path),
    ['bad.deep[].mirror'],
  )
})
