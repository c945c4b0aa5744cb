// A notification as it leaves the process: through the program systemd-notify, here one that writes down
// what it was given. That systemd takes it is tested on hosts that run it: test/hosts.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createNotifier } from '#systemd/notify.ts'

const recorder = `#!/bin/sh
{ echo "socket $NOTIFY_SOCKET"; for word in "$@"; do echo "$word"; done; env | grep -c ^SECRET; } >> "$0.log"
exit 0
`

void t.test(
  'systemd-notify gets the socket and the words, and nothing else of the environment',
  async (t) => {
    const directory = t.testdir({})
    const program = join(directory, 'systemd-notify')
    writeFileSync(program, recorder, { mode: 0o755 })
    const problems: string[] = []
    const notifier = createNotifier(
      {
        NOTIFY_SOCKET: '/run/systemd/notify',
        PATH: `${directory}:${process.env['PATH']}`,
        SECRET: 'x',
      },
      { onProblem: (text) => problems.push(text) },
    )
    await notifier.ready('2 apps; $(date)')
    t.same(problems, [])
    t.equal(
      readFileSync(`${program}.log`, 'utf8'),
      'socket /run/systemd/notify\nREADY=1\nSTATUS=2 apps; $(date)\n0\n',
    )
  },
)

void t.test('without the program the problem is told and the daemon goes on', async (t) => {
  const problems: string[] = []
  const notifier = createNotifier(
    { NOTIFY_SOCKET: '/run/systemd/notify', PATH: t.testdir({}) },
    { onProblem: (text) => problems.push(text) },
  )
  await notifier.ready('up')
  t.match(problems, [/^systemd was not notified of READY=1: .*ENOENT/])
})
