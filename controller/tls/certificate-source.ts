// What stands behind the controller's certificate, as the rest of the controller sees it.

/** What a TLS server shows and proves, as PEM. */
export interface Credentials {
  readonly key: string
  /** The certificate first, then the chain that it is sent with. */
  readonly cert: string
}

export interface CertificateSource {
  readonly mode: 'own-ca' | 'given'
  readonly checkEveryMs: number
  /** The pin that is good now; while the authority is being rotated the next one's too. */
  pins(): readonly string[]
  /** The certificates that they are the pins of. */
  caPem(): string
  credentials(): Credentials
  /** When what is shown now runs out, in epoch milliseconds. */
  expiresAt(): number
  /** What its operator ought to know, with what to do about it. */
  warnings(): readonly string[]
  /** Looks whether something is due, and does it. @returns whether other credentials are to be shown */
  refresh(): Promise<boolean>
}
