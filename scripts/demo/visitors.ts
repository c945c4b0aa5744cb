// A program: visitors of every host, without a pause for as long as it runs. Tells its parent what
// they were answered, again and again.
//
//   node visitors.ts NAME=URL…

import { Agent, get } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** Of one host. */
export interface Visits {
  readonly host: string
  /** Answers by the release that they name. */
  readonly answers: Record<string, number>
  failed: number
  firstFailure: string | null
}

const visitorsPerHost = 2
/** Between two requests of one visitor: all together make some 500 a second. */
const pauseMs = 10
const tellEveryMs = 50

const agent = new Agent({ keepAlive: true })
const hosts = process.argv.slice(2).map((argument) => {
  const [host = '', url = ''] = argument.split('=')
  const visits: Visits = { host, answers: {}, failed: 0, firstFailure: null }
  return { url, visits, newest: '' }
})

async function visit(host: (typeof hosts)[number]): Promise<void> {
  const { visits, newest } = host
  try {
    const release = await releaseAt(host.url)
    // Once a host has answered with a newer release, an older one after that is a fault.
    if (release < newest) throw new Error(`${release} answered after ${newest}`)
    if (release > host.newest) host.newest = release
    visits.answers[release] = (visits.answers[release] ?? 0) + 1
  } catch (error) {
    visits.failed += 1
    visits.firstFailure ??= String(error)
  }
}

/** @throws for anything but an answer that names its release and is made by it alone */
async function releaseAt(url: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const request = get(url, { agent }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
  })
  request.on('error', reject)
  const { status, body } = await promise
  if (status !== 200) throw new Error(`${url} answered ${status}: ${body.slice(0, 200)}`)
  const { release, library } = JSON.parse(body) as Record<string, unknown>
  if (typeof release !== 'string' || library !== libraries[release]) {
    throw new Error(`${url} answered with parts of two releases: ${body.slice(0, 200)}`)
  }
  return release
}

/** What each release of the demo is made of. */
const libraries: Readonly<Record<string, string>> = {
  '0.0.11': 'date-fns 4.3.0',
  '0.0.12': 'date-fns 4.4.0',
}

for (const host of hosts) {
  for (let visitor = 0; visitor < visitorsPerHost; visitor += 1) {
    void (async () => {
      for (;;) {
        await visit(host)
        await sleep(pauseMs)
      }
    })()
  }
}
setInterval(() => process.send?.(hosts.map(({ visits }) => visits)), tellEveryMs)
