// What the doctor reads of PHP-FPM's settings, and what it says of them.

import t from 'tap'
import { judgePhp } from '#agent/doctor/php-judgement.ts'
import { settingsOfFiles, settingsOfInfo } from '#agent/doctor/php-settings.ts'

const info = `phpinfo()
PHP Version => 8.2.20

realpath_cache_size => 4096K => 4096K
realpath_cache_ttl => 120 => 120

Zend OPcache

Opcode Caching => Up and Running
Directive => Local Value => Master Value
opcache.enable => On => On
opcache.max_accelerated_files => 10000 => 10000
opcache.revalidate_freq => 2 => 2
opcache.validate_timestamps => Off => On
`

void t.test('settings are read as `php-fpm -i` prints them', async (t) => {
  t.same(settingsOfInfo('php-fpm8.2', info), {
    source: 'php-fpm8.2',
    opcacheEnabled: true,
    validateTimestamps: false,
    revalidateSeconds: 2,
    maxAcceleratedFiles: 10000,
    realpathCacheSeconds: 120,
  })
  t.match(settingsOfInfo('php-fpm8.2', 'PHP Version => 8.2.20\n'), {
    opcacheEnabled: false,
    realpathCacheSeconds: 120,
  })
})

void t.test('settings are read from files, the last wins', async (t) => {
  const files = [
    '; opcache.enable=0\nopcache.validate_timestamps=1\nrealpath_cache_ttl = 600 ; long\n',
    'opcache.max_accelerated_files="20000"\n',
    '[www]\npm = dynamic\nphp_admin_flag[opcache.validate_timestamps] = off\n',
  ]
  t.same(settingsOfFiles('/etc/php/8.2/fpm', files), {
    source: '/etc/php/8.2/fpm',
    opcacheEnabled: true,
    validateTimestamps: false,
    revalidateSeconds: 2,
    maxAcceleratedFiles: 20000,
    realpathCacheSeconds: 600,
  })
})

void t.test('an old release must not run on after a swap', async (t) => {
  const settings = settingsOfInfo('fpm', info)
  const facts = { settings, phpFiles: 900, passesRealPath: false, isReset: false }
  t.match(judgePhp(facts), { outcome: 'fail', found: /the old release runs on/ })
  t.match(judgePhp({ ...facts, passesRealPath: null }), { outcome: 'fail' })
  const checked = { ...settings, validateTimestamps: true }
  t.match(judgePhp({ ...facts, settings: checked }), { outcome: 'warn', found: /up to 120 s/ })
  t.match(judgePhp({ ...facts, isReset: true }), { outcome: 'ok' })
  t.match(judgePhp({ ...facts, passesRealPath: true, isReset: true }), {
    outcome: 'ok',
    found: 'fpm: opcache has room for 16229 files, and the release has 900',
  })
})

void t.test('the opcode cache has room for two releases, and is emptied', async (t) => {
  const settings = settingsOfInfo('fpm', info)
  const facts = { settings, phpFiles: 9000, passesRealPath: true, isReset: true }
  t.match(judgePhp(facts), {
    outcome: 'warn',
    found: 'fpm: opcache has room for 16229 files, and two releases have 18000',
    remedy: 'Set opcache.max_accelerated_files to 18000 or more.',
  })
  t.match(judgePhp({ ...facts, phpFiles: 1600, isReset: false }), {
    outcome: 'warn',
    found: /adds 1600 files .* full after about 10 swaps/,
    remedy: /opcache = "SOCKET"/,
  })
  const off = { ...settings, opcacheEnabled: false }
  t.match(judgePhp({ ...facts, settings: off }), { outcome: 'ok', found: 'fpm: opcache is off' })
})
