// Texts that are secrets by their shape alone: our own tokens, private keys, what an Authorization header
// bears, passwords in addresses. The last net under logs, answers and output: whoever writes one of these
// on purpose owns that; nobody does it by mistake. docs: SECURITY.md, "Secrets".

import { LockstepError } from './errors.ts'

export const masked = '(secret)'

/**
 * Without the third part, which is the secret, they open nothing, and the id says which to revoke. A join
 * token may go on with the pin of the controller's key.
 */
const tokens: readonly RegExp[] = [
  /(ls[jk]1\.[0-9A-Za-z_-]{11}\.)[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]{43})?/g,
  /(lsc1\.[0-9A-Za-z_-]{26}\.[0-9]{1,15}\.)[0-9A-Za-z_-]+/g,
]

/** Their first group is shown. They stay inside a string of JSON, so that masked JSON still is JSON. */
const others: readonly RegExp[] = [
  /(LockstepAgent id=[0-9A-Za-z_-]*)[^\s"\\]+/g,
  /((?:Bearer|Basic) )[0-9A-Za-z._~+/-]{16,}=*/gi,
  // Up to the last @: passwords hold some that nobody escaped, and such addresses work.
  /(:\/\/[^/\s:@"\\]*:)[^/\s"\\]+(?=@)/g,
]

const keyText = String.raw`(?:[0-9A-Za-z+/=\s:,-]|\\[nr])`
const keyEnd = '-----END [A-Z ]{0,30}PRIVATE KEY-----'
/** PEM, RFC 7468; one that is cut off goes on as long as it looks like one. */
const privateKeys = new RegExp(
  `(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)(?:${keyText}+?${keyEnd}|${keyText}+)`,
  'g',
)

/** The text with `(secret)` in the place of everything that is a secret by its shape. */
export function withoutSecretText(text: string): string {
  return [...tokens, privateKeys, ...others].reduce(
    (rest, shape) => rest.replaceAll(shape, `$1${masked}`),
    text,
  )
}

/** Whether one of our tokens, or a private key, stands in the text. */
export function holdsSecret(text: string): boolean {
  return [...tokens, privateKeys].some((shape) => text.search(shape) >= 0)
}

/**
 * A command line is read by everybody on its host, and kept by shells.
 * @throws LockstepError `bad-usage`, which does not quote it
 */
export function requireNoSecretIn(argv: readonly string[]): void {
  if (!argv.some(holdsSecret)) return
  throw new LockstepError('bad-usage', 'there is a token or private key on the command line', {
    hint:
      'Every process of this host could read it: revoke it. Tokens are given in files, and on ' +
      'standard input; `lockstep help` says where.',
  })
}
