// Where no secret may ever be: on a command line, in a process's title, in the environment of what a hook
// starts, in a log. Tokens are made, hosts join, releases are deployed with hooks, by real processes.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { smallRelease } from '../../support/small-release.ts'
import { Operator } from '../fleet/command.ts'
import { Fleet, place } from '../fleet/fleet.ts'
import { ProcessSampler } from '../fleet/process-sampler.ts'

/** It says what it can of what it was given, and stays long enough to be seen. */
const hook = 'env; cat "$0"; sleep 0.1'

function settingsOf(envFile: string): string {
  const run = `run = ["/bin/sh", "-c", '${hook}', "${envFile}"]`
  return ['after-stage', 'before-activate', 'after-activate']
    .map((name) => `[apps.shop.hooks.${name}]\n${run}`)
    .concat(`[apps.shop.once]\n${run}`)
    .join('\n')
}

void t.test('no secret is where others can see it', async (t) => {
  const sampler = new ProcessSampler()
  t.teardown(() => sampler.stop())
  const fleet = await Fleet.start(t, [])
  const operator = await Operator.sit(t, fleet)
  const place2 = ['--app', place.app, '--env', place.environment]
  const made = await operator.type('token', 'create', '--join', ...place2)
  t.equal(made.code, 0, made.err)
  const api = await operator.type('token', 'create', '--role', 'publisher', '--app', place.app)
  t.equal(api.code, 0, api.err)
  const joinToken = made.out.trim()

  const envFile = join(fleet.directory, 'web-1/shop/shared/.env')
  const host = await fleet.addHost('web-1', `shared = [".env"]\n${settingsOf(envFile)}`)
  mkdirSync(join(host.root, 'shared'), { recursive: true })
  writeFileSync(envFile, 'DB_PASSWORD="correct horse battery"\n')
  const agentOnly = { LOCKSTEP_TOKEN: fleet.token, AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMIK7MDENG' }
  host.start(joinToken, { env: agentOnly })
  await fleet.connected(['web-1'])

  const tarball = join(fleet.directory, 'release.tar.gz')
  writeFileSync(tarball, smallRelease('1'))
  const env = { LOCKSTEP_TOKEN: api.out.trim() }
  const published = await operator.start(['publish', 'shop', '1', tarball, '--strip', '1'], env).end
  t.equal(published.code, 0, published.err)
  const deployed = await operator.type('deploy', 'shop', '1', '--env', place.environment)
  t.equal(deployed.code, 0, deployed.err)
  sampler.stop()

  const identity = readFileSync(join(host.state, 'identity.json'), 'utf8')
  const secrets = {
    'the admin token': fleet.token,
    'the join token': joinToken,
    'the secret part of the join token': joinToken.split('.')[2] ?? joinToken,
    'the publisher’s token': api.out.trim(),
    'the agent’s private key': privateKeyIn(identity),
    'a value of the shared .env': 'correct horse battery',
    'what is in the agent’s own environment': agentOnly.AWS_SECRET_ACCESS_KEY,
  }
  const places = {
    'a command line': [...sampler.commandLines],
    'a title': [...sampler.titles],
    'the environment of a hook': [...sampler.hookEnvironments],
    'the controller’s log': [fleet.controller.tail(Number.POSITIVE_INFINITY)],
    'the agent’s log': [host.daemon.tail(Number.POSITIVE_INFINITY)],
    'what deploy shows': [deployed.out, deployed.err],
  }
  for (const [what, secret] of Object.entries(secrets)) {
    t.ok(secret.length >= 16, `${what} is known`)
    for (const [where, texts] of Object.entries(places)) {
      t.notOk(
        texts.some((text) => text.includes(secret)),
        `${what} is not in ${where}`,
      )
    }
  }
  const seen = (...words: string[]) =>
    [...sampler.commandLines].some((line) => line.includes(words.join('\0')))
  t.ok(seen('token', 'create', '--join'), 'the commands were seen')
  t.ok(seen('deploy', 'shop', '1'))
  t.ok(sampler.hookEnvironments.size >= 4, 'and so was each hook')
  t.match(host.daemon.tail(Number.POSITIVE_INFINITY), /\(DB_PASSWORD\)/, 'and it told all it could')
  t.comment(
    `${Object.keys(secrets).length} secrets looked for in ${sampler.commandLines.size} command lines, ` +
      `${sampler.titles.size} titles and ${sampler.hookEnvironments.size} environments of hooks ` +
      `(${sampler.looks} looks), and in ${host.daemon.lines.length + fleet.controller.lines.length} lines of logs`,
  )
})

/** The body of the PEM text, in which JSON writes line ends as `\\n`. */
function privateKeyIn(identity: string): string {
  return /PRIVATE KEY-----\\n([A-Za-z0-9+/=]+)/.exec(identity)?.[1] ?? ''
}
