// SDS secrets: per identity a key with its leaf (`default`) and the bundle (`ROOTCA`), renewed at half life.

import { createHash } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { SecretSchema } from '@weft/mesh-core/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb';
import { spiffeId } from '@weft/mesh-core/model';
import type { Identity } from '@weft/mesh-core/model';
import { TYPE_URL } from '@weft/mesh-core/xds';
import type { Resource } from '@weft/mesh-core/xds';
import type { CertificateAuthority } from './ca.ts';

/** Names as Istio's agents use them. */
const SECRET_NAMES = { leaf: 'default', bundle: 'ROOTCA' } as const;
const RETRY_MS = 5_000;
/** How long an identity's key outlives its last user: a proxy that reconnects gets the same again. */
const GRACE_MS = 60_000;
/** setTimeout's limit; a longer wait is cut and taken up again. */
const LONGEST_TIMER_MS = 2_147_483_647;

export interface SecretLease {
  /** The secrets as they are now; replaced (never changed) on renewal. */
  resources(): ReadonlyMap<string, Resource>;
  certificate(): { serial: string; notAfter: number };
  release(): void;
}

export interface SecretProvider {
  /** Secrets of `identity` until released; `onRenew` is called after each renewal. All leases of an identity share one key. */
  acquire(identity: Identity, onRenew: () => void): Promise<SecretLease>;
  close(): void;
}

interface Entry {
  listeners: Set<() => void>;
  resources: ReadonlyMap<string, Resource>;
  serial: string;
  notAfter: number;
  timer: NodeJS.Timeout | undefined;
  /** Nobody gets it any more. */
  forgotten: boolean;
}

/** Issues from `ca`. `random` in [0,1) spreads renewals by ±1 % of the life; `onError` hears of a failed renewal (tried again every 5 s). */
export function createSecretProvider(options: {
  ca: CertificateAuthority;
  clock?: () => number;
  random?: () => number;
  ttlMs?: number;
  /** Milliseconds a key outlives its last user; 60 s unless told. */
  graceMs?: number;
  onError?: (error: unknown) => void;
}): SecretProvider {
  const { ca, clock = Date.now, random = Math.random } = options;
  const entries = new Map<string, { opening: Promise<Entry>; users: number; forget?: NodeJS.Timeout }>();

  const issue = async (identity: Identity): Promise<Omit<Entry, 'listeners' | 'timer' | 'forgotten'> & { renewAt: number }> => {
    const now = clock();
    const leaf = await ca.issueLeaf(identity, options.ttlMs === undefined ? {} : { ttlMs: options.ttlMs });
    const life = leaf.notAfter - now;
    const resources = new Map([
      [SECRET_NAMES.leaf, leafSecret(leaf.certificatePem, leaf.privateKeyPem)],
      [SECRET_NAMES.bundle, bundleSecret(ca.rootCaPem)],
    ]);
    return { resources, serial: leaf.serial, notAfter: leaf.notAfter, renewAt: now + life * (0.5 + (random() * 2 - 1) * 0.01) };
  };
  const schedule = (entry: Entry, identity: Identity, at: number): void => {
    const wait = Math.max(0, at - clock());
    entry.timer = setTimeout(() => void renew(entry, identity, at), Math.min(wait, LONGEST_TIMER_MS));
    entry.timer.unref();
  };
  const renew = async (entry: Entry, identity: Identity, due: number): Promise<void> => {
    // Nobody holds it: who comes next gets a fresh one.
    if (entry.listeners.size === 0) return void entries.delete(spiffeId(identity));
    if (clock() < due) return schedule(entry, identity, due);
    try {
      const { renewAt, ...fresh } = await issue(identity);
      if (entry.forgotten) return;
      Object.assign(entry, fresh);
      // Also when all have left meanwhile: who comes back gets this one.
      schedule(entry, identity, renewAt);
      for (const listener of entry.listeners) listener();
    } catch (error) {
      options.onError?.(error);
      if (!entry.forgotten) schedule(entry, identity, clock() + RETRY_MS);
    }
  };
  const open = async (identity: Identity): Promise<Entry> => {
    const { renewAt, ...fresh } = await issue(identity);
    const entry: Entry = { ...fresh, listeners: new Set(), timer: undefined, forgotten: false };
    schedule(entry, identity, renewAt);
    return entry;
  };

  return {
    acquire: async (identity, onRenew) => {
      const key = spiffeId(identity);
      const shared = entries.get(key) ?? { opening: open(identity), users: 0 };
      entries.set(key, shared);
      // Counted before waiting: the last other user may leave meanwhile.
      shared.users += 1;
      clearTimeout(shared.forget);
      const forget = (entry?: Entry): void => {
        clearTimeout(entry?.timer);
        if (entry !== undefined) entry.forgotten = true;
        if (entries.get(key) === shared) entries.delete(key);
      };
      const leave = (entry?: Entry): void => {
        shared.users -= 1;
        if (shared.users > 0) return;
        const graceMs = options.graceMs ?? GRACE_MS;
        if (entry === undefined || graceMs === 0) return forget(entry);
        shared.forget = setTimeout(() => forget(entry), graceMs);
        shared.forget.unref();
      };
      const entry = await shared.opening.catch((error: unknown) => {
        leave();
        throw error;
      });
      const listener = (): void => onRenew();
      entry.listeners.add(listener);
      return {
        resources: () => entry.resources,
        certificate: () => ({ serial: entry.serial, notAfter: entry.notAfter }),
        release: () => {
          if (entry.listeners.delete(listener)) leave(entry);
        },
      };
    },
    close: () => {
      for (const { opening, forget } of entries.values()) {
        clearTimeout(forget);
        void opening.then(
          (entry) => {
            entry.listeners.clear();
            clearTimeout(entry.timer);
            entry.forgotten = true;
          },
          () => undefined,
        );
      }
      entries.clear();
    },
  };
}

/** Key and chain in one resource, so that a proxy never pairs an old key with a new leaf. */
function leafSecret(certificatePem: string, keyPem: string): Resource {
  return resource(
    SECRET_NAMES.leaf,
    toBinary(
      SecretSchema,
      create(SecretSchema, {
        name: SECRET_NAMES.leaf,
        type: { case: 'tlsCertificate', value: { certificateChain: inline(certificatePem), privateKey: inline(keyPem) } },
      }),
    ),
  );
}

function bundleSecret(rootCaPem: string): Resource {
  return resource(
    SECRET_NAMES.bundle,
    toBinary(SecretSchema, create(SecretSchema, { name: SECRET_NAMES.bundle, type: { case: 'validationContext', value: { trustedCa: inline(rootCaPem) } } })),
  );
}

function inline(pem: string) {
  return { specifier: { case: 'inlineBytes' as const, value: new TextEncoder().encode(pem) } };
}

function resource(name: string, body: Uint8Array): Resource {
  return { typeUrl: TYPE_URL.secret, name, version: createHash('sha256').update(body).digest('hex').slice(0, 16), body };
}
