import { expect, test } from 'vitest';
import { refusesWrite } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';

const telemetry = (spec: unknown) => ({ apiVersion: 'telemetry.istio.io/v1', kind: 'Telemetry', metadata: { name: 't', namespace: 'istio-system' }, spec });
const told = (spec: unknown): string[] => analyzeObjects([telemetry(spec)]).map((p) => `${p.code} ${p.path}: ${p.message}`);

test('a tag nobody can work out and a filter nobody can evaluate are told, with the name that is not known', () => {
  const tagOverrides = { request_operation: { value: 'istio_operationId' }, request_host: { value: 'request.host' }, response_flags: { operation: 'REMOVE' } };
  expect(told({ metrics: [{ overrides: [{ tagOverrides }] }] })).toEqual([
    'WEFT_TAG_UNKNOWN spec.metrics[0].overrides[0].tagOverrides["request_operation"].value: The tag request_operation will always be unknown: of istio_operationId, istio_operationId is not known here.',
  ]);
  expect(told({ accessLogging: [{ filter: { expression: 'response.code >= 400' } }, { filter: { expression: 'response.code >' } }] })).toEqual([
    'WEFT_FILTER_UNKNOWN spec.accessLogging[1].filter.expression: Embedded proxies refuse the filter response.code >: it ends too early at position 15.',
  ]);
});

test('a selector of workloads that are not there yet is told, and refuses no write; a program that only calls others, or a gateway, is one', () => {
  const object = telemetry({ selector: { matchLabels: { app: 'curl' } } });
  const proxy = { namespace: 'istio-system', identity: 'spiffe://cluster.local/ns/istio-system/sa/curl', labels: { app: 'curl' } };
  expect(analyzeObjects([object]).map((p) => [p.code, refusesWrite(p)])).toEqual([['KIA0004', false]]);
  expect(analyzeObjects([object], [proxy])).toEqual([]);
});

test('the provider of metrics and that of logs go by the names they have in Istio; of others it is told that they are these', () => {
  const providers = (...names: string[]) => ({ providers: names.map((name) => ({ name })) });
  expect(told({ metrics: [providers('prometheus')], accessLogging: [providers('envoy')] })).toEqual([]);
  expect(told({ metrics: [providers('prometheus', 'envoy')], tracing: [providers('otel')] }).map((text) => text.split(':')[0])).toEqual([
    'WEFT_NO_EFFECT spec.tracing[0].providers[0]',
    'WEFT_NO_EFFECT spec.metrics[0].providers[1]',
  ]);
});
