// Cases as configuration: services and endpoints as objects, YAML with its placeholders filled in, everything validated.

import { parseYaml, validateObject } from '@weft/mesh-core/config';
import { type MeshObject, apiVersionOf, kindOfManifest } from '@weft/mesh-core/model';
import { type Case, type EndpointSpec, type Plane, type ServiceSpec, namespaceOf, otherNamespaceOf } from '../case.ts';
import type { Layout } from './layout.ts';

/** What of a layout objects need. */
type Places = Pick<Layout, 'appPort' | 'inboundPort' | 'openedPort' | 'certificates'>;

const DEFAULT_PORTS = [{ name: 'http', number: 80 }];

export function portsOf(service: ServiceSpec): NonNullable<ServiceSpec['ports']> {
  return service.ports ?? DEFAULT_PORTS;
}

/** Everything a case needs on one data plane; throws with the problems when its YAML is not valid. */
export function objectsOf(behaviour: Case, plane: Plane, layout: Places): MeshObject[] {
  const services = (behaviour.services ?? []).flatMap((service) => serviceObjects(service, plane, layout));
  return [...services, ...yamlObjects(behaviour.objects ?? '', plane, layout)];
}

/** With those that come in the middle of it. */
export function everyObjectOf(behaviour: Case, plane: Plane, layout: Places): MeshObject[] {
  const later = behaviour.steps.flatMap((step) => (step.kind === 'apply' ? yamlObjects(step.objects, plane, layout) : []));
  return [...objectsOf(behaviour, plane, layout), ...later];
}

function serviceObjects(service: ServiceSpec, plane: Plane, layout: Places): MeshObject[] {
  const ports = portsOf(service);
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: service.name, namespace: namespaceOf(plane) },
      spec: { selector: { app: service.name }, ports: ports.map(({ number, ...rest }) => ({ ...rest, port: number })) },
    },
    ...service.endpoints.map((endpoint, i): MeshObject => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: {
        name: `${service.name}-${i}`,
        namespace: namespaceOf(plane),
        ...(endpoint.healthy === false ? { annotations: { 'weft.dev/health': 'unhealthy' } } : {}),
      },
      spec: {
        address: '127.0.0.1',
        ports: Object.fromEntries(ports.map(({ name }) => [name, endpointPort(endpoint, name, plane, layout)])),
        labels: {
          app: service.name,
          ...(endpoint.version === undefined ? {} : { version: endpoint.version }),
          ...(endpoint.mode === undefined ? {} : { modes: 'by-port' }),
          ...(endpoint.direct === true ? {} : { 'security.istio.io/tlsMode': 'istio' }),
          ...endpoint.labels,
        },
        serviceAccount: 'observed',
        ...(endpoint.locality === undefined ? {} : { locality: endpoint.locality }),
        ...(endpoint.weight === undefined ? {} : { weight: endpoint.weight }),
      },
    })),
  ];
}

function endpointPort({ app, direct, mode }: EndpointSpec, portName: string, plane: Plane, layout: Places): number {
  if (direct === true) return layout.appPort(app);
  const protocol = mode !== undefined || app === 'dead' ? 'http' : (portName.split('-')[0] ?? 'http');
  return layout.inboundPort(plane, mode ?? `${protocol}-${app}`);
}

/**
 * Placeholders: `$NS`, `$OTHER` (namespaces), `$PLANE`, `$PORT(app)` of an application, `$INBOUND(name)` of the server sidecar,
 * `$AT(name)` a port this configuration opens, `$FILE(name)`, `$TEXT(name)` (quoted), `$BASE64(name)`, `$HASH(name)` and
 * `$SPKI(name)` of the certificates of the outside.
 */
export function yamlObjects(text: string, plane: Plane, layout: Places): MeshObject[] {
  const filled = text
    .replaceAll('$NS', namespaceOf(plane))
    .replaceAll('$PLANE', plane)
    .replaceAll('$OTHER', otherNamespaceOf(plane))
    .replaceAll(/\$AT\(([\w-]+)\)/g, (_, name: string) => String(layout.openedPort(plane, name)))
    .replaceAll(/\$FILE\(([\w.-]+)\)/g, (_, file: string) => layout.certificates.path(file))
    .replaceAll(/\$TEXT\(([\w.-]+)\)/g, (_, file: string) => JSON.stringify(layout.certificates.text(file)))
    .replaceAll(/\$BASE64\(([\w.-]+)\)/g, (_, file: string) => Buffer.from(layout.certificates.text(file)).toString('base64'))
    .replaceAll(/\$HASH\(([\w.-]+)\)/g, (_, file: string) => layout.certificates.hash(file))
    .replaceAll(/\$SPKI\(([\w.-]+)\)/g, (_, file: string) => layout.certificates.spki(file))
    .replaceAll(/\$PORT\((\w+)\)/g, (_, app: string) => String(layout.appPort(app)))
    .replaceAll(/\$INBOUND\(([\w-]+)\)/g, (_, name: string) => String(layout.inboundPort(plane, name)));
  const { documents, problems } = parseYaml(filled);
  if (problems.length > 0) throw new Error(`not YAML: ${problems.map((p) => p.message).join('; ')}\n${filled}`);
  return documents.map(({ value }) => {
    const object = value as MeshObject;
    const kind = kindOfManifest(object.kind, object.apiVersion);
    const whole = {
      ...object,
      apiVersion: object.apiVersion ?? (kind === undefined ? '' : apiVersionOf(kind)),
      metadata: { ...object.metadata, namespace: object.metadata.namespace ?? namespaceOf(plane) },
    };
    const { object: valid, problems: found } = validateObject(whole);
    if (valid === undefined) throw new Error(`${object.kind} ${object.metadata.name}: ${found.map((p) => `${p.path ?? ''} ${p.message}`).join('; ')}`);
    return valid;
  });
}
