// A client sidecar of one case only, of what the translator makes of its objects and settings.

import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunningPlane, runPlane } from '../../planes/planes.ts';
import { type Case, type Plane, namespaceOf } from '../case.ts';
import type { SuiteMesh } from './mesh.ts';
import { objectsOf, portsOf } from './objects.ts';

export async function startOwnClient(behaviour: Case, plane: Plane, { layout, secretsOf }: SuiteMesh): Promise<RunningPlane & { lines: () => string[] }> {
  const namespace = namespaceOf(plane);
  const upstreams = (behaviour.services ?? [])
    .flatMap((service) => portsOf(service).map(({ number }) => ({ host: `${service.name}.${namespace}.svc.cluster.local`, port: number })))
    .map((upstream, i) => ({ ...upstream, listenPort: i + 1 }));
  const identity = { namespace, serviceAccount: 'client' };
  const node = { workload: 'client', namespace, identity: { trustDomain: 'cluster.local', ...identity }, labels: { app: 'client', version: 'v1' }, upstreams };
  const accessLogFile = join(mkdtempSync(join(layout.dir, 'own-')), 'access.log');
  const settings = { accessLogFile, tracingSamplingPercent: 100, ...behaviour.own?.settings };
  const options = { node, settings, secrets: await secretsOf(identity), overloaded: behaviour.own?.overloaded === true };
  const running = await runPlane(plane, objectsOf(behaviour, plane, layout), options);
  const lines = (): string[] => (existsSync(accessLogFile) ? readFileSync(accessLogFile, 'utf8').split('\n').slice(0, -1) : []);
  return { ...running, lines };
}
