// What agents and the supervisor ask the server, over its public API.

import type { ConfigApply, Propagation, Revision, RevisionPropagation } from '@weft/mesh-core/api';
import type { MeshObject, ObjectRef, Problem } from '@weft/mesh-core/model';
import { findKind, apiVersionOf, shownRef } from '@weft/mesh-core/model';
import { StartError } from './errors.ts';

const ANSWER_MS = 10_000;
/** A text of megabytes is seconds of work. */
const TEXT_MS = 120_000;
/** By then proxies a revision concerns are on its list. */
const UNTOLD_MS = 500;

interface RevisionList {
  items: Revision[];
}

type Applied = Pick<ConfigApply, 'revision' | 'applied'> & { problems: readonly Problem[] };

type PlaceOf = (line: number) => string;

interface CallOptions {
  placeOf?: PlaceOf | undefined;
  limitMs?: number;
}

/** A problem in one line: where, of which object, what. */
export function problemLine({ ref, path, line, message }: Pick<Problem, 'ref' | 'path' | 'line' | 'message'>, placeOf: PlaceOf): string {
  const subject = [...(ref === undefined ? [] : [shownRef(ref)]), ...(path === undefined ? [] : [path])].join(' ');
  return [...(line === undefined ? [] : [placeOf(line)]), ...(subject === '' ? [] : [subject]), message].join(': ');
}

export interface ControlClient {
  /** Writes all objects in one revision; waits for the fsync. */
  apply(objects: readonly MeshObject[], reason: string): Promise<void>;
  /** Answers what is odd about the objects too, though they were taken. `placeOf` names a line of the text. `dryRun`: nothing is written. */
  applyYaml(yaml: string, reason: string, options?: { placeOf?: PlaceOf; dryRun?: boolean }): Promise<Applied>;
  /** What would be wrong with a text against what is stored; nothing is written. */
  check(yaml: string): Promise<Problem[]>;
  /** How far an edit has come when all proxies it concerns have answered, or after `limitMs`. */
  propagationOf(revision: string, limitMs: number): Promise<Propagation | undefined>;
  list(kind: string, namespace?: string): Promise<MeshObject[]>;
  /** Answers what the server says of it, where it says anything: what went with it. */
  remove(ref: ObjectRef): Promise<string | undefined>;
  /** Resolves when all proxies have acknowledged the newest revision, or after `limitMs`. */
  untilAcknowledged(limitMs: number): Promise<void>;
  joinToken(workload: {
    namespace: string;
    workload: string;
    serviceAccount: string;
  }): Promise<{ token: string; rootCaPem: string; xdsAddress: string; otlpEndpoint: string; trustDomain: string; meshId: string }>;
  getJson(path: string): Promise<unknown>;
  putJson(path: string, body: unknown): Promise<unknown>;
}

