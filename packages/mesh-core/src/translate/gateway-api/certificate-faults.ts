// Certificates a listener names and cannot have.

import { isSecret, MAX_CERTIFICATES } from './listener-tls.ts';
import type { Fault, Listener } from './listeners.ts';
import { granted } from './grants.ts';
import type { GatewayWorld } from './world.ts';

/** None where the listener has one certificate it can use. */
export function certificateFaults({ gateway, spec }: Listener, { secrets, grants }: Pick<GatewayWorld, 'secrets' | 'grants'>): Fault[] {
  const { mode = 'Terminate', certificateRefs = [], options = {} } = spec.tls ?? {};
  if (spec.tls === undefined || mode !== 'Terminate' || options['gateway.istio.io/tls-terminate-mode']?.startsWith('ISTIO_') === true) return [];
  const fault = (reason: string, message: string, path: string): Fault => ({ condition: 'ResolvedRefs', reason, message, path: `tls.${path}` });
  if (certificateRefs.length > MAX_CERTIFICATES)
    return [fault('InvalidCertificateRef', `TLS mode can only support up to ${MAX_CERTIFICATES} server certificates`, 'certificateRefs')];
  const { namespace } = gateway.metadata;
  const faults = certificateRefs.map((ref, i): Fault | undefined => {
    const home = ref.namespace ?? namespace;
    const path = `certificateRefs[${i}]`;
    if (!isSecret(ref)) return fault('InvalidCertificateRef', `invalid certificate reference ${ref.kind} ${ref.name}, only secret is allowed`, `${path}.kind`);
    const data = secrets.get(`${home}/${ref.name}`)?.spec.data;
    if (data === undefined) return fault('InvalidCertificateRef', `secret ${home}/${ref.name} not found`, `${path}.name`);
    if (!(data['tls.crt'] !== undefined && data['tls.key'] !== undefined) && !(data['cert'] !== undefined && data['key'] !== undefined))
      return fault('InvalidCertificateRef', `secret ${home}/${ref.name} has no tls.crt and tls.key`, `${path}.name`);
    const to = { group: '', kind: 'Secret', namespace: home, name: ref.name };
    return granted(grants, { from: { kind: 'Gateway', namespace }, to })
      ? undefined
      : fault(
          'RefNotPermitted',
          `certificateRef ${ref.name}/${home} not accessible to a Gateway in namespace "${namespace}" (missing a ReferenceGrant?)`,
          path,
        );
  });
  return faults.includes(undefined) ? [] : faults.filter((f) => f !== undefined);
}
