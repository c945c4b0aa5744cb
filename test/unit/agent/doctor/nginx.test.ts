// What the doctor reads in nginx's configuration, and what it says of it.

import t from 'tap'
import { parseNginx, splitDump } from '#agent/doctor/nginx-configuration.ts'
import { judgeNginx, passesRealPath, servedApp } from '#agent/doctor/nginx-judgement.ts'

const root = '/var/www/sites/shop'

/** As Debian ships it, and as `nginx -T` prints it. */
const debian = (server: string): string => `# configuration file /etc/nginx/nginx.conf:
user www-data;
events { worker_connections 768; # multi_accept on;
}
http {
	include /etc/nginx/mime.types;
	log_format main '$remote_addr - $remote_user [$time_local] "$request" '
	                '$status {$body_bytes_sent}';
	map $http_upgrade $connection { default upgrade; '' close; }
	include /etc/nginx/conf.d/*.conf;
	include /etc/nginx/sites-enabled/*;
}

# configuration file /etc/nginx/mime.types:
types { text/html html htm; }

# configuration file /etc/nginx/sites-enabled/shop:
${server}

# configuration file /etc/nginx/snippets/fastcgi-php.conf:
fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
try_files $fastcgi_script_name =404;
set $path_info $fastcgi_path_info;
fastcgi_param PATH_INFO $path_info;
fastcgi_index index.php;
include fastcgi.conf;

# configuration file /etc/nginx/fastcgi.conf:
fastcgi_param  SCRIPT_FILENAME    $document_root$fastcgi_script_name;
fastcgi_param  QUERY_STRING       $query_string;
fastcgi_param  DOCUMENT_ROOT      $document_root;
`

function served(server: string) {
  const files = splitDump(debian(server))
  return servedApp(parseNginx(files, '/etc/nginx/nginx.conf'), root)
}

const shop = (location: string, more = ''): string => `
server {
	listen 80;
	server_name shop.example.com www.shop.example.com;
	root ${root}/current/public;
	${more}
	location ~ \\.php$ {
		include snippets/fastcgi-php.conf;
		fastcgi_pass unix:/run/php/php8.2-fpm.sock;
		${location}
	}
}`

const realScript = 'fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;'
const realRoot = 'fastcgi_param DOCUMENT_ROOT $realpath_root;'

void t.test('Debian’s own snippet names the path through `current`', async (t) => {
  const found = served(shop(''))
  t.same(found, {
    roots: 1,
    php: [
      {
        where: 'shop.example.com, location ~ \\.php$',
        scriptFilename: '$document_root$fastcgi_script_name',
        documentRoot: '$document_root',
      },
    ],
    rememberedFiles: [],
  })
  t.match(judgeNginx(found), {
    outcome: 'fail',
    found: /shop\.example\.com, location ~ \\\.php\$ \(\$document_root\$fastcgi_script_name\)/,
    remedy: /\$realpath_root\$fastcgi_script_name/,
  })
  t.notOk(passesRealPath(found))
})

void t.test('what stands after the include wins', async (t) => {
  t.match(judgeNginx(served(shop(realScript))), {
    outcome: 'warn',
    found: /DOCUMENT_ROOT|document r/,
  })
  const found = served(shop(realScript + realRoot))
  t.match(judgeNginx(found), { outcome: 'ok', found: /PHP is given \$realpath_root/ })
  t.ok(passesRealPath(found))
  const braces = 'fastcgi_param SCRIPT_FILENAME "${realpath_root}/index.php";' + realRoot
  t.match(judgeNginx(served(shop(braces))), { outcome: 'ok' })
})

void t.test('parameters of a server are inherited only where a location has none', async (t) => {
  const location = (own: string) => `
    server { root ${root}/current; ${realScript} ${realRoot}
      location /a { location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; ${own} } } }`
  t.match(judgeNginx(served(location(''))), { outcome: 'ok' })
  t.match(served(location('')).php, [
    { where: 'a server without a name, location /a, location ~ \\.php$' },
  ])
  t.match(judgeNginx(served(location('fastcgi_param HTTPS on;'))), {
    outcome: 'fail',
    found: /\(no SCRIPT_FILENAME\)/,
  })
})

void t.test('only what leads through this app’s `current` is judged', async (t) => {
  for (const other of ['/var/www/sites/shop2/current', '/var/www/sites/shop/currently', '$other']) {
    const server = shop('').replace(`${root}/current/public`, other)
    t.match(judgeNginx(served(server)), { outcome: 'ok', found: /no server of nginx/ }, other)
  }
  const alias = `server { root /var/www; location /shop/ { alias ${root}/current/public/; } }`
  t.match(judgeNginx(served(alias)), { outcome: 'ok', found: /a server or location.*without PHP/ })
})

void t.test('a cache of open files keeps the old release’s', async (t) => {
  const cache = 'open_file_cache max=1000 inactive=20s;'
  t.match(judgeNginx(served(shop(realScript + realRoot, cache))), {
    outcome: 'warn',
    found: /open_file_cache .* shop\.example\.com/,
  })
  t.match(judgeNginx(served(shop(realScript + realRoot, 'open_file_cache off;'))), {
    outcome: 'ok',
  })
})

void t.test('quotes, comments, Lua and circles do not lead the reader astray', async (t) => {
  const files = new Map([
    [
      '/etc/nginx/nginx.conf',
      `a "x { ; } # \\" y" 'z;'; # b { c;
       d ~ ^/(?:a|b)\\{2\\}$ { e $\{f}g; }
       content_by_lua_block { if x then y = "{" .. { 1 } end } h;
       include nginx.conf; include missing.conf; include "conf.d/[ab].conf";`,
    ],
    ['/etc/nginx/conf.d/a.conf', 'in_a;'],
    ['/etc/nginx/conf.d/c.conf', 'in_c;'],
    ['/etc/nginx/conf.d/b.conf', 'in_b { unfinished'],
  ])
  const [first, second, third, ...rest] = parseNginx(files, '/etc/nginx/nginx.conf')
  t.same(first, { name: 'a', args: ['x { ; } # " y', 'z;'], block: [] })
  t.match(second, { name: 'd', block: [{ name: 'e', args: ['${f}g'] }] })
  t.match(third, { name: 'h' })
  t.ok(rest.some(({ name }) => name === 'in_a') && rest.some(({ name }) => name === 'in_b'))
  t.notOk(rest.some(({ name }) => name === 'in_c'))
})
