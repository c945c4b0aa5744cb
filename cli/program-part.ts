// Which part of the program the words after `lockstep` ask for. Pure; bin/lockstep.ts loads only that part.

export type ProgramPart = 'controller' | 'agent' | 'command'

/** What stands behind a daemon's name and still belongs to the operator's command. */
const subcommands = [
  'install',
  'uninstall',
  'recover',
  'pin',
  'rotate-ca',
  'hold',
  'unhold',
  'attest',
  'in-use',
  'help',
  '--help',
  '-h',
]

/** @param argv the words after `lockstep` */
export function programPartOf([first, second]: readonly string[]): ProgramPart {
  if (first !== 'controller' && first !== 'agent') return 'command'
  return second !== undefined && subcommands.includes(second) ? 'command' : first
}
