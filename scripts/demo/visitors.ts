// The visitors: a process of its own that asks every site, without a pause, until it is told to stop,
// and counts what it got. Arguments: the sites' URLs.

export interface VisitorReport {
  readonly requests: number
  readonly failed: number
  /** Answers whose two files named different releases. */
  readonly mixed: number
  /** Release → answers that named it. */
  readonly byRelease: Record<string, number>
}

const sites = process.argv.slice(2)
const byRelease: Record<string, number> = {}
const stopping = new AbortController()
const counts = { requests: 0, failed: 0, mixed: 0 }

process.on('message', (message) => {
  if (message === 'stop') stopping.abort()
  if (message === 'report') process.send?.({ ...counts, byRelease })
})
await Promise.all(sites.map(visit))
process.send?.({ ...counts, byRelease }, () => process.disconnect())

async function visit(site: string): Promise<void> {
  while (!stopping.signal.aborted) {
    counts.requests += 1
    try {
      const response = await fetch(site)
      const body: unknown = await response.json()
      count(response.ok, body)
    } catch {
      counts.failed += 1
    }
  }
}

function count(ok: boolean, body: unknown): void {
  const names =
    typeof body === 'object' && body !== null && 'release' in body && 'built' in body ? body : null
  if (!ok || names === null) counts.failed += 1
  else if (names.release !== names.built) counts.mixed += 1
  else byRelease[String(names.release)] = (byRelease[String(names.release)] ?? 0) + 1
}
