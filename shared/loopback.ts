// Which host names mean this machine itself, so that what is sent there is on no network. Pure.

/** @param host a name or an address, an IPv6 one with brackets or without */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i.test(host)
}
