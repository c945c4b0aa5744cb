// What the operator's command does to an app on this host, put together: which app the configuration
// means, and the agent's own code that does it. The daemon needs none of this.

import { adopt } from './adopt/adopt.ts'
import { linkTextOf } from './adopt/survey.ts'
import { linkDirectory, unlinkDirectory } from './adopt/working-directory.ts'
import { deepAttest } from './attest/attest-version.ts'
import { recordedVersions } from './attest/held-releases.ts'
import { quickAttest } from './attest/quick-attest.ts'
import { readAgentConfig } from './config-file.ts'
import type { AppConfig } from './config.ts'
import { withDiskErrors } from './adapters/disk-error.ts'
import { type AppLayout, layoutOf } from './layout/app-layout.ts'
import { observeCurrent } from './layout/current-link.ts'
import { holdCharsMax, readHold, removeHold, writeHold } from './layout/hold-file.ts'
import { makeUsageList, writeUsageList } from './layout/usage-list.ts'
import { LockstepError } from '#shared/errors.ts'
import type {
  AppPlace,
  AttestedRelease,
  AttestReport,
  HostApps,
  HostAppsContext,
} from '#shared/host-apps.ts'
import { limits } from '#shared/limits.ts'

interface Opened {
  readonly app: AppConfig
  readonly layout: AppLayout
  readonly state: string
}

export function hostApps(context: HostAppsContext): HostApps {
  const signed = (reason: string): string =>
    `${reason} (${context.person}, ${new Date(context.now()).toISOString().slice(0, 19)}Z)`
  const holdReport = async ({ app, layout, state }: Opened, before: string | null) => ({
    app: app.app,
    hold: readHold(layout),
    before,
    agentRuns: await context.isAgentRunning(state),
  })
  return {
    async adopt(request) {
      const { app } = open(request)
      const { uid, now } = context
      return adopt(app, request, { account: await context.account(), uid, now: now() })
    },
    async hold({ reason, ...place }) {
      const opened = open(place)
      const before = readHold(opened.layout)
      writeHold(opened.layout, signed(checkReason(reason)))
      return holdReport(opened, before)
    },
    async unhold(place) {
      const opened = open(place)
      const before = readHold(opened.layout)
      removeHold(opened.layout)
      return holdReport(opened, before)
    },
    async link({ directory, ...place }) {
      const opened = open(place)
      const before = readHold(opened.layout)
      const hold = signed(`linked to ${directory}`.slice(0, limits.holdReasonCharsMax))
      const change = linkDirectory(opened.layout, directory, hold)
      return { ...(await holdReport(opened, before)), ...change, root: opened.layout.root }
    },
    async unlink(place) {
      const opened = open(place)
      const before = readHold(opened.layout)
      const change = unlinkDirectory(opened.layout)
      return { ...(await holdReport(opened, before)), ...change, root: opened.layout.root }
    },
    attest: ({ deep, ...place }) => attestAll(open(place), deep),
    async listUsage({ directory, ...place }) {
      const { app, layout } = open(place)
      const list = await makeUsageList(app.app, layout)
      const file = directory === null ? null : writeUsageList(directory, list)
      const { directories, used, unseenCount } = list
      return { app: app.app, root: layout.root, file, directories, used, unseenCount }
    },
  }
}

/** @throws LockstepError `bad-configuration`, `unknown-app` */
function open({ app: name, configFile }: AppPlace): Opened {
  const config = readAgentConfig(configFile)
  const app = config.apps.find((one) => one.app === name)
  if (app === undefined) {
    const known = config.apps.map((one) => one.app).join(', ')
    throw new LockstepError('not-served', `${configFile} has no app ${name}, only ${known}`, {
      hint: `Add a section [apps.${name}] to it, or name one that is there.`,
    })
  }
  return { app, layout: layoutOf(app.root), state: config.state }
}

async function attestAll({ app, layout }: Opened, deep: boolean): Promise<AttestReport> {
  const current = observeCurrent(layout)
  const running = current.kind === 'release' ? current.version : null
  const recorded = withDiskErrors('Listing releases', () => recordedVersions(layout))
  const others = recorded.filter((version) => version !== running).toSorted()
  const releases: AttestedRelease[] = []
  for (const version of running === null ? others : [running, ...others]) {
    const named = limits.entriesMax
    const { tree, outcome, differences, extras } = deep
      ? await deepAttest(layout, version, { named })
      : await quickAttest(layout, version, named)
    const isCurrent = version === running
    releases.push({ version, tree, isCurrent, outcome, differences, extras })
  }
  const { root } = layout
  return { app: app.app, root, current: linkTextOf(layout.current), deep, releases }
}

/** On one line, and short enough that who and when still fit. @throws LockstepError `bad-usage` */
function checkReason(text: string): string {
  const reason = text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim()
  if (reason !== '' && reason.length <= limits.holdReasonCharsMax) return reason
  throw new LockstepError(
    'bad-usage',
    `the reason has ${reason.length} characters, not 1 to ${limits.holdReasonCharsMax}`,
    { hint: `Say in a sentence why; who and when are added (${holdCharsMax} characters in all).` },
  )
}
