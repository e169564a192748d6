// TLS of listeners as that of Istio's servers.

import { CIPHER_SUITES, type GatewaySpec } from '../../config/index.ts';
import type { KubernetesGateway, ListenerSpec } from './listeners.ts';

export type ServerTls = NonNullable<GatewaySpec['servers'][number]['tls']>;

export const MODE_OPTION = 'gateway.istio.io/tls-terminate-mode';
const CIPHER_OPTION = 'gateway.istio.io/tls-cipher-suites';
/** Connections by the SNI of sidecars, as between networks. */
const PROTOCOL_OPTION = 'gateway.istio.io/listener-protocol';

/** At most so many certificates has a server: one RSA, one ECDSA. */
export const MAX_CERTIFICATES = 2;
/** Of a listener that names none: the port is open, and every handshake fails. */
const NO_CERTIFICATE = secretResource('', 'none');

/** Of a listener without faults. What is not `usable` is not named: a proxy that has it from before would go on with it. */
export function listenerTls(
  { metadata, spec }: KubernetesGateway,
  { port, tls }: ListenerSpec,
  usable: (ref: CertificateRef) => boolean,
): ServerTls | undefined {
  const { namespace, labels = {} } = metadata;
  if (tls === undefined) return undefined;
  const { mode = 'Terminate', certificateRefs = [], options = {} } = tls;
  const ciphers = suites(options[CIPHER_OPTION]);
  if (mode === 'Passthrough')
    return { mode: options[PROTOCOL_OPTION] === 'auto-passthrough' || isCrossNetwork(labels, port) ? 'AUTO_PASSTHROUGH' : 'PASSTHROUGH', ...ciphers };
  const wanted = options[MODE_OPTION];
  if (wanted === 'ISTIO_MUTUAL') return { mode: wanted };
  if (wanted === 'ISTIO_SIMPLE') return { mode: 'SIMPLE', credentialName: 'builtin://' };
  const names = certificateRefs.filter(usable).map((ref) => secretResource(ref.namespace ?? namespace, ref.name));
  const [only = NO_CERTIFICATE] = names;
  return {
    mode: wanted === 'MUTUAL' || wanted === 'OPTIONAL_MUTUAL' ? wanted : 'SIMPLE',
    ...(names.length === MAX_CERTIFICATES ? { credentialNames: names } : { credentialName: only }),
    ...clientValidation(spec, port, namespace, wanted),
    ...ciphers,
  };
}

/** The port of an east-west gateway. */
function isCrossNetwork(labels: Readonly<Record<string, string>>, port: number): boolean {
  return labels['topology.istio.io/network'] !== undefined && String(port) === (labels['networking.istio.io/gatewayPort'] ?? '15443');
}

export function isSecret({ group = '', kind = 'Secret' }: { group?: string | undefined; kind?: string | undefined }): boolean {
  return group === '' && kind === 'Secret';
}

/** A Secret of a namespace, as Istio names it to proxies. */
function secretResource(namespace: string, name: string): string {
  return `kubernetes-gateway://${namespace}/${name}`;
}

/** What the Gateway asks of clients on a port. */
export function validationOf({ tls }: KubernetesGateway['spec'], port: number) {
  return (tls?.frontend?.perPort?.find((p) => p.port === port)?.tls ?? tls?.frontend?.default)?.validation;
}

/** Where a bundle is, as Istio names it; the suffix is taken off where there is none of that name. Undefined for what is none. */
export function bundleResource({ group, kind, name }: { group: string; kind: string; name: string }, namespace: string): string | undefined {
  if (group !== '' || (kind !== 'ConfigMap' && kind !== 'Secret')) return undefined;
  return `${kind === 'ConfigMap' ? `configmap://${namespace}/${name}` : secretResource(namespace, name)}-cacert`;
}

export interface CertificateRef {
  group?: string | undefined;
  kind?: string | undefined;
  name: string;
  namespace?: string | undefined;
}

/** One bundle counts. */
function clientValidation(spec: KubernetesGateway['spec'], port: number, namespace: string, wanted: string | undefined): Partial<ServerTls> {
  const validation = validationOf(spec, port);
  const [ref] = validation?.caCertificateRefs ?? [];
  const bundle = ref === undefined ? undefined : bundleResource(ref, ref.namespace ?? namespace);
  if (validation === undefined || bundle === undefined) return {};
  const lenient = validation.mode === 'AllowInsecureFallback';
  const option = wanted === 'MUTUAL' || wanted === 'OPTIONAL_MUTUAL' ? wanted : undefined;
  return {
    mode: option ?? (lenient ? 'OPTIONAL_MUTUAL' : 'MUTUAL'),
    insecureSkipVerify: option === undefined && lenient,
    caCertCredentialName: bundle,
  };
}

function suites(option: string | undefined): Partial<ServerTls> {
  const known = (option ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => CIPHER_SUITES.has(name));
  return known.length === 0 ? {} : { cipherSuites: known };
}
