// The documents say what the code does: every error code, and every link between documents.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { errorCodes } from '#shared/errors.ts'

const root = new URL('../../', import.meta.url).pathname
const read = (path: string) => readFileSync(join(root, path), 'utf8')

void t.test(
  'docs/errors.md lists every code with its status and meaning, and no other',
  async (t) => {
    const rows = read('docs/errors.md').match(/^\| `.*$/gm) ?? []
    const expected = Object.entries(errorCodes).map(
      ([code, { status, retryable, meaning }]) =>
        `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${meaning} |`,
    )
    t.strictSame([...rows].sort(), expected.sort())
  },
)

void t.test('every link between documents leads somewhere', async (t) => {
  const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'].concat(
    readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.md'))
      .map((path) => join('docs', path)),
  )
  for (const document of documents) {
    for (const [, target = ''] of read(document).matchAll(/\]\(([^)#:]+)\)/g)) {
      t.ok(existsSync(join(root, dirname(document), target)), `${document} links to ${target}`)
    }
  }
})

void t.test('every test that is named for a guarantee or a threat exists', async (t) => {
  for (const document of ['ARCHITECTURE.md', 'SECURITY.md']) {
    for (const [, path = ''] of read(document).matchAll(/`(test\/[^`*\s]+)`/g)) {
      t.ok(existsSync(join(root, path)), `${document} names ${path}`)
    }
  }
})
