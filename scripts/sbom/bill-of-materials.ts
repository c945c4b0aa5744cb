// A bill of materials in the form of CycloneDX 1.6 (ECMA-424) for one part of the program: the packages
// that it runs on, with their versions and hashes from the lockfile. The same sources and lockfile give
// the same bytes: no time, no chance, no address.

import { createHash } from 'node:crypto'
import { type LockedPackages, folderOf, neededBy, publishedName } from './lockfile.ts'

export interface Part {
  /** `agent`, `cli` or `controller`. */
  readonly name: string
  readonly version: string
  readonly license: string
  /** Packages that the part's own files name. */
  readonly imports: readonly string[]
  /** Packages that hold Node itself, one for each platform. */
  readonly runtimes: readonly string[]
}

interface Hash {
  readonly alg: 'SHA-512'
  /** Hexadecimal. */
  readonly content: string
}

interface Component {
  readonly 'type': 'application' | 'library' | 'platform'
  readonly 'bom-ref': string
  readonly 'name': string
  readonly 'version': string
  readonly 'scope'?: 'required' | 'optional'
  readonly 'hashes'?: readonly Hash[]
  readonly 'licenses'?: readonly { readonly license: { readonly id: string } }[]
  readonly 'purl'?: string
}

export interface BillOfMaterials {
  readonly bomFormat: 'CycloneDX'
  readonly specVersion: '1.6'
  readonly serialNumber: string
  readonly version: 1
  readonly metadata: { readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

/** @throws when the part needs what is not locked, or not locked with a hash */
export function billOfMaterials(packages: LockedPackages, part: Part): BillOfMaterials {
  const first = part.imports.map((name) => lockedFolder(packages, name))
  const runtimes = part.runtimes.map((name) => lockedFolder(packages, name))
  const folders = closureOf(packages, [...first, ...runtimes])
  const refs = new Map(folders.map((folder) => [folder, refOf(packages, folder)]))
  const refsOf = (paths: readonly string[]) =>
    [...new Set(paths.map((path) => refs.get(path) ?? path))].toSorted()
  const component = {
    'type': 'application' as const,
    'bom-ref': `lockstep-${part.name}@${part.version}`,
    'name': `lockstep-${part.name}`,
    'version': part.version,
    'licenses': [{ license: { id: part.license } }],
  }
  const components = new Map(
    folders.map((folder) => [refs.get(folder), componentOf(packages, folder, runtimes)]),
  )
  const needs = new Map(folders.map((folder) => [refs.get(folder) ?? folder, folder]))
  const content = {
    version: 1 as const,
    metadata: { component },
    components: [...components.values()].toSorted(byRef),
    dependencies: [
      { ref: component['bom-ref'], dependsOn: refsOf([...first, ...runtimes]) },
      ...[...needs]
        .map(([ref, folder]) => ({ ref, dependsOn: refsOf(neededBy(packages, folder)) }))
        .toSorted((a, b) => (a.ref < b.ref ? -1 : 1)),
    ],
  }
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(content))}`
  return { bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber, ...content }
}

function lockedFolder(packages: LockedPackages, name: string): string {
  const folder = folderOf(packages, '', name)
  if (folder === null) throw new Error(`${name} is imported and not locked`)
  return folder
}

function closureOf(packages: LockedPackages, first: readonly string[]): string[] {
  const found = new Set<string>()
  const waiting = [...first]
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    if (found.has(folder)) continue
    found.add(folder)
    waiting.push(...neededBy(packages, folder))
  }
  return [...found].toSorted()
}

function componentOf(
  packages: LockedPackages,
  folder: string,
  runtimes: readonly string[],
): Component {
  const locked = packages[folder]
  const ref = refOf(packages, folder)
  if (locked?.integrity === undefined) throw new Error(`${ref} is locked without a hash`)
  const { version, license, optional } = locked
  return {
    'type': runtimes.includes(folder) ? 'platform' : 'library',
    'bom-ref': ref,
    'name': publishedName(folder, locked),
    version,
    'scope': optional === true ? 'optional' : 'required',
    'hashes': [hashOf(locked.integrity)],
    ...(license === undefined ? {} : { licenses: [{ license: { id: license } }] }),
    'purl': `pkg:npm/${ref.replace(/^@/, '%40')}`,
  }
}

function refOf(packages: LockedPackages, folder: string): string {
  const locked = packages[folder]
  if (locked === undefined) throw new Error(`${folder} is not locked`)
  return `${publishedName(folder, locked)}@${locked.version}`
}

/** @param integrity Subresource Integrity, of SHA-512 and no other */
function hashOf(integrity: string): Hash {
  const [, text = ''] = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(integrity) ?? []
  if (text === '') throw new Error(`${integrity} is no SHA-512`)
  return { alg: 'SHA-512', content: Buffer.from(text, 'base64').toString('hex') }
}

/** RFC 9562, version 8: of the content's own hash, so that another content has another number. */
function uuidOf(content: string): string {
  const hash = createHash('sha256').update(content).digest()
  hash.writeUInt8(((hash[6] ?? 0) & 0x0f) | 0x80, 6)
  hash.writeUInt8(((hash[8] ?? 0) & 0x3f) | 0x80, 8)
  const text = hash.toString('hex', 0, 16)
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function byRef(one: Component, other: Component): number {
  return one['bom-ref'] < other['bom-ref'] ? -1 : 1
}
