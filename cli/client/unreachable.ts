// Puts into words why the controller does not answer, and whether trying again can help.

import { LockstepError, systemCodeOf } from '#shared/errors.ts'

interface Cause {
  readonly what: string
  readonly hint: string
  /** Whether it is a matter of settings, which no waiting changes. */
  readonly lasting: boolean
}

const restarting =
  'If it is being restarted, try again. Otherwise check LOCKSTEP_URL and its service.'

const causes: Readonly<Record<string, Cause>> = {
  ECONNREFUSED: { what: 'nothing listens there', hint: restarting, lasting: false },
  ECONNRESET: { what: 'the connection broke', hint: restarting, lasting: false },
  EPIPE: { what: 'the connection broke', hint: restarting, lasting: false },
  ETIMEDOUT: {
    what: 'no answer in time',
    hint: 'Check LOCKSTEP_URL, the network and firewalls on the way.',
    lasting: false,
  },
  EHOSTUNREACH: {
    what: 'there is no way to this host',
    hint: 'Check LOCKSTEP_URL and the network.',
    lasting: false,
  },
  ENETUNREACH: {
    what: 'there is no way to this network',
    hint: 'Check LOCKSTEP_URL and the network.',
    lasting: false,
  },
  EAI_AGAIN: {
    what: 'its name could not be looked up',
    hint: 'Check the network and its name server.',
    lasting: false,
  },
  ENOTFOUND: {
    what: 'there is no host of this name',
    hint: 'Check the host name in LOCKSTEP_URL.',
    lasting: true,
  },
  EPROTO: {
    what: 'it does not speak TLS',
    hint: 'Should LOCKSTEP_URL begin with http://?',
    lasting: true,
  },
}

const untrusted: Cause = {
  what: 'its certificate is not trusted',
  hint:
    'Set LOCKSTEP_PIN to what `lockstep controller pin --data DIR` prints on its machine, or LOCKSTEP_CA ' +
    'to a copy of DIR/ca.pem.',
  lasting: true,
}

const certificateCauses: Readonly<Record<string, Cause>> = {
  CERT_HAS_EXPIRED: {
    what: 'its certificate has expired',
    hint: 'Have it renewed on the controller’s machine; or correct the clock of this one.',
    lasting: true,
  },
  CERT_NOT_YET_VALID: {
    what: 'its certificate is not good yet',
    hint: 'Compare the clocks of this machine and of the controller’s.',
    lasting: true,
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    what: 'its certificate is for other names',
    hint: 'Use a name of it in LOCKSTEP_URL, or start the controller with --tls-name and this one.',
    lasting: true,
  },
}

const oldProtocol: Cause = {
  what: 'it speaks no version of TLS that this command does',
  hint: 'The controller itself speaks TLS 1.3: look at what stands between here and there.',
  lasting: true,
}

const otherProtocol: Cause = {
  what: 'its answer is not HTTP',
  hint: 'Check scheme and port in LOCKSTEP_URL: should it begin with https://?',
  lasting: true,
}

/** The error in words; given back as it is where it is no matter of the network at all. */
export function unreachable(error: unknown, url: string): unknown {
  if (error instanceof LockstepError) return error
  const code = systemCodeOf(error)
  if (code === undefined) return error
  const cause = causeOf(code)
  const { origin } = new URL(url)
  return new LockstepError(
    'unreachable',
    `the controller at ${origin} does not answer: ${cause.what} (${code})`,
    { hint: cause.hint, details: { systemCode: code, lasting: cause.lasting }, cause: error },
  )
}

/** Whether waiting may mend it. */
export function isPassing(error: unknown): error is LockstepError {
  return isSilence(error) && error.details?.['lasting'] !== true
}

const silent: ReadonlySet<string> = new Set(['unreachable', 'busy', 'too-many-requests'])

/** Whether the controller did not answer, or only that it has no time. */
export function isSilence(error: unknown): error is LockstepError {
  return error instanceof LockstepError && silent.has(error.code)
}

function causeOf(code: string): Cause {
  if (/^ERR_SSL_WRONG_VERSION_NUMBER$|^ERR_SSL_PACKET_LENGTH/.test(code))
    return causes['EPROTO'] ?? untrusted
  const certificate = certificateCauses[code]
  if (certificate !== undefined) return certificate
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(code)) return oldProtocol
  if (/CERT|SELF_SIGNED|VERIFY|^ERR_TLS|^ERR_SSL/.test(code)) return untrusted
  if (code.startsWith('HPE_')) return otherProtocol
  return causes[code] ?? { what: 'the connection failed', hint: restarting, lasting: false }
}
