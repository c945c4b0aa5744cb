// The agent's configuration on the disk.

import { join } from 'node:path'
import t from 'tap'
import { readAgentConfig } from '#agent/config-file.ts'

const minimal = `
controller = "http://127.0.0.1:8080"
[apps.shop]
environment = "production"
root = "/srv/shop"
`

void t.test('the file is read', async (t) => {
  const dir = t.testdir({ 'agent.toml': `name = "web-1"\n${minimal}` })
  t.match(readAgentConfig(join(dir, 'agent.toml')), { name: 'web-1', apps: [{ app: 'shop' }] })
})

void t.test('a file that is not there is said by its name', async (t) => {
  const file = join(t.testdir({}), 'agent.toml')
  t.throws(() => readAgentConfig(file), {
    code: 'bad-configuration',
    message: `${file} cannot be read (ENOENT)`,
  })
})
