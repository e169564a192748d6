// Stock Envoy as a delta ADS client over mutual TLS, with one upstream listener; requests are sent to that.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { CertificateAuthority } from '../../src/certificates/ca.ts';

/** `ENVOY_BIN`, one on PATH, or the one `npm test` has installed; undefined when there is none. */
export function envoyBinary(): string | undefined {
  const lib = join(process.env['WEFT_ENGINES'] ?? join(homedir(), '.cache/weft/engines'), 'envoy-1.40.0/lib');
  const candidates = [
    process.env['ENVOY_BIN'] ?? '',
    ...(process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, 'envoy')),
    ...(existsSync(lib) ? readdirSync(lib).map((python) => join(lib, python, 'site-packages/envoy/_bin/envoy')) : []),
  ];
  return candidates.find((path) => path !== '' && existsSync(path));
}

export interface EnvoyOptions {
  binary: string;
  ca: CertificateAuthority;
  xdsPort: number;
  upstream: { host: string; port: number; listenPort: number };
}

export async function startEnvoy({ binary, ca, xdsPort, upstream }: EnvoyOptions): Promise<{ stop: () => Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-envoy-'));
  const leaf = await ca.issueLeaf({ trustDomain: ca.trustDomain, namespace: 'bookinfo', serviceAccount: 'client' });
  const bootstrap = {
    node: {
      id: 'sidecar~127.0.0.1~client.bookinfo~bookinfo.svc.cluster.local',
      cluster: 'client.bookinfo',
      metadata: {
        NAMESPACE: 'bookinfo',
        WORKLOAD_NAME: 'client',
        SERVICE_ACCOUNT: 'client',
        LABELS: { app: 'client' },
        WEFT_DATA_PLANE: 'envoy',
        WEFT_UPSTREAMS: [upstream],
      },
    },
    admin: { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } },
    dynamicResources: {
      adsConfig: {
        apiType: 'DELTA_GRPC',
        transportApiVersion: 'V3',
        setNodeOnFirstMessageOnly: true,
        grpcServices: [{ envoyGrpc: { clusterName: 'weft-xds' } }],
      },
      ldsConfig: { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' },
      cdsConfig: { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' },
    },
    staticResources: {
      clusters: [
        {
          name: 'weft-xds',
          type: 'STATIC',
          loadAssignment: {
            clusterName: 'weft-xds',
            endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: xdsPort } } } }] }],
          },
          typedExtensionProtocolOptions: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicitHttpConfig: { http2ProtocolOptions: {} },
            },
          },
          transportSocket: {
            name: 'envoy.transport_sockets.tls',
            typedConfig: {
              '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
              commonTlsContext: {
                alpnProtocols: ['h2'],
                tlsCertificates: [{ certificateChain: { inlineString: leaf.certificatePem }, privateKey: { inlineString: leaf.privateKeyPem } }],
                validationContext: { trustedCa: { inlineString: ca.rootCaPem } },
              },
            },
          },
        },
      ],
    },
  };
  const config = join(dir, 'bootstrap.json');
  const log = join(dir, 'envoy.log');
  writeFileSync(config, JSON.stringify(bootstrap));
  const child = spawn(binary, ['-c', config, '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'warn', '--log-path', log], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => {
    child.on('exit', () => resolve());
    child.on('error', () => resolve());
  });
  return {
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
      if (process.env['WEFT_TEST_LOG'] !== undefined && existsSync(log)) process.stderr.write(readFileSync(log));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
