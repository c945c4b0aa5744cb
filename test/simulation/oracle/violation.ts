// A guarantee that was broken: which one, and what was seen.

export class Violation extends Error {
  override readonly name = 'Violation'
  readonly guarantee: Guarantee

  constructor(guarantee: Guarantee, what: string) {
    super(`${guarantee}: ${what}`)
    this.guarantee = guarantee
  }
}

/** The guarantees of ARCHITECTURE.md that this simulator knows how to break. */
export type Guarantee =
  | 'all or none'
  | 'fencing'
  | 'never a broken link'
  | 'no lies'
  | 'nothing needed is deleted'
  | 'always an end'
  | 'convergence'
  | 'the host’s owner decides'
  | 'made once'
  | 'a rule of the protocol'

export function require(holds: boolean, guarantee: Guarantee, what: string): asserts holds {
  if (!holds) throw new Violation(guarantee, what)
}
