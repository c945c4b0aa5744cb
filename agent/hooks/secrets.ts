// Keeps out of hooks' output what the app's shared files hold as secrets: the values of variables whose
// names say so, in files of lines NAME=VALUE such as `.env`. A help against accidents; a hook that is
// out to tell can always say it in other words.

import { closeSync, readSync } from 'node:fs'
import { openForeignFile } from '../adapters/foreign-file.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export interface Secret {
  readonly name: string
  readonly value: string
}

const telling = /pass|secret|token|key|credential|auth|private|dsn/i
const variable = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/
const wordCharacter = /[0-9A-Za-z_]/

/** Of the files that can be read; one that cannot holds nothing that the hook could say either. */
export function readSecrets(files: readonly string[]): readonly Secret[] {
  return files
    .flatMap((file) => secretsIn(beginningOf(file)))
    .toSorted((a, b) => b.value.length - a.value.length)
}

/** Of a text of lines `NAME=VALUE`. Short values are no secrets, but words that would be mangled. */
export function secretsIn(text: string): Secret[] {
  return text.split('\n').flatMap((line) => {
    const [, name = '', given = ''] = variable.exec(line) ?? []
    const value = given.replace(/^(["'])(.*)\1$/, '$2')
    // The password of an address is one, whatever the variable is called.
    const password = /:\/\/[^/\s:@]*:([^/\s]+)@/.exec(value)?.[1]
    const found = telling.test(name) ? [value] : []
    return [...found, ...(password === undefined ? [] : [password])]
      .filter((secret) => secret.length >= limits.secretCharsMin)
      .map((secret) => ({ name, value: secret }))
  })
}

/**
 * The text with `(NAME)` for each secret that stands in it by itself: inside a longer word it is a part
 * of that. @param isCut whether the text was cut off, perhaps within a secret
 */
export function withoutSecrets(text: string, isCut: boolean, secrets: readonly Secret[]): string {
  return secrets.reduce((rest, { name, value }) => {
    const whole = replaced(rest, value, `(${name})`)
    return isCut ? withoutBeginning(whole, value, `(${name})`) : whole
  }, text)
}

function replaced(text: string, value: string, shown: string): string {
  let result = ''
  let from = 0
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
    if (at < from || isWithinWord(text, at, value)) continue
    result += text.slice(from, at) + shown
    from = at + value.length
  }
  return result + text.slice(from)
}

function isWithinWord(text: string, at: number, value: string): boolean {
  const joins = (one: string, other: string) => wordCharacter.test(one) && wordCharacter.test(other)
  const end = at + value.length
  return (
    joins(text.charAt(at - 1), value.charAt(0)) ||
    joins(value.charAt(value.length - 1), text.charAt(end))
  )
}

function withoutBeginning(text: string, value: string, shown: string): string {
  for (let length = value.length - 1; length * 2 >= limits.secretCharsMin; length -= 1) {
    if (text.endsWith(value.slice(0, length))) return `${text.slice(0, -length)}${shown}`
  }
  return text
}

function beginningOf(file: string): string {
  const bytes = Buffer.alloc(limits.secretFileBytesMax)
  try {
    const descriptor = openForeignFile(file)
    if (descriptor === null) return ''
    try {
      return bytes.toString('utf8', 0, readSync(descriptor, bytes))
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return ''
  }
}
