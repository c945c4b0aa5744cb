// What is wrong with 32 bytes as an Ed25519 public key. OpenSSL accepts keys of small order, under
// which anybody can sign. RFC 8032, sections 5.1 and 5.1.3.

const p = 2n ** 255n - 19n
const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n

/** y of the eight points whose order divides 8: 0, 1 and -1, and the two of order 8. */
const smallOrderYs = new Set([
  0n,
  1n,
  p - 1n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
])

export type PointFlaw = 'not-canonical' | 'small-order' | 'not-on-curve'

/** @param raw 32 bytes, little endian, the sign of x in the highest bit */
export function pointFlawOf(raw: Uint8Array): PointFlaw | null {
  const littleEndian = Buffer.from(raw).reverse().toString('hex')
  const y = BigInt(`0x${littleEndian}`) & (2n ** 255n - 1n)
  if (y >= p) return 'not-canonical'
  if (smallOrderYs.has(y)) return 'small-order'
  // x² = (y² - 1) / (d·y² + 1): a fraction is a square just when numerator × denominator is one.
  const ySquared = (y * y) % p
  const xSquaredIsh = ((ySquared - 1n) * (d * ySquared + 1n)) % p
  return power(xSquaredIsh, (p - 1n) / 2n) === 1n ? null : 'not-on-curve'
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  let square = ((base % p) + p) % p
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % p
    square = (square * square) % p
  }
  return result
}
