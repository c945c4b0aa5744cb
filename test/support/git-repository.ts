// A real git repository of a test, with no configuration but its own.

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export class GitRepository {
  readonly directory: string
  readonly #home: string

  /** @param home an empty directory: git finds no configuration of a user in it */
  constructor(directory: string, home: string) {
    this.directory = directory
    this.#home = home
    mkdirSync(directory, { recursive: true })
    this.git('init', '--quiet', '--initial-branch=main')
  }

  git(...words: string[]): string {
    const own = ['user.name=Test', 'user.email=test@example.com', 'protocol.file.allow=always']
    return execFileSync('git', [...own.flatMap((setting) => ['-c', setting]), ...words], {
      cwd: this.directory,
      env: this.env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** What git and the command get of the environment. */
  get env(): Record<string, string> {
    return { PATH: process.env['PATH'] ?? '', HOME: this.#home, GIT_CONFIG_NOSYSTEM: '1' }
  }

  write(files: Readonly<Record<string, string | Buffer>>): this {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.directory, path)), { recursive: true })
      writeFileSync(join(this.directory, path), content)
    }
    return this
  }

  /** Commits everything, and tags it where a tag is given. @returns the commit */
  commit(tag?: string): string {
    this.git('add', '--all')
    this.git('commit', '--quiet', '--message', 'A change')
    if (tag !== undefined) this.git('tag', tag)
    return this.git('rev-parse', 'HEAD').trim()
  }
}
