import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { chain, cluster, listener, manager, startRig } from '../listener/testing/rig.ts';

const h2spec = process.env['H2SPEC_BIN'];
if (h2spec === undefined) process.stderr.write('weft: skipped: h2spec: H2SPEC_BIN is not set (npm test installs it)\n');

test.skipIf(h2spec === undefined)(
  'h2spec finds nothing',
  async () => {
    const app = createServer((incoming, response) => {
      incoming.resume();
      incoming.on('end', () => response.end('a body that needs some window'));
    });
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    // Not `auto`: there, what is not the preface is HTTP/1.1 and is told so.
    const http2 = listener({ chains: [chain({ http: manager({ codec: 'http2' }) })] });
    const rig = await startRig({ listener: http2, clusters: [cluster([(app.address() as AddressInfo).port])] });
    const output = await new Promise<string>((resolve) => {
      execFile(h2spec ?? '', ['-h', '127.0.0.1', '-p', String(rig.port), '-o', '2'], { maxBuffer: 16 * 1024 * 1024 }, (_, stdout) => resolve(stdout));
    });
    await rig.close();
    app.closeAllConnections();
    app.close();
    const failures = output.slice(Math.max(output.indexOf('Failures:'), 0));
    expect(failures, output).toMatch(/\d+ tests, \d+ passed, \d+ skipped, 0 failed/);
    expect(Number(/(\d+) passed/.exec(failures)?.[1])).toBeGreaterThanOrEqual(145);
  },
  120_000,
);
