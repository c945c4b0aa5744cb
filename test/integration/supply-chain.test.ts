// What of others gets into the project: exact versions, each with its hash, from no address of its own,
// running nothing when it is installed. And that the bills of materials say the same, part by part.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { billOfMaterials } from '../../scripts/sbom/bill-of-materials.ts'
import { type LockedPackages, publishedName, readLockfile } from '../../scripts/sbom/lockfile.ts'
import { billOfPart, entriesOfParts, partNames } from '../../scripts/sbom/parts.ts'
import { programImports } from '../../scripts/sbom/program-imports.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const about = JSON.parse(read('package.json'))
const packages = readLockfile(join(root, 'package-lock.json'))
const entries = Object.entries(packages).filter(([path]) => path !== '')

const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'] as const

void t.test('package.json names exact versions and lets nothing run', async (t) => {
  const wanted = kinds.flatMap((kind) => Object.entries<string>(about[kind]))
  for (const [name, version] of wanted) {
    t.match(version, /^(?:npm:(?:@[\w-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+$/, name)
  }
  t.same(
    Object.values(about.allowScripts).filter((allowed) => allowed !== false),
    [],
    'no package may run a script',
  )
  t.match(read('.npmrc'), /^ignore-scripts=true$/m, 'nor may all of them')
  t.match(read('.npmrc'), /^omit-lockfile-registry-resolved=true$/m)
  t.comment(`${wanted.length} packages named, all exactly`)
})

void t.test('the lockfile has a hash of everything, and no address', async (t) => {
  for (const kind of kinds) {
    for (const [name, version] of Object.entries<string>(about[kind])) {
      t.equal(packages[`node_modules/${name}`]?.version, version.replace(/^npm:.*@/, ''), name)
    }
  }
  const bare = entries.filter(([, { integrity }]) => integrity === undefined)
  for (const [path, { integrity }] of entries) {
    if (integrity !== undefined) t.match(integrity, /^sha512-[A-Za-z0-9+/]{86}==$/, path)
  }
  // scripts/complete-lockfile.cjs: the development tools of platforms that nobody here could fetch.
  t.same(
    bare.filter(([, locked]) => locked.dev !== true || locked.optional !== true),
    [],
    'what has no hash is a development tool of another platform',
  )
  const text = read('package-lock.json')
  t.notMatch(text, /"resolved"/, 'it says nowhere where a package is')
  t.notMatch(text, /"hasInstallScript"/, 'no package runs anything when it is installed')
  t.notMatch(text, /git\+|file:|\.tgz/, 'all of them come from a registry')
  t.comment(
    `${entries.length} packages locked, ${entries.length - bare.length} with SHA-512, ` +
      `${bare.length} of other platforms without, all for development`,
  )
})

const License = Type.Object(
  { license: Type.Object({ id: Type.String({ pattern: '^[A-Za-z0-9.-]+$' }) }) },
  { additionalProperties: false },
)
const ref = Type.String({ pattern: String.raw`^(?:@[a-z0-9-]+/)?[a-z0-9._-]+@\d+\.\d+\.\d+$` })
const Application = Type.Object(
  {
    'type': Type.Literal('application'),
    'bom-ref': ref,
    'name': Type.String(),
    'version': Type.String(),
    'licenses': Type.Array(License, { minItems: 1 }),
  },
  { additionalProperties: false },
)
const Component = Type.Object(
  {
    'type': Type.Union([Type.Literal('library'), Type.Literal('platform')]),
    'bom-ref': ref,
    'name': Type.String({ minLength: 1 }),
    'version': Type.String({ pattern: String.raw`^\d+\.\d+\.\d+$` }),
    'scope': Type.Union([Type.Literal('required'), Type.Literal('optional')]),
    'hashes': Type.Array(
      Type.Object(
        { alg: Type.Literal('SHA-512'), content: Type.String({ pattern: '^[0-9a-f]{128}$' }) },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 1 },
    ),
    'licenses': Type.Optional(Type.Array(License, { minItems: 1 })),
    'purl': Type.String({ pattern: String.raw`^pkg:npm/(?:%40[a-z0-9-]+/)?[a-z0-9._-]+@[\d.]+$` }),
  },
  { additionalProperties: false },
)
/** What CycloneDX 1.6 allows, as far as we use it. */
const Bill = Type.Object(
  {
    bomFormat: Type.Literal('CycloneDX'),
    specVersion: Type.Literal('1.6'),
    serialNumber: Type.String({
      pattern: '^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
    }),
    version: Type.Literal(1),
    metadata: Type.Object({ component: Application }, { additionalProperties: false }),
    components: Type.Array(Component),
    dependencies: Type.Array(
      Type.Object({ ref, dependsOn: Type.Array(ref) }, { additionalProperties: false }),
    ),
  },
  { additionalProperties: false },
)
const shape = Compile(Bill)

void t.test('every bill of materials has the shape of one, and knows what it refers to', (t) => {
  for (const name of partNames) {
    const bill = billOfPart(name)
    t.same([...shape.Errors(bill)], [], name)
    const refs = bill.components.map((component) => component['bom-ref'])
    t.equal(new Set(refs).size, refs.length, 'each is named once')
    const own = bill.metadata.component['bom-ref']
    t.same(bill.dependencies.map((node) => node.ref).toSorted(), [own, ...refs].toSorted())
    const needed = new Set(bill.dependencies.flatMap(({ dependsOn }) => dependsOn))
    t.same([...needed].toSorted(), refs, 'everything is there because something needs it')
    t.notMatch(JSON.stringify(bill), /:\/\//, 'no address')
    t.same(billOfPart(name), bill, 'the same again')
    t.comment(`${name}: ${refs.length} components`)
  }
  t.end()
})

/** By the packages that are really installed, and not by the lockfile. */
function installedClosure(names: readonly string[]): string[] {
  const found = new Map<string, string>()
  const waiting = names.map((name) => ({ name, from: '' }))
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const path = installedPath(next.from, next.name)
    if (path === null || found.has(path)) continue
    const installed = JSON.parse(read(`${path}/package.json`))
    found.set(path, `${installed.name}@${installed.version}`)
    for (const name of Object.keys(installed.dependencies ?? {})) waiting.push({ name, from: path })
  }
  return [...new Set(found.values())].toSorted()
}

function installedPath(from: string, name: string): string | null {
  const levels = from.split(/(?<=.)\/(?=node_modules\/)/)
  const places = levels.map((_, at) => levels.slice(0, levels.length - at).join('/'))
  for (const place of [...places, '']) {
    const path = `${place === '' ? '' : `${place}/`}node_modules/${name}`
    if (packages[path] !== undefined) return path
  }
  return null
}

void t.test('the bills of materials equal the lockfile and what is installed', async (t) => {
  const runtimes = Object.keys(about.optionalDependencies)
  const listed = new Map<string, string>()
  for (const name of partNames) {
    const { packages: imported } = programImports(root, entriesOfParts[name])
    const { components } = billOfPart(name)
    const libraries = components.filter(({ type }) => type === 'library')
    t.same(libraries.map((one) => one['bom-ref']).toSorted(), installedClosure(imported), name)
    t.same(
      components.filter(({ type }) => type === 'platform').map((one) => one.name),
      runtimes,
      `${name} runs on the Node that is locked`,
    )
    for (const { hashes = [], ...one } of components) {
      const [{ content } = { content: '' }] = hashes
      listed.set(one['bom-ref'], `sha512-${Buffer.from(content, 'hex').toString('base64')}`)
    }
  }
  const locked = entries
    .filter(([, { dev }]) => dev !== true)
    .map(([path, one]) => [`${publishedName(path, one)}@${one.version}`, one.integrity ?? ''])
  const all = Object.fromEntries(locked)
  t.same(Object.fromEntries(listed), all, 'together they are all that is locked for production')
  t.comment(`${listed.size} packages in ${partNames.length} bills, ${locked.length} locked`)
})

void t.test('what is not locked with its hash gets no bill', async (t) => {
  const part = { name: 'x', version: '1.0.0', license: 'MIT', imports: ['a'], runtimes: [] }
  const integrity = `sha512-${'A'.repeat(86)}==`
  const a = { version: '1.0.0', integrity, dependencies: { b: '^2.0.0' } }
  const whole: LockedPackages = {
    'node_modules/a': a,
    'node_modules/a/node_modules/b': { version: '2.0.0', integrity },
    'node_modules/b': { version: '1.0.0', integrity },
  }
  const bill = billOfMaterials(whole, part)
  t.same(
    bill.components.map((one) => one['bom-ref']),
    ['a@1.0.0', 'b@2.0.0'],
    'the nearer one is used',
  )
  const other = billOfMaterials({ ...whole, 'node_modules/a': { ...a, version: '1.0.1' } }, part)
  t.not(other.serialNumber, bill.serialNumber, 'another content has another number')
  const wrong: readonly (readonly [LockedPackages, RegExp])[] = [
    [{}, /not locked/],
    [{ 'node_modules/a': a }, /needs b, which is not locked/],
    [{ 'node_modules/a': { version: '1.0.0' } }, /without a hash/],
    [{ 'node_modules/a': { version: '1.0.0', integrity: 'sha1-AAAA' } }, /no SHA-512/],
  ]
  for (const [locked, message] of wrong) t.throws(() => billOfMaterials(locked, part), { message })
})
