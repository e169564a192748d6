import { expect, test } from 'vitest';
import { analyzeText, findingLines } from './analyze-command.ts';
import { joined } from './config-files.ts';

const VS = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: shop }
spec:
  hosts: [reviews]
  http: [{ route: [{ destination: { host: reviews, subset: v9 } }] }]
`;
const SERVICE = `apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { selector: { app: reviews }, ports: [{ name: http, port: 80 }] }
`;
const DR = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec: { host: reviews, subsets: [{ name: v1, labels: { version: v1 } }] }
`;

test('files by themselves: a subset that none of them has is an error, with the object that names it', () => {
  const lines = findingLines(analyzeText(`${VS}---\n${DR}---\n${SERVICE}`), (line) => `line ${line}`);
  expect(lines.filter((l) => l.startsWith('Error'))).toEqual([expect.stringMatching(/^Error \[\w+\] \(VirtualService\/shop\/reviews line 6\) .*v9/)]);
});

test('a wrong field is told with the file and line it stands on, errors before warnings', () => {
  const { text, placeOf } = joined([
    { name: 'dr.yaml', text: DR },
    { name: 'vs.yaml', text: VS.replace('hosts: [reviews]', 'hosts: [reviews]\n  htp: []') },
  ]);
  const [first] = findingLines(analyzeText(text), placeOf);
  expect(first).toMatch(/^Error \[WEFT_SCHEMA\] \(VirtualService\/shop\/reviews vs\.yaml line 6\) .*htp/);
  const ref = { kind: 'KubernetesGateway', namespace: 'shop', name: 'web' };
  expect(findingLines([{ severity: 'info', code: 'IST3', message: 'i', ref }])).toEqual(['Info [IST3] (Gateway/shop/web) i']);
  const warning = { severity: 'warning', code: 'IST1', message: 'w' } as const;
  expect(findingLines([warning, { severity: 'error', code: 'IST2', message: 'e' }])).toEqual(['Error [IST2] e', 'Warning [IST1] w']);
});
