// The commands that a release may require of any host without its owner saying how they are asked
// for their version: each by a fixed command line that does nothing else. Data only.

export interface KnownCommand {
  /** Where it may stand, by name in PATH; more than one of them present is for the owner to settle. */
  readonly programs: readonly string[]
  readonly args: readonly string[]
  /** The first group is the version, in what it prints on either output. */
  readonly pattern: RegExp
}

/** What the owner's own command lines are looked through for. */
export const anyVersion = /(?:^|[^0-9.])([0-9]+(?:\.[0-9]+)+|[0-9]+(?=\s*$))/m

const afterName = /^\D*?([0-9]+(?:\.[0-9]+)*)/
const fpmPrograms = ['7.4', '8.0', '8.1', '8.2', '8.3', '8.4', '8.5'].map((at) => `php-fpm${at}`)

const simple = (program: string, arg: string, pattern = afterName): [string, KnownCommand] => [
  program,
  { programs: [program], args: [arg], pattern },
]

export const knownCommands: ReadonlyMap<string, KnownCommand> = new Map<string, KnownCommand>([
  // Without its ini files, so that no extension speaks first.
  ['php', { programs: ['php'], args: ['-n', '-v'], pattern: /^PHP ([0-9.]+)/m }],
  [
    'php-fpm',
    { programs: ['php-fpm', ...fpmPrograms], args: ['-n', '-v'], pattern: /^PHP ([0-9.]+)/m },
  ],
  [
    'composer',
    {
      programs: ['composer'],
      args: ['--version', '--no-ansi', '--no-plugins'],
      pattern: /Composer(?: version)? ([0-9.]+)/,
    },
  ],
  simple('node', '--version'),
  simple('npm', '--version'),
  simple('deno', '--version'),
  simple('bun', '--version'),
  ['python3', { programs: ['python3'], args: ['--version'], pattern: /^Python ([0-9.]+)/m }],
  simple('ruby', '--version'),
  simple('java', '-version', /version "([0-9.]+)/),
  simple('dotnet', '--version'),
  simple('go', 'version', /go([0-9]+(?:\.[0-9]+)*)/),
  simple('perl', '-v', /\(v([0-9.]+)\)/),
  simple('bash', '--version'),
  simple('git', '--version'),
  simple('nginx', '-v', /nginx\/([0-9.]+)/),
  simple('apache2', '-v', /Apache\/([0-9.]+)/),
  simple('httpd', '-v', /Apache\/([0-9.]+)/),
  simple('caddy', 'version'),
  simple('psql', '--version', /\) ([0-9.]+)/),
  simple('pg_dump', '--version', /\) ([0-9.]+)/),
  simple('mysql', '--version', /(?:Distrib |from |Ver )([0-9.]+)(?!.*(?:Distrib|from) [0-9])/),
  simple('mysqldump', '--version', /(?:Distrib |from |Ver )([0-9.]+)(?!.*(?:Distrib|from) [0-9])/),
  simple('mariadb', '--version', /(?:Distrib |from )([0-9.]+)/),
  simple('sqlite3', '--version'),
  simple('redis-cli', '--version'),
  simple('redis-server', '--version', /v=([0-9.]+)/),
  simple('memcached', '--version'),
  simple('openssl', 'version'),
  simple('curl', '--version'),
  simple('rsync', '--version'),
  simple('tar', '--version'),
  simple('ffmpeg', '-version', /version n?([0-9]+(?:\.[0-9]+)*)/),
  simple('ffprobe', '-version', /version n?([0-9]+(?:\.[0-9]+)*)/),
  simple('convert', '-version', /ImageMagick ([0-9.]+)/),
  simple('magick', '-version', /ImageMagick ([0-9.]+)/),
  simple('gs', '--version'),
  simple('pdftotext', '-v', /version ([0-9.]+)/),
  simple('wkhtmltopdf', '--version'),
  simple('supervisord', '--version'),
  simple('systemctl', '--version'),
])
