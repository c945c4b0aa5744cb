// `lockstep agent install` and the like as they are typed: every option reaches the installation, though
// the daemons of the same names have options of the same names.

import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { runCommandLine } from '#cli/command-line.ts'
import { Terminal } from '#cli/output/terminal.ts'
import type { Services } from '#cli/services.ts'
import type { InstallReport } from '#systemd/report.ts'

const report: InstallReport = {
  role: 'agent',
  program: '1.2.3',
  steps: ['did it'],
  notes: ['look at it'],
}

async function run(...argv: string[]) {
  const calls: [string, object][] = []
  const note = (name: string) => async (options: object) => {
    calls.push([name, JSON.parse(JSON.stringify(options))])
    return report
  }
  const services: Services = {
    installAgent: note('install agent'),
    installController: note('install controller'),
    uninstallAgent: note('uninstall agent'),
    uninstallController: note('uninstall controller'),
  }
  const out = new PassThrough({ encoding: 'utf8' })
  const err = new PassThrough({ encoding: 'utf8' })
  const plain = (_style: unknown, text: string) => text
  const exitCode = await runCommandLine(argv, {
    env: {},
    terminal: new Terminal({ out, err, paintOut: plain, paintErr: plain, canRedraw: false }),
    clock: { now: () => 0, sleep: async () => undefined },
    random: () => 0,
    newKey: () => 'key',
    stdin: Readable.from([]),
    version: '1.2.3',
    catchInterruptions: () => ({ signal: new AbortController().signal, stop: () => undefined }),
    services,
    openHostApps: () => Promise.reject(new Error('not in this test')),
    examineHost: () => Promise.reject(new Error('not in this test')),
  })
  return { exitCode, calls, out: out.read() ?? '', err: err.read() ?? '' }
}

void t.test('agent install takes all of its options', async (t) => {
  const options = '--controller https://a.example --name web-1 --app shop --env production'
  const rest = '--root /srv/shop --join-token-file /root/token'
  const { calls, exitCode, out } = await run('agent', 'install', ...`${options} ${rest}`.split(' '))
  t.same(calls, [
    [
      'install agent',
      {
        controller: 'https://a.example',
        name: 'web-1',
        app: 'shop',
        environment: 'production',
        root: '/srv/shop',
        joinTokenFile: '/root/token',
      },
    ],
  ])
  t.equal(exitCode, 0)
  t.match(out, /did it\n.*1\.2\.3\n.*look at it/)
  const other = await run('agent', 'install', '--config', 'a.toml', '--join-token-file', '-')
  t.same(other.calls, [['install agent', { configFile: 'a.toml', joinTokenFile: '-' }]])
})

void t.test('controller install takes all of its options', async (t) => {
  const argv = 'controller install --listen 127.0.0.1:7400 --data /srv/data --json'.split(' ')
  const { calls, out } = await run(...argv)
  t.same(calls, [['install controller', { listen: '127.0.0.1:7400', data: '/srv/data' }]])
  t.same(JSON.parse(out), report)
})

void t.test('uninstalling purges only when it is told to', async (t) => {
  t.same((await run('agent', 'uninstall')).calls, [['uninstall agent', {}]])
  t.same((await run('controller', 'uninstall', '--purge')).calls, [
    ['uninstall controller', { purge: true }],
  ])
})