export function createControlClient(server: string, actor: string): ControlClient {
  /** How many connections it may have kept from earlier requests. */
  let kept = 0;
  const call = async (
    method: string,
    path: string,
    body?: unknown,
    { placeOf = (line) => `line ${line}`, limitMs = ANSWER_MS }: CallOptions = {},
  ): Promise<unknown> => {
    const request: RequestInit = {
      method,
      headers: { 'x-weft-actor': actor, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(limitMs),
    };
    // A server that has slept closes what was idle for too long, maybe as it is asked. What is asked here can be asked twice.
    const ask = (again: number): Promise<Response> =>
      fetch(`${server}${path}`, request).catch((error: Error) => (again > 0 && CUT.includes(codeOf(error)) ? ask(again - 1) : Promise.reject(error)));
    let response: Response;
    try {
      response = await ask(kept);
      kept = KEPT;
    } catch (error) {
      throw new StartError('WEFT_SERVER_UNREACHABLE', unreachable(server, error as Error, limitMs), { cause: error });
    }
    const text = await response.text();
    if (!response.ok) throw new StartError('WEFT_REFUSED', reasonOf(text, `the server answered ${response.status} to ${method} ${path}`, placeOf));
    return text === '' ? undefined : JSON.parse(text);
  };

  const postText = (what: string, body: unknown, placeOf?: PlaceOf): Promise<unknown> =>
    call('POST', `/api/v1/config/${what}`, body, { placeOf, limitMs: TEXT_MS });

  const answered = async (path: string, of: (body: unknown) => Propagation | undefined, limitMs: number): Promise<Propagation | undefined> => {
    const start = Date.now();
    for (;;) {
      const propagation = of(await call('GET', path));
      const passed = Date.now() - start;
      // A revision that changes nothing for any proxy is never told of.
      if (propagation === undefined ? passed > UNTOLD_MS : propagation.completeMs !== undefined) return propagation;
      if (passed > limitMs) return propagation;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  return {
    apply: async (objects, reason) => {
      await postText('apply', { yaml: objects.map((o) => JSON.stringify(o)).join('\n---\n'), reason });
    },
    applyYaml: async (yaml, reason, { placeOf, dryRun = false } = {}) =>
      (await postText(`apply${dryRun ? '?dryRun=All' : ''}`, { yaml, reason }, placeOf)) as Applied,
    check: async (yaml) => ((await postText('check', { yaml })) as { problems: Problem[] }).problems,
    propagationOf: (revision, limitMs) => answered(`/api/v1/revisions/${revision}/propagation`, (body) => (body as RevisionPropagation).propagation, limitMs),
    list: async (kind, namespace) => {
      const answer = (await call('GET', collectionPath(kind, namespace))) as { items: MeshObject[] };
      return answer.items;
    },
    remove: async (ref) => ((await call('DELETE', `${collectionPath(ref.kind, ref.namespace)}/${ref.name}`)) as { message?: string }).message,
    untilAcknowledged: async (limitMs) => {
      await answered('/api/v1/revisions?limit=1', (body) => (body as RevisionList).items[0]?.propagation, limitMs);
    },
    joinToken: async (workload) => (await call('POST', '/api/v1/join-tokens', workload)) as Awaited<ReturnType<ControlClient['joinToken']>>,
    getJson: (path) => call('GET', path),
    putJson: (path, body) => call('PUT', path, body),
  };
}

/** fetch opens a second one when the first has only just answered. */
const KEPT = 2;

/** A connection that ended before an answer began. */
const CUT: readonly string[] = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];

function codeOf({ cause }: Error): string {
  return (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
}

function unreachable(server: string, error: Error, limitMs: number): string {
  if (error.name === 'TimeoutError') return `the Weft server at ${server} did not answer within ${limitMs / 1_000} s`;
  const code = codeOf(error);
  if (CUT.includes(code)) return `the Weft server at ${server} closed the connection without an answer (${code})`;
  return `no Weft server at ${server}: start one with "npm start" or name it with --server`;
}

function collectionPath(kindName: string, namespace?: string): string {
  const kind = findKind(kindName);
  if (kind === undefined) throw new StartError('WEFT_USAGE', `${kindName} is not a kind Weft serves`);
  const root = kind.group === '' ? '/api' : '/apis';
  return `${root}/${apiVersionOf(kind)}${namespace === undefined || kind.clusterScoped === true ? '' : `/namespaces/${namespace}`}/${kind.plural}`;
}

interface Refusal {
  /** Of a Kubernetes Status. */
  message?: string;
  error?: { message?: string; fix?: string; problems?: Problem[] };
}

/** What the server said, one line a problem; `otherwise` when it said nothing a person can use. */
function reasonOf(text: string, otherwise: string, placeOf: PlaceOf): string {
  let body: Refusal;
  try {
    body = JSON.parse(text) as Refusal;
  } catch {
    return otherwise;
  }
  const errors = body.error?.problems?.filter((p) => p.severity === 'error') ?? [];
  if (errors.length > 0)
    return [`refused, ${errors.length === 1 ? 'one problem' : `${errors.length} problems`}:`, ...errors.map((p) => `  ${problemLine(p, placeOf)}`)].join('\n');
  const message = body.error?.message ?? body.message;
  return message === undefined ? otherwise : `${message}${body.error?.fix === undefined ? '' : ` ${body.error.fix}`}`;
}
