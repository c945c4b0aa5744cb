// A release as the machines and the wire name it: the label people use, and the digest that is true.

export interface Release {
  /** The version label, unique within its app. */
  readonly version: string
  /** The tree digest: SHA-256 of the canonical manifest, 64 hexadecimal digits. */
  readonly tree: string
}

/** Whether both name the same tree; null (no release) equals null only. */
export function sameRelease(a: Release | null, b: Release | null): boolean {
  return a === null || b === null ? a === b : a.tree === b.tree && a.version === b.version
}
