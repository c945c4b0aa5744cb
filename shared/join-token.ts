// The text of a join token: an id, a secret, and the pin of the controller that the secret may be shown
// to. Without the pin only where that controller speaks no TLS itself. Pure.

export interface JoinToken {
  readonly id: string
  readonly secret: string
  /** See pin.ts; null for none. */
  readonly pin: string | null
}

const pattern = /^lsj1\.([0-9A-Za-z_-]{11})\.([0-9A-Za-z_-]{43})(?:\.([0-9A-Za-z_-]{43}))?$/

/** Null for what is no join token. */
export function joinTokenOf(text: string): JoinToken | null {
  const [, id, secret, pin = null] = pattern.exec(text) ?? []
  return id === undefined || secret === undefined ? null : { id, secret, pin }
}

/** @param text without a pin */
export function withPin(text: string, pin: string | undefined): string {
  return pin === undefined ? text : `${text}.${pin}`
}
