// Secrets in what hooks say: known by the names of their variables, replaced whole, and nothing else.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { limits } from '#shared/limits.ts'
import { type OutputLine, OutputLines } from '#agent/hooks/output-lines.ts'
import { readSecrets, secretsIn, withoutSecrets } from '#agent/hooks/secrets.ts'

void t.test('a secret is what its name says, or the password of an address', async (t) => {
  const text = `
# DB_PASSWORD=commented-out
APP_NAME="A shop of ours"
APP_KEY=base64:abcdefgh
export API_TOKEN='tok-12345678'
DB_PASSWORD=short
DATABASE_URL=postgres://shop:pg-password@127.0.0.1/shop
CACHE_URL=redis://app:c@che-p@ss@db:6379/0
nonsense
`
  t.same(secretsIn(text), [
    { name: 'APP_KEY', value: 'base64:abcdefgh' },
    { name: 'API_TOKEN', value: 'tok-12345678' },
    { name: 'DATABASE_URL', value: 'pg-password' },
    { name: 'CACHE_URL', value: 'c@che-p@ss' },
  ])
})

void t.test('it is replaced where it stands by itself, every time', async (t) => {
  const secrets = [{ name: 'KEY', value: 'production' }]
  const shown = (text: string, isCut = false) => withoutSecrets(text, isCut, secrets)
  t.equal(shown('production, "production"'), '(KEY), "(KEY)"')
  t.equal(shown('reproductions of production_x'), 'reproductions of production_x')
  t.equal(shown('a=production'), 'a=(KEY)')
  t.equal(shown('it is in produc', true), 'it is in (KEY)', 'a cut leaves no half of it')
  t.equal(shown('it is in produc'), 'it is in produc')
  const odd = [{ name: 'KEY', value: '$(a)[b]*.+?' }]
  t.equal(withoutSecrets('x $(a)[b]*.+? y', false, odd), 'x (KEY) y')
})

void t.test('lines are cut without telling the half of one', async (t) => {
  const lines: OutputLine[] = []
  const secrets = [{ name: 'KEY', value: 'correct-horse-battery' }]
  const output = new OutputLines((line) => lines.push(line), secrets)
  output.push(
    'out',
    Buffer.from(`${' '.repeat(limits.hookLineCharsMax - 12)}correct-horse-battery\n`),
  )
  t.match(lines, [{ text: / \(KEY\)$/, truncated: true }])
})

void t.test('a file that cannot be read has none', async (t) => {
  const directory = t.testdir({ '.env': 'SECRET_KEY=0123456789\n' })
  t.same(readSecrets([`${directory}/none`, directory]), [])
  t.same(readSecrets([`${directory}/.env`]), [{ name: 'SECRET_KEY', value: '0123456789' }])
})

void t.test('what the app puts in the place of the file holds nobody up', async (t) => {
  const root = t.testdir({ directory: {} })
  const fifo = join(root, 'fifo')
  execFileSync('mkfifo', [fifo])
  t.same(readSecrets([fifo, join(root, 'directory'), '/dev/zero', join(root, 'none')]), [])
})
