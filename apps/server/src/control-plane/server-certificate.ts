// The control plane's own serving certificate, renewed at half life without closing a connection.

import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import type { CertificateAuthority } from '../certificates/ca.ts';

const HOST_NAMES = [
  { type: 'dns', value: 'localhost' },
  { type: 'dns', value: 'weft' },
  { type: 'ip', value: '127.0.0.1' },
  { type: 'ip', value: '::1' },
] as const;
const RETRY_MS = 60_000;

export interface ServerCertificate {
  /** What TLS of the serving port is set up with now. */
  context(): SecureContextOptions;
  onRenewed(listener: (context: SecureContextOptions) => void): void;
  stop(): void;
}

/** Issues the certificate and keeps it fresh until `stop`; `onError` hears of a failed renewal (tried again each minute). */
export async function keepServerCertificate(options: {
  ca: CertificateAuthority;
  clock: () => number;
  rootNamespace: string;
  onError: (error: unknown) => void;
}): Promise<ServerCertificate> {
  const { ca, clock } = options;
  const identity = { trustDomain: ca.trustDomain, namespace: options.rootNamespace, serviceAccount: 'weft-control-plane' };
  const issue = () => ca.issueLeaf(identity, { hostNames: HOST_NAMES });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const first = await issue();
  let context = secureContext(ca.rootCaPem, first);
  let renewed: (context: SecureContextOptions) => void = () => undefined;
  const schedule = (wait: number): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      issue().then(
        (leaf) => {
          context = secureContext(ca.rootCaPem, leaf);
          renewed(context);
          schedule((leaf.notAfter - clock()) / 2);
        },
        (error: unknown) => {
          options.onError(error);
          schedule(RETRY_MS);
        },
      );
    }, wait);
    timer.unref();
  };
  schedule((first.notAfter - clock()) / 2);
  return {
    context: () => context,
    onRenewed: (listener) => {
      renewed = listener;
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function secureContext(rootCaPem: string, { privateKeyPem, certificatePem }: { privateKeyPem: string; certificatePem: string }): SecureContextOptions {
  return {
    ca: rootCaPem,
    key: privateKeyPem,
    cert: certificatePem,
    minVersion: 'TLSv1.2',
    // No resumption: every connection proves its certificate anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
