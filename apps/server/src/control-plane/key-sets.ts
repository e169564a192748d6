// Keys that RequestAuthentications leave to a server: asked for here, as istiod does, and handed to the translator as objects.
// Until an answer is there the translator sends a key that fits no token; a server that stops answering keeps the keys it gave.

import { hasKeyList, isHttpUrl } from '@weft/mesh-core/config';
import type { MeshObject } from '@weft/mesh-core/model';
import { type KeySet, type KeySource, keySetObject, keySourceName, keySources } from '@weft/mesh-core/translate';
import { DocumentError, fetchDocument } from './fetch-document.ts';

/** How often istiod looks for new keys. */
const REFRESH_MS = 20 * 60_000;
/** Between attempts that fail: doubled up to a minute. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

export interface KeySets {
  /** Asks for what is newly named; what nothing names any more is forgotten. */
  follow(objects: Iterable<MeshObject>): void;
  /** For the translator, beside the objects of the store. */
  objects(): readonly MeshObject[];
  stop(): void;
}

interface KeySetsOptions {
  onChange: () => void;
  log: (event: { level: 'info' | 'warn'; message: string; fields: Record<string, unknown> }) => void;
  fetch?: typeof fetchDocument;
  refreshMs?: number;
  retryMs?: number;
}

interface Followed {
  source: KeySource;
  object?: MeshObject<KeySet>;
  failures: number;
  timer?: NodeJS.Timeout;
  giveUp: AbortController;
}

export function createKeySets(options: KeySetsOptions): KeySets {
  const { onChange, log, fetch = fetchDocument, refreshMs = REFRESH_MS, retryMs = RETRY_MS } = options;
  const followed = new Map<string, Followed>();

  const again = (one: Followed, ms: number): void => {
    // Not a reason to keep a process that wants to end.
    one.timer = setTimeout(() => void ask(one), ms).unref();
  };
  const become = (one: Followed, keySet: KeySet): void => {
    const before = one.object?.spec;
    if (before !== undefined && before.jwks === keySet.jwks && before.problem === keySet.problem) return;
    one.object = keySetObject(one.source, keySet);
    onChange();
  };

  const ask = async (one: Followed): Promise<void> => {
    const { source, giveUp } = one;
    try {
      const jwks = await keysOf(source, (url) => fetch(url, source.timeoutMs, giveUp.signal));
      if (giveUp.signal.aborted) return;
      if (one.failures > 0 || one.object === undefined) log({ level: 'info', message: 'key set fetched', fields: { url: source.url, bytes: jwks.length } });
      one.failures = 0;
      // An empty one is an answer: keys that were there are withdrawn.
      become(one, { jwks });
      again(one, refreshMs);
    } catch (error) {
      if (giveUp.signal.aborted) return;
      const problem = error instanceof DocumentError ? error.message : String(error);
      const waitMs = Math.min(retryMs * 2 ** one.failures, MAX_RETRY_MS);
      const kept = one.object?.spec.jwks !== undefined;
      one.failures += 1;
      log({
        level: 'warn',
        message: kept ? 'a key set could not be fetched again; the one there is stays' : 'a key set could not be fetched; tokens it is for are refused',
        fields: { url: source.url, reason: problem, attempt: one.failures, againInMs: waitMs },
      });
      if (!kept) become(one, { problem });
      again(one, waitMs);
    }
  };
  const forget = (name: string, { timer, giveUp }: Followed): void => {
    clearTimeout(timer);
    giveUp.abort();
    followed.delete(name);
  };

  return {
    follow: (objects) => {
      const wanted = new Map(keySources(objects).map((source) => [keySourceName(source), source]));
      for (const [name, one] of followed) if (!wanted.has(name)) forget(name, one);
      for (const [name, source] of wanted) {
        const known = followed.get(name);
        if (known !== undefined) {
          known.source = source;
          continue;
        }
        const one: Followed = { source, failures: 0, giveUp: new AbortController() };
        followed.set(name, one);
        void ask(one);
      }
    },
    objects: () => [...followed.values()].flatMap(({ object }) => (object === undefined ? [] : [object])),
    stop: () => {
      for (const [name, one] of followed) forget(name, one);
    },
  };
}

/** The key set of a source, by way of the issuer's own description where that names the server. */
async function keysOf({ url, discovery }: KeySource, read: (url: string) => Promise<string>): Promise<string> {
  const server = discovery ? jwksUriIn(await read(url), url) : url;
  const jwks = await read(server);
  if (!hasKeyList(jwks)) throw new DocumentError(`the answer of ${server} is no JSON Web Key Set`);
  return jwks;
}

function jwksUriIn(text: string, url: string): string {
  let uri: unknown;
  try {
    uri = (JSON.parse(text) as { jwks_uri?: unknown } | null)?.jwks_uri;
  } catch (error) {
    throw new DocumentError(`the answer of ${url} is no JSON`, { cause: error });
  }
  if (typeof uri !== 'string' || !isHttpUrl(uri)) throw new DocumentError(`the answer of ${url} has no jwks_uri of scheme http or https`);
  return uri;
}
