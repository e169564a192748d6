// The control plane's own serving certificate, renewed at half life without closing a connection.

import type { CertificateAuthority } from '../certificates/ca.ts';
import { OptionalClientCertificate } from './tls-credentials.ts';

const HOST_NAMES = [
  { type: 'dns', value: 'localhost' },
  { type: 'dns', value: 'weft' },
  { type: 'ip', value: '127.0.0.1' },
  { type: 'ip', value: '::1' },
] as const;
const RETRY_MS = 60_000;

/** Issues the certificate and keeps it fresh until `stop`; `onError` hears of a failed renewal (tried again each minute). */
export async function keepServerCertificate(options: {
  ca: CertificateAuthority;
  clock: () => number;
  rootNamespace: string;
  onError: (error: unknown) => void;
}): Promise<{
  credentials: OptionalClientCertificate;
  stop: () => void;
}> {
  const { ca, clock } = options;
  const identity = { trustDomain: ca.trustDomain, namespace: options.rootNamespace, serviceAccount: 'weft-control-plane' };
  const issue = () => ca.issueLeaf(identity, { hostNames: HOST_NAMES });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const first = await issue();
  const credentials = new OptionalClientCertificate(ca.rootCaPem, first);
  const schedule = (wait: number): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      issue().then(
        (leaf) => {
          credentials.replace(leaf);
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
    credentials,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
