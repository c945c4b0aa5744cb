// One host's web server: answers every request out of `current`, resolved once per request, as a web
// server ought to. A process of its own. Arguments: the app's root.

import { readFile, realpath } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'

const root = process.argv[2] ?? '.'

const server = createServer((_request, response) => {
  answer().then(
    (body) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body)),
    (error: unknown) => {
      response.statusCode = 500
      response.end(String(error))
    },
  )
})

/** Two files of one release: a request that mixed two would show it. */
async function answer(): Promise<{ release: string; built: string; package: string }> {
  const release = await realpath(join(root, 'current'))
  const [built, manifest] = await Promise.all([
    readFile(join(release, 'RELEASE'), 'utf8'),
    readFile(join(release, 'package.json'), 'utf8'),
  ])
  const { version }: { version: string } = JSON.parse(manifest)
  return { release: basename(release), built: built.trim(), package: version }
}

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the site has no port')
  process.send?.({ port: address.port })
})
