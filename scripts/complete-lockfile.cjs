// Adds to package-lock.json the optional packages of other platforms that npm left out, which it
// does when the registry in use does not carry them; `npm ci` then refuses the whole lockfile. Part
// of `npm run lock`, for every change of a dependency. What it adds has a version and the platform,
// so that it is skipped everywhere else, but no hash: nobody here could fetch it.

'use strict'

const fs = require('node:fs')
const path = require('node:path')

const file = path.resolve(__dirname, '..', 'package-lock.json')
const lock = JSON.parse(fs.readFileSync(file, 'utf8'))
const locked = new Set(Object.keys(lock.packages).map((at) => at.replace(/^.*node_modules\//, '')))
const added = []

for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies || {})) {
    if (locked.has(name)) continue
    lock.packages[`node_modules/${name}`] = stub(name, version, entry)
    added.push(name)
  }
}
lock.packages = sorted(lock.packages)
fs.writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${added.length} optional packages of other platforms added to package-lock.json`)

/** Platform packages say their platform in their name: `@oxlint/binding-linux-arm64-musl`. */
function stub(name, version, parent) {
  const os = /\b(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)\b/.exec(
    name,
  )
  const cpu = /\b(arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64)\b/.exec(name)
  if (!os || !cpu || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(
      `${name}@${version} does not tell its platform; lock it where it can be fetched`,
    )
  }
  const libc = /-(gnu|musl)/.exec(name)
  return {
    version,
    cpu: [cpu[1]],
    ...(parent.dev ? { dev: true } : {}),
    ...(libc ? { libc: [libc[1] === 'musl' ? 'musl' : 'glibc'] } : {}),
    optional: true,
    os: [os[1]],
  }
}

function sorted(packages) {
  const byName = ([one], [other]) => (one < other ? -1 : 1)
  return Object.fromEntries(Object.entries(packages).sort(byName))
}
