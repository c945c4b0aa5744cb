// Which polkit a host has, by what `pkaction --version` says. Since 0.106 its rules are JavaScript and
// can tell one unit from another (polkit's NEWS); before, the right to reload one is that to stop all.

/** The numbers went from 0.120 to 121. */
const rulesSince = 106

export type Polkit =
  | { readonly kind: 'none' }
  /** `name` such as `polkit 0.105`. */
  | { readonly kind: 'old' | 'able'; readonly name: string }

/** @param said `pkaction version 0.105`; null where there is none */
export function polkitOf(said: string | null): Polkit {
  const [, major, minor] = /(\d+)(?:\.(\d+))?\s*$/.exec(said ?? '') ?? []
  if (major === undefined) return { kind: 'none' }
  const version = major === '0' ? Number(minor ?? '0') : Number(major)
  const name = `polkit ${major}${minor === undefined ? '' : `.${minor}`}`
  return { kind: version >= rulesSince ? 'able' : 'old', name }
}
