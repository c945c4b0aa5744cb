// `lockstep keygen`: makes a key pair to sign releases with, in OpenSSH's form.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { Command } from 'commander'
import { limits } from '#shared/limits.ts'
import { publicKeyLine } from '#shared/trust/public-key.ts'
import { misuse } from '../arguments.ts'
import { makeFile } from '../made-file.ts'
import { facts } from '../output/table.ts'
import { good } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { formatOpenSsh, newKeyOf } from '../signing/private-key.ts'

interface KeygenOptions {
  readonly comment: string
  readonly json?: true
}

export function addKeygen(program: Command, run: RunJob): void {
  program
    .command('keygen')
    .description('make an Ed25519 key to sign releases with: FILE, and FILE.pub for hosts to trust')
    .argument('<file>', 'the private key; never one that is there')
    .option('--comment <text>', 'who it is, at the end of the public key', 'lockstep')
    .option('--json', 'print files, id and public key as JSON')
    .action((file: string, options: KeygenOptions) =>
      run((session) => keygen(session, file, options)),
    )
}

async function keygen(
  { terminal }: Session,
  file: string,
  { comment, json }: KeygenOptions,
): Promise<undefined> {
  const made = newKeyOf(generateKeyPairSync('ed25519').privateKey)
  const line = publicKeyLine(made.publicKey, checkedComment(comment))
  const publicFile = `${file}.pub`
  const text = formatOpenSsh(made, comment, randomBytes(4))
  await makeFile({ path: file, text, mode: 0o600, mayReplace: false })
  try {
    await makeFile({ path: publicFile, text: `${line}\n`, mode: 0o644, mayReplace: false })
  } catch (error) {
    await rm(file)
    throw error
  }
  const { id } = made.publicKey
  if (json) {
    terminal.json({ file, publicFile, id, key: line })
    return
  }
  terminal.line([good('made'), ` ${file}`])
  terminal.lines(
    facts([
      ['id', id],
      ['public', line],
    ]),
  )
  terminal.note('hosts trust it once the public key stands in their trust.json; keep the other')
}

/** A comment is the rest of one line. */
function checkedComment(comment: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(comment)
  if (isPlain && comment.length <= limits.reasonCharsMax) return comment
  throw misuse(
    `${JSON.stringify(comment.slice(0, 80))} is no comment for a key`,
    `Write 1 to ${limits.reasonCharsMax} plain characters, such as ci@example.com.`,
  )
}
