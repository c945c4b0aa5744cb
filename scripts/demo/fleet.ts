// The processes of the demo: one controller, an agent and a web server for every host, and visitors,
// all below one directory, and the `lockstep` command as a person would use it. Leaves nothing behind,
// whenever it is interrupted.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Background } from './background.ts'
import { Crowd } from './crowd.ts'
import type { Screen } from './screen.ts'

const lockstep = join(import.meta.dirname, '../../bin/lockstep')

export class DemoFleet {
  readonly directory = mkdtempSync(join(tmpdir(), 'lockstep-demo-'))
  readonly hosts = ['web-1', 'web-2', 'web-3'] as const
  /** Where each host's web server answers. */
  readonly sites = new Map<string, string>()
  readonly #screen: Screen
  readonly #processes: (Background | Crowd)[] = []
  readonly #interruption = Promise.withResolvers<void>()
  #isInterrupted = false
  #url = ''

  constructor(screen: Screen) {
    this.#screen = screen
    process.on('exit', () => this.#killAll('SIGKILL'))
  }

  get isInterrupted(): boolean {
    return this.#isInterrupted
  }

  /** Resolves when somebody has had enough. */
  get interrupted(): Promise<void> {
    return this.#interruption.promise
  }

  /** Ends what runs and lets nothing start any more; `end` still has to be called. */
  interrupt(): void {
    this.#isInterrupted = true
    this.#killAll('SIGTERM')
    this.#interruption.resolve()
  }

  get url(): string {
    return this.#url
  }

  get tokenFile(): string {
    return join(this.directory, 'controller/admin-token')
  }

  async startController(): Promise<void> {
    const data = join(this.directory, 'controller')
    const args = ['controller', '--data', data, '--listen', '127.0.0.1:0']
    this.#screen.command(`lockstep ${args.map(shortened).join(' ')} &`)
    const controller = this.#start('controller', [lockstep, ...args])
    const { url } = await controller.said('listening')
    this.#url = String(url)
    this.#screen.say(`listening on ${this.#url}`)
  }

  /** Each with a directory and a configuration of its own, as on three machines. */
  async startAgents(): Promise<void> {
    const tokenFile = join(this.directory, 'join-token')
    const words = `token create --join --app shop --env production --uses ${this.hosts.length}`
    this.#screen.command(`lockstep ${words} > join-token`)
    const token = await this.run(words.split(' '), { isQuiet: true })
    writeFileSync(tokenFile, token, { mode: 0o600 })
    const agents = this.hosts.map((host) => {
      const config = this.#configure(host)
      const options = `--config ${host}/agent.toml --join-token-file join-token`
      this.#screen.command(`lockstep agent ${options} &`)
      const args = ['agent', '--config', config, '--join-token-file', tokenFile]
      return this.#start(host, [lockstep, ...args])
    })
    await Promise.all(agents.map((agent) => agent.said('connected')))
    this.#screen.say(`${this.hosts.join(', ')} joined and are connected`)
  }

  /** One web server for each host; it serves whatever `current` leads to. */
  async startSites(): Promise<void> {
    const script = join(import.meta.dirname, 'site.ts')
    for (const host of this.hosts) {
      const root = this.rootOf(host)
      const site = this.#start(`${host}-site`, [process.execPath, script, host, root])
      const { url } = await site.said('serving')
      this.sites.set(host, String(url))
    }
  }

  /** Visitors of every host, in a process of their own. */
  startCrowd(): Crowd {
    this.#refuseWhenInterrupted()
    const crowd = new Crowd(this.sites)
    this.#processes.push(crowd)
    return crowd
  }

  rootOf(host: string): string {
    return join(this.directory, host, 'shop')
  }

  /** What `current` says on the host's disk. */
  currentOf(host: string): string {
    return readlinkSync(join(this.rootOf(host), 'current'))
  }

  /**
   * Runs the command to its end, shown with its output unless it is to be quiet.
   * @returns what it wrote to its standard output
   * @throws Error when it fails
   */
  async run(words: readonly string[], options: { isQuiet?: boolean } = {}): Promise<string> {
    const isShown = options.isQuiet !== true
    if (isShown) this.#screen.command(`lockstep ${words.map(shortened).join(' ')}`)
    this.#refuseWhenInterrupted()
    const child = spawn(lockstep, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LOCKSTEP_URL: this.#url, LOCKSTEP_TOKEN_FILE: this.tokenFile },
    })
    const texts = { out: '', err: '' }
    const hear = (to: 'out' | 'err') => (text: string) => {
      texts[to] += text
      if (isShown && !words.includes('--json')) this.#screen.say(text)
    }
    child.stdout.setEncoding('utf8').on('data', hear('out'))
    child.stderr.setEncoding('utf8').on('data', hear('err'))
    void this.interrupted.then(() => child.kill('SIGTERM'))
    const [code] = (await once(child, 'close')) as [number | null]
    if (code === 0) return texts.out
    throw new Error(`lockstep ${words.join(' ')} ended with exit code ${code}\n${texts.err}`)
  }

  get logs(): string {
    return join(this.directory, 'logs')
  }

  /** Ends everything; the directory goes too, unless its logs are still to be read. */
  async end(directory: 'remove' | 'keep'): Promise<void> {
    for (const one of this.#processes.toReversed()) await one.stop()
    if (directory === 'remove') rmSync(this.directory, { recursive: true, force: true })
  }

  #killAll(signal: NodeJS.Signals): void {
    for (const one of this.#processes) one.kill(signal)
  }

  #refuseWhenInterrupted(): void {
    if (this.#isInterrupted) throw new Error('the demo was interrupted')
  }

  #start(name: string, command: readonly [string, ...string[]]): Background {
    this.#refuseWhenInterrupted()
    mkdirSync(this.logs, { recursive: true })
    const started = new Background(name, command, join(this.logs, `${name}.log`))
    this.#processes.push(started)
    return started
  }

  #configure(host: string): string {
    const directory = join(this.directory, host)
    const config = join(directory, 'agent.toml')
    mkdirSync(directory)
    writeFileSync(
      config,
      [
        `controller = "${this.#url}"`,
        `name = "${host}"`,
        `state = "${join(directory, 'state')}"`,
        '',
        '[apps.shop]',
        'environment = "production"',
        `root = "${this.rootOf(host)}"`,
        '',
      ].join('\n'),
    )
    return config
  }
}

/** A path as a person would type it, from its own directory. */
function shortened(word: string): string {
  return word.replace(/^\/.*\//, '')
}
