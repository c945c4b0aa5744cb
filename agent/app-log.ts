// What the parts of an agent say to its log. Decides nothing.

import type { Logger } from 'pino'
import type { AppDiskPorts } from './app-disk.ts'
import type { AnchorPorts } from './link/audit-anchors.ts'
import type { AppTrustPorts } from './trust/app-trust.ts'

type DiskLog = Pick<AppDiskPorts, 'onStaged' | 'onDrift' | 'onRemoved' | 'onProblem' | 'onFault'>

export function diskLogOf(log: Logger): DiskLog {
  return {
    onStaged: ({ version, outcome, bytes, tookMs }) =>
      log.info({ version, outcome, bytes, tookMs }, 'staged'),
    onDrift: (version, facts) => log.warn({ version, ...facts }, 'drifted'),
    onRemoved: (removed, leftovers) => log.info({ removed, leftovers }, 'cleaned up'),
    onProblem: (doing, error) => log.warn({ code: error.code, err: error }, doing),
    onFault: (doing, error) => log.error({ err: error }, doing),
  }
}

type TrustLog = Pick<AppTrustPorts, 'onSight' | 'onDoubt' | 'onFound' | 'onProblem'>

/** @param file the path of the trust file */
export function trustLogOf(log: Logger, file: string): TrustLog {
  return {
    onSight: ({ policy, note }) => {
      const facts = { policy, file, note }
      if (policy === 'broken') log.error(facts, 'the trust file: nothing new is let in')
      else if (policy === 'none') log.warn(facts, 'no trust file: unsigned releases are let in')
      else log.info(facts, 'the trust file')
    },
    onDoubt: ({ version }, why) => log.warn({ version, why }, 'let in, but not trusted'),
    onFound: (release) => log.warn(release, 'runs, and was never verified: it may stay'),
    onProblem: (doing, error) => log.warn({ code: error.code, err: error }, doing),
  }
}

type AnchorLog = Pick<AnchorPorts, 'onKept' | 'onWentBack' | 'onTrouble'>

/** The log is a second place where whoever owns the controller cannot write. */
export function anchorLogOf(log: Logger): AnchorLog {
  return {
    onKept: ({ sequence, hash }) =>
      log.info({ anchor: `${sequence}:${hash}` }, 'the controller’s audit trail'),
    onWentBack: (told, kept) => {
      const hint = 'Was the controller restored from a backup? See docs/audit.md, “Anchors”.'
      log.error({ told, kept, hint }, 'the controller’s audit trail is not what it was')
    },
    onTrouble: (error) => log.warn({ err: error }, 'an anchor of the audit trail is not kept'),
  }
}
