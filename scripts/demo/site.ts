// A program: the web server of one host. It knows no release: every request goes to the code that
// `current` leads to at that moment, as a web server with PHP behind it would do it.
//
//   node site.ts NAME ROOT

import { realpath } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

interface Release {
  readonly answer: (host: string) => unknown
}

const [name = '', root = ''] = process.argv.slice(2)

const server = createServer((_request, response) => {
  answer().then(
    (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(`${body}\n`),
    (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
  )
})

/** One look at the link, so that one answer is made by one release. */
async function answer(): Promise<string> {
  const release = await realpath(join(root, 'current'))
  const code = (await import(pathToFileURL(join(release, 'server.js')).href)) as Release
  return JSON.stringify(code.answer(name))
}

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ msg: 'serving', url: `http://127.0.0.1:${port}` })}\n`)
})
process.once('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})
