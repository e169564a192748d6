// Which ports of its Service a program serves: peers find its sidecar by the names of these.

import type { ServiceSpec } from '@weft/mesh-core/config';
import type { MeshObject } from '@weft/mesh-core/model';
import { parsePort } from '../fleet/up-options.ts';
import { StartError } from './errors.ts';

/** One a program listens on. */
export interface ProgramPort {
  port: number;
  /** As its Service calls it; absent = found by number, or what `--protocol` says. */
  name?: string;
}

export interface ServedPort {
  appPort: number;
  servicePort: number;
  portName: string;
}

interface Program {
  service: string;
  namespace: string;
  ports: readonly ProgramPort[];
  protocol: string;
}

/** `9000`, or `grpc:9000`. */
export function parseProgramPort(text: string): ProgramPort {
  const [, name, number = ''] = /^(?:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):)?(\d+)$/.exec(text) ?? [];
  if (number === '') throw new StartError('WEFT_USAGE', `--port ${text}: write <port> or <name>:<port>, like 9000 or grpc:9000`);
  const port = parsePort(number, '--port');
  return name === undefined ? { port } : { port, name };
}

export function serviceOf({ service, namespace }: Pick<Program, 'service' | 'namespace'>, services: readonly MeshObject[]): MeshObject | undefined {
  return services.find((s) => s.metadata.name === service && s.metadata.namespace === namespace);
}

/** Without a Service those it will get. */
export function servedPorts(program: Program, services: readonly MeshObject[]): ServedPort[] {
  const served = program.ports.map((own) => servedPort(program, own, services));
  for (const [i, { appPort, portName }] of served.entries()) {
    const twin = served.slice(0, i).find((s) => s.portName === portName || s.appPort === appPort);
    if (twin === undefined) continue;
    const what =
      twin.appPort === appPort
        ? 'is there twice'
        : `and --port ${twin.appPort} would both be port ${portName} of Service ${program.namespace}/${program.service}`;
    throw new StartError('WEFT_USAGE', `--port ${appPort} ${what}: name each once, like --port http:9000 --port grpc:9001`);
  }
  return served;
}

/** Ports of the Service that lead to nobody when only this program serves it. */
export function unservedPorts(program: Program, served: readonly ServedPort[], services: readonly MeshObject[]): string[] {
  return portsOf(program, services)
    .filter(({ port }) => !served.some((s) => s.servicePort === port))
    .map(({ name = '', port }) => `${name} ${port}`.trim());
}

function portsOf(program: Program, services: readonly MeshObject[]): ServiceSpec['ports'] {
  return (serviceOf(program, services)?.spec as ServiceSpec | undefined)?.ports ?? [];
}

function servedPort(program: Program, { port, name }: ProgramPort, services: readonly MeshObject[]): ServedPort {
  const { service, namespace, protocol } = program;
  const all = portsOf(program, services);
  if (all.length === 0) return { appPort: port, servicePort: port, portName: name ?? protocol };
  const named = all.filter((p) => p.name);
  const found =
    name === undefined
      ? (named.find((p) => p.targetPort === port) ??
        named.find((p) => p.port === port) ??
        named.find((p) => p.name === protocol) ??
        (all.length === 1 ? named[0] : undefined))
      : named.find((p) => p.name === name);
  if (found?.name !== undefined) return { appPort: port, servicePort: found.port, portName: found.name };
  const there = all.map((p) => `${p.name ?? '(without a name)'} ${p.port}${p.targetPort === undefined ? '' : ` -> ${p.targetPort}`}`).join(', ');
  const flag = `--port ${name === undefined ? '' : `${name}:`}${port}`;
  throw new StartError(
    'WEFT_USAGE',
    `${flag}: which port of Service ${namespace}/${service} is it? It has ${there}. Give that one a name and targetPort: ${port}, or say its name here: --port <name>:${port}.`,
  );
}
