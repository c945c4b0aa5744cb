// package-lock.json (version 3), as far as a bill of materials needs it: which packages there are, and
// which of them one finds when it asks for another by name.

import { readFileSync } from 'node:fs'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

const Names = Type.Record(Type.String(), Type.String())

const Entry = Type.Object({
  version: Type.String(),
  /** Where it is not the folder's. */
  name: Type.Optional(Type.String()),
  /** Subresource Integrity: `sha512-` and base64. */
  integrity: Type.Optional(Type.String()),
  license: Type.Optional(Type.String()),
  dev: Type.Optional(Type.Boolean()),
  optional: Type.Optional(Type.Boolean()),
  hasInstallScript: Type.Optional(Type.Boolean()),
  resolved: Type.Optional(Type.String()),
  dependencies: Type.Optional(Names),
  optionalDependencies: Type.Optional(Names),
  peerDependencies: Type.Optional(Names),
  peerDependenciesMeta: Type.Optional(
    Type.Record(Type.String(), Type.Object({ optional: Type.Optional(Type.Boolean()) })),
  ),
})

const Lockfile = Type.Object({
  lockfileVersion: Type.Literal(3),
  packages: Type.Record(Type.String(), Entry),
})

export type LockedPackage = Static<typeof Entry>

/** By folder, such as `node_modules/a/node_modules/b`; the project itself is `''`. */
export type LockedPackages = Readonly<Record<string, LockedPackage>>

/** @throws when it is no lockfile of this version */
export function readLockfile(file: string): LockedPackages {
  return Value.Parse(Lockfile, JSON.parse(readFileSync(file, 'utf8'))).packages
}

/** The name that the package was published under. */
export function publishedName(path: string, locked: LockedPackage): string {
  return locked.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

/**
 * The folder of what is found by this name from another folder, as Node looks for it: in the folder's
 * own node_modules, then above.
 */
export function folderOf(packages: LockedPackages, from: string, name: string): string | null {
  const own = `${from === '' ? '' : `${from}/`}node_modules/${name}`
  if (own in packages) return own
  if (from === '') return null
  const above = from.lastIndexOf('/node_modules/')
  return folderOf(packages, above < 0 ? '' : from.slice(0, above), name)
}

/** The folders of what a package needs; optional ones where they are locked. */
export function neededBy(packages: LockedPackages, path: string): string[] {
  const { dependencies, optionalDependencies, ...locked } = packages[path] ?? { version: '' }
  const { peerDependencies = {}, peerDependenciesMeta = {} } = locked
  const peers = Object.keys(peerDependencies).filter(
    (name) => peerDependenciesMeta[name]?.optional !== true,
  )
  const firm = [...Object.keys(dependencies ?? {}), ...peers].map((name) => {
    const folder = folderOf(packages, path, name)
    if (folder === null) throw new Error(`${path} needs ${name}, which is not locked`)
    return folder
  })
  const optional = Object.keys(optionalDependencies ?? {}).flatMap(
    (name) => folderOf(packages, path, name) ?? [],
  )
  return [...new Set([...firm, ...optional])].toSorted()
}
