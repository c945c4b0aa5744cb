// What the controller's options come to: TLS wherever others could listen, unless it is said otherwise.

import t from 'tap'
import { chooseTls } from '#shared/tls-choice.ts'

void t.test('loopback is plain HTTP unless TLS is asked for', async (t) => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
    t.same(chooseTls(host, {}), { mode: 'plain', forced: false }, host)
    t.same(chooseTls(host, { tls: true }), { mode: 'own-ca', names: [] }, host)
    t.same(chooseTls(host, { 'tls-name': ['deploy.example.com'] }), {
      mode: 'own-ca',
      names: ['deploy.example.com'],
    })
  }
})

void t.test('any other address has TLS by an authority of its own', async (t) => {
  for (const host of ['0.0.0.0', '10.0.0.1', '::', 'deploy.example.com', '127.0.0.1.example.com']) {
    t.same(chooseTls(host, {}), { mode: 'own-ca', names: [] }, host)
  }
})

void t.test(
  'the other ways are taken when they are asked for, and forced is remembered',
  async (t) => {
    t.same(chooseTls('0.0.0.0', { 'plain-http': true }), { mode: 'plain', forced: true })
    t.same(chooseTls('127.0.0.1', { 'plain-http': true }), { mode: 'plain', forced: false })
    t.same(chooseTls('0.0.0.0', { 'behind-proxy': true }), { mode: 'behind-proxy' })
    t.same(chooseTls('127.0.0.1', { 'tls-cert': 'c', 'tls-key': 'k' }), {
      mode: 'given',
      certificateFile: 'c',
      keyFile: 'k',
    })
  },
)

void t.test('options that contradict each other are refused, each pair by its names', async (t) => {
  const wrong = [
    { 'tls-cert': 'c' },
    { 'tls-key': 'k' },
    { 'tls': true, 'plain-http': true },
    { 'tls': true, 'tls-cert': 'c', 'tls-key': 'k' },
    { 'tls-name': ['a'], 'behind-proxy': true },
    { 'behind-proxy': true, 'plain-http': true },
    { 'tls-cert': 'c', 'tls-key': 'k', 'plain-http': true },
  ]
  for (const options of wrong) {
    t.throws(() => chooseTls('0.0.0.0', options), { code: 'bad-usage', hint: /./ })
  }
})

void t.test('names are host names and addresses, without brackets or ports', async (t) => {
  const choice = chooseTls('0.0.0.0', {
    'tls-name': ['[2001:db8::1]', '*.example.com', '10.0.0.1'],
  })
  t.same(choice, { mode: 'own-ca', names: ['2001:db8::1', '*.example.com', '10.0.0.1'] })
  for (const name of ['a b', 'a:7400', 'https://a', '', '-a', 'ä.example.com', 'a\nb']) {
    t.throws(() => chooseTls('0.0.0.0', { 'tls-name': [name] }), { code: 'bad-usage' }, name)
  }
})
