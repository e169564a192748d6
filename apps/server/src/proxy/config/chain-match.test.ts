import { expect, test } from 'vitest';
import { compileChainMatch, type ConnectionFacts } from './chain-match.ts';
import type { ChainMatch } from './model.ts';

const match = (fields: Partial<ChainMatch>): ChainMatch => ({ transportProtocol: 'any', applicationProtocols: [], serverNames: [], ...fields });
const facts = (fields: Partial<ConnectionFacts>): ConnectionFacts => ({
  destinationAddress: '10.0.0.5',
  destinationPort: 443,
  serverName: '',
  transportProtocol: 'raw_buffer',
  applicationProtocols: [],
  directSourceAddress: '192.168.1.7',
  sourceAddress: '192.168.1.7',
  sourcePort: 40_000,
  ...fields,
});
const chosen = (matches: Partial<ChainMatch>[], connection: Partial<ConnectionFacts>): number | undefined =>
  compileChainMatch(matches.map(match)).find(facts(connection));

test('the most specific server name wins, whatever the order of the chains', () => {
  const chains = [{ serverNames: [] }, { serverNames: ['*.example.com'] }, { serverNames: ['*.shop.example.com'] }, { serverNames: ['www.shop.example.com'] }];
  const of = (serverName: string): number | undefined => chosen(chains, { serverName, transportProtocol: 'tls' });
  expect(['www.shop.example.com', 'api.shop.example.com', 'example.com', 'a.b.example.com', ''].map(of)).toEqual([3, 2, 0, 1, 0]);
});

test.each<[string, Partial<ChainMatch>[], Partial<ConnectionFacts>, number | undefined]>([
  ['port', [{}, { destinationPort: 443 }], {}, 1],
  ['longest destination prefix', [{ prefixRanges: [{ address: '10.0.0.0', length: 8 }] }, { prefixRanges: [{ address: '10.0.0.0', length: 24 }] }, {}], {}, 1],
  ['IPv6 destination', [{}, { prefixRanges: [{ address: '2001:db8::', length: 32 }] }], { destinationAddress: '2001:db8::9' }, 1],
  ['transport protocol', [{ transportProtocol: 'tls' }, { transportProtocol: 'raw_buffer' }], {}, 1],
  [
    'first known application protocol of the client',
    [{ applicationProtocols: ['http/1.1'] }, { applicationProtocols: ['h2'] }],
    { applicationProtocols: ['x', 'h2', 'http/1.1'] },
    1,
  ],
  ['loopback source', [{ sourceType: 'external' }, { sourceType: 'local' }], { sourceAddress: '127.0.0.1' }, 1],
  ['external source', [{ sourceType: 'external' }, { sourceType: 'local' }], {}, 0],
  ['source prefix', [{}, { sourcePrefixRanges: [{ address: '192.168.0.0', length: 16 }] }], {}, 1],
  ['source port', [{ sourcePorts: [1] }, { sourcePorts: [40_000, 40_001] }], {}, 1],
  [
    'the socket, not the client, for direct source',
    [{}, { directSourcePrefixRanges: [{ address: '192.168.1.7', length: 32 }] }],
    { sourceAddress: '8.8.8.8' },
    1,
  ],
  // Envoy never goes back to a less specific branch once it chose one.
  ['no way back', [{ destinationPort: 443, transportProtocol: 'tls' }, {}], {}, undefined],
])('%s decides', (_, chains, connection, expected) => expect(chosen(chains, connection)).toBe(expected));

test('chains no connection can tell apart are named', () => {
  expect(compileChainMatch([match({ serverNames: ['a.test', 'b.test'] }), match({ serverNames: ['b.test'] })]).duplicates).toEqual([[0, 1]]);
  expect(compileChainMatch([match({ transportProtocol: 'tls' }), match({})]).duplicates).toEqual([]);
});
