// `lockstep controller pin` and `rotate-ca`: what agents and people know the controller by, and its change.

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { ControllerView } from '#shared/api/controller-schemas.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { pinOf } from '#shared/pin.ts'
import { misuse } from '../arguments.ts'
import { printable } from '../output/printable.ts'
import { bold } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { withJson, withReason } from './place.ts'

const certificateBlocks = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

interface RotateOptions {
  readonly finish?: true
  readonly force?: true
  readonly reason?: string
  readonly json?: true
}

export function addControllerTls(controller: Command, run: RunJob): void {
  const pin = controller
    .command('pin')
    .description('print what the controller’s certificate is known by')
    .option('--data <directory>', 'read it from the controller’s data directory, on its machine')
  withJson(pin, 'it').action(({ data, json }: { data?: string; json?: true }) =>
    run((session) => printPins(session, data, json === true)),
  )
  const rotate = controller
    .command('rotate-ca')
    .description('make the next authority of the controller’s certificate, then change to it')
    .option('--finish', 'change to it, once every host has stored its pin')
    .option('--force', 'with --finish: even though some have not, which are shut out by it')
  withJson(withReason(rotate), 'what the controller says of itself').action(
    (options: RotateOptions) => run((session) => rotateAuthority(session, options)),
  )
}

async function printPins(
  session: Session,
  data: string | undefined,
  json: boolean,
): Promise<undefined> {
  const pins = data === undefined ? (await session.client().controller()).tls.pins : readPins(data)
  if (json) session.terminal.json({ pins })
  else if (pins.length > 0) session.terminal.lines(pins)
  else throw withoutPin('the controller has no certificate of its own')
}

async function rotateAuthority(
  session: Session,
  { finish, force, reason, json }: RotateOptions,
): Promise<undefined> {
  const { terminal } = session
  if (force && !finish) {
    throw misuse('--force belongs to --finish', 'Making the next authority shuts nobody out.')
  }
  const body = finish ? { finish, force: force === true } : {}
  const view: ControllerView = await session.client(reason).rotateAuthority(body)
  if (json) {
    terminal.json(view)
    return
  }
  const { pins } = view.tls
  if (finish) {
    terminal.line([bold('changed'), `: the pin is ${pins[0] ?? ''}`])
    return
  }
  terminal.lines([
    [bold('prepared'), `: the pin is ${pins[0] ?? ''}`],
    `          the next one's ${pins[1] ?? ''}`,
  ])
  terminal.note(
    'agents store the next one as soon as they are connected; when all have, run ' +
      '`lockstep controller rotate-ca --finish`',
  )
}

/** @throws LockstepError `not-found`, `disk-error` */
function readPins(data: string): string[] {
  const file = join(data, 'ca.pem')
  try {
    const blocks = readFileSync(file, 'utf8').match(certificateBlocks) ?? []
    return blocks.map((block) =>
      pinOf(new X509Certificate(block).publicKey.export({ type: 'spki', format: 'der' })),
    )
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    if (code === 'ENOENT') throw withoutPin(`there is no ${printable(file)}`, error)
    throw new LockstepError('disk-error', `${printable(file)} cannot be read (${code})`, {
      hint: 'It belongs to the controller’s account: run this as root on its machine.',
      cause: error,
    })
  }
}

function withoutPin(what: string, cause?: unknown): LockstepError {
  return new LockstepError('not-found', what, {
    hint: 'Only a controller that speaks TLS itself has a pin: see `lockstep controller --help`.',
    cause,
  })
}
