// Addresses below the controller's own, with what they name written so that it stays in its place. Pure.

/** An app in one of its environments. */
export interface Place {
  readonly app: string
  readonly environment: string
}

type Query = Readonly<Record<string, string | undefined>>

export function pathOf({ app, environment }: Place): string {
  return `/v1/apps/${app}/environments/${environment}`
}

export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  const text = new URLSearchParams(given).toString()
  return text === '' ? path : `${path}?${text}`
}

/** An answer's id may be any text, and half a surrogate pair has no place in an address. */
export function rolloutPath(id: string): string {
  return `/v1/rollouts/${encodeURIComponent(id.toWellFormed())}`
}

export function statementPath(app: string, version: string): string {
  return `/v1/apps/${app}/releases/${encodeURIComponent(version)}/statement`
}
