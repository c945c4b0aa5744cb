// What the doctor says of the host around its apps.

import t from 'tap'
import {
  judgeClock,
  judgeCurrent,
  judgePolkit,
  judgeProcesses,
  judgeService,
  judgeSystemd,
} from '#agent/doctor/host-judgements.ts'

void t.test('systemd', async (t) => {
  t.same(judgeSystemd('systemd 252 (252.39-1~deb12u1)'), {
    outcome: 'ok',
    found: 'systemd 252',
    remedy: null,
  })
  t.match(judgeSystemd('systemd 245 (245.4-4ubuntu3.24)'), { outcome: 'fail', found: /too old/ })
  t.match(judgeSystemd(null), { outcome: 'warn', found: /does not run/ })
})

void t.test('polkit matters where the agent asks for units', async (t) => {
  const units = ['php8.2-fpm.service']
  t.match(judgePolkit('pkaction version 122', units, 0), { outcome: 'ok', found: 'polkit 122' })
  t.match(judgePolkit('pkaction version 0.119', units, 0), { found: 'polkit 0.119' })
  t.match(judgePolkit('pkaction version 0.105', units, 0), {
    outcome: 'fail',
    found: 'polkit 0.105 knows no single units: the agent may not reload php8.2-fpm.service',
    remedy: /lockstep agent install/,
  })
  t.match(judgePolkit('pkaction version 0.105', units, 2), {
    outcome: 'ok',
    found: 'polkit 0.105; the agent asks over 2 sockets instead, lockstep-ask-*',
  })
  t.match(judgePolkit('pkaction version 0.105', [], 0), { outcome: 'ok' })
  t.match(judgePolkit(null, units, 0), {
    outcome: 'fail',
    found: /not installed: the agent may not/,
  })
  t.match(judgePolkit(null, [], 0), { outcome: 'ok', found: /not needed/ })
})

void t.test('the service', async (t) => {
  t.match(judgeService({ loadState: 'loaded', activeState: 'active', status: '' }), {
    outcome: 'ok',
  })
  t.match(judgeService({ loadState: 'loaded', activeState: 'failed', status: '' }), {
    outcome: 'fail',
    remedy: /journalctl -u lockstep-agent/,
  })
  const status = 'not connected: two agents use the identity of web-1: neither is let in'
  t.match(judgeService({ loadState: 'loaded', activeState: 'active', status }), {
    outcome: 'fail',
    found: /not connected: two agents use the identity/,
    remedy: /journalctl/,
  })
  t.match(judgeService({ loadState: 'not-found', activeState: 'inactive', status: '' }), {
    outcome: 'warn',
  })
  t.match(judgeService(null), { outcome: 'warn' })
})

void t.test('a clock is judged by what is known of it', async (t) => {
  t.match(judgeClock({ offsetMs: 300, errorMs: 600 }), { outcome: 'ok', found: /0\.3 s ± 0\.6 s/ })
  t.match(judgeClock({ offsetMs: 5400, errorMs: 600 }), { outcome: 'ok' })
  t.match(judgeClock({ offsetMs: 90_000, errorMs: 600 }), {
    outcome: 'warn',
    found: '90.0 s (± 0.6 s) behind the controller’s clock',
    remedy: /chrony/,
  })
  t.match(judgeClock({ offsetMs: -9000, errorMs: 600 }), { found: /ahead of/ })
})

void t.test('the link `current`', async (t) => {
  t.match(judgeCurrent({ kind: 'none' }), { outcome: 'ok' })
  t.match(judgeCurrent({ kind: 'release', version: '1', link: 'versions/1' }), {
    outcome: 'ok',
    found: 'current → versions/1',
  })
  t.match(judgeCurrent({ kind: 'directory' }), { outcome: 'fail', found: /never overwritten/ })
  const foreign = { kind: 'foreign', link: 'releases/20260101' } as const
  t.match(judgeCurrent({ ...foreign, resolves: true }), { outcome: 'warn' })
  t.match(judgeCurrent({ ...foreign, resolves: false }), { outcome: 'fail', found: /nowhere/ })
})

void t.test('who still works in an old release', async (t) => {
  t.match(judgeProcesses({ lingering: [], unseen: 0 }), { outcome: 'ok' })
  t.match(judgeProcesses({ lingering: [], unseen: 7 }), { outcome: 'unknown', remedy: /as root/ })
  const worker = { pid: 7, name: 'node', unit: 'shop.service', version: '1.0.0' }
  const script = { pid: 8, name: 'sleep', unit: null, version: '1.0.0' }
  t.match(judgeProcesses({ lingering: [worker, script], unseen: 0 }), {
    outcome: 'warn',
    found: 'still in an old release: node (7, shop.service) in 1.0.0, sleep (8) in 1.0.0',
    remedy: /^Restart shop\.service after each activation/,
  })
  const many = Array.from({ length: 7 }, () => script)
  t.match(judgeProcesses({ lingering: many, unseen: 0 }), { found: /and 2 more$/ })
})
