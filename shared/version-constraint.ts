// Versions of what is installed on a host, and what a release asks of them. Pure.
// docs/configuration.md, "lockstep.json".
//
//   >= 8.2         8.2 and everything after it
//   >= 8.2, < 9    both
//   = 8.2          every 8.2.x: as many numbers are compared as the constraint has
//   *              any version

const operators = ['>=', '<=', '>', '<', '='] as const
type Operator = (typeof operators)[number]

interface Bound {
  readonly operator: Operator
  /** One to four, such as 8 and 2. */
  readonly numbers: readonly number[]
}

export interface VersionConstraint {
  /** As it is written in one way only: `>= 8.2, < 9`. */
  readonly text: string
  /** All of them hold; none for `*`. */
  readonly bounds: readonly Bound[]
}

const boundPattern = /^(>=|<=|>|<|=) *([0-9]{1,9}(?:\.[0-9]{1,9}){0,3})$/

/** @returns null for what is no constraint */
export function parseConstraint(text: string): VersionConstraint | null {
  if (text.trim() === '*') return { text: '*', bounds: [] }
  const bounds = text.split(',').map((part) => parseBound(part.trim()))
  if (!bounds.every((bound) => bound !== null)) return null
  const texts = bounds.map(({ operator, numbers }) => `${operator} ${numbers.join('.')}`)
  return { text: texts.join(', '), bounds }
}

/**
 * What follows the numbers of the version is not compared: `8.3.0RC1` counts as 8.3.0. Numbers that
 * it lacks count as 0.
 * @param version begins with a number, such as `8.2.14`
 */
export function satisfies(version: string, constraint: VersionConstraint): boolean {
  const numbers = numbersOf(/^[0-9]+(?:\.[0-9]+)*/.exec(version)?.[0] ?? '')
  return constraint.bounds.every((bound) => holds(numbers, bound))
}

function parseBound(text: string): Bound | null {
  const [, sign, digits = ''] = boundPattern.exec(text) ?? []
  const operator = operators.find((known) => known === sign)
  return operator === undefined ? null : { operator, numbers: numbersOf(digits) }
}

function numbersOf(text: string): number[] {
  return text.split('.').map(Number)
}

function holds(version: readonly number[], { operator, numbers }: Bound): boolean {
  const order = compared(version, numbers)
  switch (operator) {
    case '>=':
      return order >= 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '<':
      return order < 0
    case '=':
      return order === 0
  }
}

/** Below, at or above zero; as many numbers as `bound` has. */
function compared(version: readonly number[], bound: readonly number[]): number {
  for (const [at, number] of bound.entries()) {
    const difference = (version[at] ?? 0) - number
    if (difference !== 0) return difference
  }
  return 0
}
