// What agents and the supervisor ask the server, over its public API.

import type { MeshObject, ObjectRef } from '@weft/mesh-core/model';
import { findKind, apiVersionOf } from '@weft/mesh-core/model';
import { StartError } from './errors.ts';

export interface ControlClient {
  /** Writes all objects in one revision; waits for the fsync. */
  apply(objects: readonly MeshObject[], reason: string): Promise<void>;
  applyYaml(yaml: string, reason: string): Promise<void>;
  list(kind: string, namespace?: string): Promise<MeshObject[]>;
  remove(ref: ObjectRef): Promise<void>;
  joinToken(workload: {
    namespace: string;
    workload: string;
    serviceAccount: string;
  }): Promise<{ token: string; rootCaPem: string; xdsAddress: string; otlpEndpoint: string; trustDomain: string; meshId: string }>;
  getJson(path: string): Promise<unknown>;
  putJson(path: string, body: unknown): Promise<unknown>;
}

export function createControlClient(server: string, actor: string): ControlClient {
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    let response: Response;
    try {
      response = await fetch(`${server}${path}`, {
        method,
        headers: { 'x-weft-actor': actor, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(10_000),
      });
    } catch (error) {
      throw new StartError('WEFT_SERVER_UNREACHABLE', `no Weft server at ${server}: start one with "npm start" or name it with --server`, { cause: error });
    }
    const text = await response.text();
    if (!response.ok) throw new StartError('WEFT_REFUSED', `${method} ${path} answered ${response.status}: ${reasonOf(text)}`);
    return text === '' ? undefined : JSON.parse(text);
  };

  return {
    apply: async (objects, reason) => {
      await call('POST', '/api/v1/config/apply', { yaml: objects.map((o) => JSON.stringify(o)).join('\n---\n'), reason });
    },
    applyYaml: async (yaml, reason) => {
      await call('POST', '/api/v1/config/apply', { yaml, reason });
    },
    list: async (kind, namespace) => {
      const answer = (await call('GET', collectionPath(kind, namespace))) as { items: MeshObject[] };
      return answer.items;
    },
    remove: async (ref) => {
      await call('DELETE', `${collectionPath(ref.kind, ref.namespace)}/${ref.name}`);
    },
    joinToken: async (workload) => (await call('POST', '/api/v1/join-tokens', workload)) as Awaited<ReturnType<ControlClient['joinToken']>>,
    getJson: (path) => call('GET', path),
    putJson: (path, body) => call('PUT', path, body),
  };
}

function collectionPath(kindName: string, namespace?: string): string {
  const kind = findKind(kindName);
  if (kind === undefined) throw new StartError('WEFT_USAGE', `${kindName} is not a kind Weft serves`);
  const root = kind.group === '' ? '/api' : '/apis';
  return `${root}/${apiVersionOf(kind)}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${kind.plural}`;
}

function reasonOf(text: string): string {
  try {
    const body = JSON.parse(text) as { message?: string; error?: { message?: string; fix?: string; problems?: { message: string; path?: string }[] } };
    const problems = body.error?.problems?.map((p) => `${p.path === undefined ? '' : `${p.path}: `}${p.message}`).join('; ');
    return [body.error?.message ?? body.message ?? text, problems, body.error?.fix].filter((part) => part !== undefined && part !== '').join('. ');
  } catch {
    return text.slice(0, 300);
  }
}
