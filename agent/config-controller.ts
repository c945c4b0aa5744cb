// The keys of agent.toml that say where the controller is, and from where else content may come. They
// are the only addresses that an agent ever talks to: no message names one.

import { type MistakeList, shownValue, type Table } from './config-mistakes.ts'

export function controllerOf(table: Table, mistakes: MistakeList): string {
  const write = 'the address of the controller, such as "https://deploy.example.com"'
  const text = mistakes.text(table, 'controller', '', write)
  if (text === undefined) return ''
  const url = URL.canParse(text) ? new URL(text) : null
  const wrong =
    url === null || !['http:', 'https:'].includes(url.protocol)
      ? 'is no http or https address'
      : url.username !== '' || url.password !== ''
        ? 'holds credentials, which belong to the agent’s own key'
        : url.search !== '' || url.hash !== ''
          ? 'has a query or fragment'
          : null
  if (wrong !== null) mistakes.add('controller', `${shownValue(text)} ${wrong}`, write)
  return url === null ? '' : `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

/** Origins alone: what is below them, the redirect itself says. */
export function redirectsOf(table: Table, mistakes: MistakeList): string[] {
  const write = 'origins, such as ["https://releases.example.com"]'
  return mistakes.texts(table, 'redirects', '', write).flatMap(({ text, key }) => {
    const url = URL.canParse(text) ? new URL(text) : null
    const isOrigin = url !== null && ['http:', 'https:'].includes(url.protocol)
    if (isOrigin && url.href === `${url.origin}/`) return [url.origin]
    mistakes.add(key, `${shownValue(text)} is no origin`, write)
    return []
  })
}
