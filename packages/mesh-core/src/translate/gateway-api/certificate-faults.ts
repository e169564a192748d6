// Certificates a listener names and cannot have.

import { type CertificateRef, MAX_CERTIFICATES, MODE_OPTION, bundleResource, isSecret, validationOf } from './listener-tls.ts';
import type { Fault, Listener } from './listeners.ts';
import { granted } from './grants.ts';
import type { GatewayWorld } from './world.ts';

export type CertificateWorld = Pick<GatewayWorld, 'secrets' | 'grants' | 'configMaps'>;

/** None where the listener has one certificate it can use. */
export function certificateFaults({ gateway, spec }: Listener, world: CertificateWorld): Fault[] {
  const { mode = 'Terminate', certificateRefs = [], options = {} } = spec.tls ?? {};
  if (spec.tls === undefined || mode !== 'Terminate' || options[MODE_OPTION]?.startsWith('ISTIO_') === true) return [];
  if (certificateRefs.length > MAX_CERTIFICATES)
    return [fault('InvalidCertificateRef', `TLS mode can only support up to ${MAX_CERTIFICATES} server certificates`, 'certificateRefs')];
  const faults = certificateRefs.map((ref, i) => certificateFault(gateway, ref, world, `certificateRefs[${i}]`));
  if (faults.length > 0 && !faults.includes(undefined)) return faults.filter((f) => f !== undefined);
  return bundleFaults(gateway, spec.port, world);
}

const fault = (reason: string, message: string, path: string): Fault => ({ condition: 'ResolvedRefs', reason, message, path: `tls.${path}` });

/** Of one certificate a Gateway names. */
export function certificateFault(
  { metadata: { namespace } }: Listener['gateway'],
  ref: CertificateRef,
  { secrets, grants }: CertificateWorld,
  path = '',
): Fault | undefined {
  const home = ref.namespace ?? namespace;
  if (!isSecret(ref)) return fault('InvalidCertificateRef', `invalid certificate reference ${ref.kind} ${ref.name}, only secret is allowed`, `${path}.kind`);
  const data = secrets.get(`${home}/${ref.name}`)?.spec.data;
  if (data === undefined) return fault('InvalidCertificateRef', `secret ${home}/${ref.name} not found`, `${path}.name`);
  if (!(data['tls.crt'] !== undefined && data['tls.key'] !== undefined) && !(data['cert'] !== undefined && data['key'] !== undefined))
    return fault('InvalidCertificateRef', `secret ${home}/${ref.name} has no tls.crt and tls.key`, `${path}.name`);
  if (granted(grants, { from: { kind: 'Gateway', namespace }, to: { group: '', kind: 'Secret', namespace: home, name: ref.name } })) return undefined;
  return fault(
    'RefNotPermitted',
    `certificateRef ${ref.name}/${home} not accessible to a Gateway in namespace "${namespace}" (missing a ReferenceGrant?)`,
    path,
  );
}

/** Of the bundle clients are checked with. */
function bundleFaults({ metadata: { namespace }, spec }: Listener['gateway'], port: number, world: CertificateWorld): Fault[] {
  const refs = validationOf(spec, port)?.caCertificateRefs ?? [];
  const [ref] = refs;
  if (ref === undefined) return [];
  // In the listener no field says it: the Gateway does, for all of the port.
  const missing = (reason: string, message: string): Fault[] => [{ condition: 'ResolvedRefs', reason, message, path: 'tls' }];
  if (refs.length > 1) return missing('InvalidCACertificateRef', 'only one caCertificateRef is supported');
  const home = ref.namespace ?? namespace;
  if (bundleResource(ref, home) === undefined) return missing('InvalidCACertificateKind', `CA certificates are in Secrets and ConfigMaps, not in ${ref.kind}`);
  const there = ref.kind === 'Secret' ? world.secrets.has(`${home}/${ref.name}`) : world.configMaps.has(`${home}/${ref.name}`);
  if (!there) return missing('InvalidCACertificateRef', `${ref.kind} ${home}/${ref.name} with CA certificates not found`);
  return granted(world.grants, { from: { kind: 'Gateway', namespace }, to: { group: '', kind: ref.kind, namespace: home, name: ref.name } })
    ? []
    : missing('RefNotPermitted', `caCertificateRef ${home}/${ref.name} not accessible to a Gateway in namespace "${namespace}" (missing a ReferenceGrant?)`);
}
