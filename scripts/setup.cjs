// Installs what package-lock.json names and links the locked Node; does nothing else, and nothing
// at all when that was done before. Plain CommonJS: any Node can run it, since on a fresh clone the
// system's own does. `npm run setup -- --force` installs again.

'use strict'
const { spawnSync } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { linkNode, linkedNode } = require('./link-node.cjs')

const root = path.resolve(__dirname, '..')
const stampPath = path.join(root, 'node_modules', '.lockstep-setup')

if (process.argv.includes('--force') || !isInstalled()) install()

/** True when the last installation ended well and was of this very lockfile and machine. */
function isInstalled() {
  if (!fs.existsSync(linkedNode)) return false
  try {
    return fs.readFileSync(stampPath, 'utf8') === stamp()
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
}

function install() {
  // Neither NODE_ENV=production nor the user's own `omit` may leave out Node or the tests' tools.
  run(['ci', '--ignore-scripts', '--include=dev', '--include=optional'])
  linkNode()
  fs.writeFileSync(stampPath, stamp())
}

/** What an installation depends on. Written last, so an interrupted one counts as none. */
function stamp() {
  const lock = fs.readFileSync(path.join(root, 'package-lock.json'))
  const digest = crypto.createHash('sha256').update(lock).digest('hex')
  return `${digest} ${process.platform}-${process.arch}\n`
}

/** Runs the npm that runs us. Falls back to the one in PATH when this was started by hand. */
function run(args) {
  const npm = process.env.npm_execpath
  const result =
    npm && path.basename(npm) === 'npm-cli.js'
      ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: 'inherit' })
      : spawnSync('npm', args, { cwd: root, stdio: 'inherit' })
  if (result.error) throw result.error
  if (result.status === 0) return
  console.error(`setup: \`npm ${args.join(' ')}\` failed; what it printed above says why`)
  process.exit(1)
}
