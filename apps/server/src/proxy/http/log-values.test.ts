import { afterAll, expect, test } from 'vitest';
import { addressCommand } from './address-commands.ts';
import type { HeaderValueSource } from './header-values.ts';
import { compileTime } from './time-format.ts';

const zone = process.env['TZ'];
afterAll(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

test('addresses of IPv6 have brackets before a port, and blocks of any size', () => {
  const source = { record: { downstreamAddress: '2001:db8:1:2::a:5', upstreamAddress: '[::1]:80' } } as unknown as HeaderValueSource;
  const said = (command: string, argument?: string): string | undefined => addressCommand(command, argument)?.(source);
  expect(said('DOWNSTREAM_REMOTE_ADDRESS')).toBe('[2001:db8:1:2::a]:5');
  expect(said('DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT')).toBe('2001:db8:1:2::a');
  expect(said('DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', '33')).toBe('2001:db8::/33');
  expect(said('DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', 'x')).toBe('2001:db8:1:2::a');
  expect(said('UPSTREAM_REMOTE_ADDRESS')).toBe('[::1]:80');
  expect(said('UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', '200')).toBe('::1/128');
  expect(said('UPSTREAM_REMOTE_PORT')).toBe('80');
  expect(said('UPSTREAM_REMOTE_PORT', '8')).toBeUndefined();
});

test('local times tell their offset', () => {
  const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  process.env['TZ'] = 'America/St_Johns';
  expect(compileTime('', true)?.(at)).toBe('2026-01-01T23:34:05.678-0330');
  expect(compileTime('%H:%M %z %s')?.(at)).toBe('03:04 +0000 1767323045');
  process.env['TZ'] = 'Asia/Kolkata';
  expect(compileTime('%F %H:%M %z %s', true)?.(at)).toBe('2026-01-02 08:34 +0530 1767323045');
  expect(compileTime('%Z', true)).toBeUndefined();
});
