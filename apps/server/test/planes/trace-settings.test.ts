// What a Telemetry says of traces, as the application sees it, on both data planes.

import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PLANES, object, startPlane } from './planes.ts';

const app = createServer((asked, response) => response.end(String(asked.headers['traceparent'])));
beforeAll(() => new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve)));
afterAll(() => {
  app.close();
});

function ask(port: number, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('latin1').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

const OTHERS = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe.each(PLANES)('%s', (plane) => {
  const started = async (tracing: object): Promise<number> => {
    const entry = object('ServiceEntry', 'a', {
      ...{ hosts: ['a.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
      endpoints: [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }],
    });
    const customTags = { path: { formatter: { value: '%REQ(:path)%' } } };
    const telemetry = object('telemetry.istio.io/v1 Telemetry', 't', { tracing: [{ customTags, ...tracing }] });
    const node = { upstreams: [{ host: 'a.test', port: 80, listenPort: 1 }] };
    return (await startPlane(plane, [entry, telemetry], { node }))('a.test_80');
  };

  test('disableContextPropagation: no trace headers of the proxy, those of the client go on', async () => {
    const port = await started({ disableContextPropagation: true, randomSamplingPercentage: 100 });
    expect(await ask(port)).toBe('undefined');
    expect(await ask(port, { traceparent: OTHERS })).toBe(OTHERS);
  });

  test('useRequestIdForTraceSampling: false: a trace nobody has decided on is recorded', async () => {
    const port = await started({ useRequestIdForTraceSampling: false, randomSamplingPercentage: 0 });
    expect(await ask(port)).toMatch(/-01$/);
    expect(await ask(port, { traceparent: OTHERS.replace(/01$/, '00') })).toMatch(/-00$/);
  });
});
