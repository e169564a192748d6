// Delta ADS: asks for what the configuration refers to, applies what comes in order, answers ACK or NACK, reconnects with
// what it has. The last good configuration stays in use through errors, disconnection and restarts of the control plane.

import { TYPE_URL, type TypeUrl } from '@weft/mesh-core/xds-types';
import { startCompiling } from '../compiling.ts';
import { DecodeError } from '../config/decode.ts';
import type { XdsIdentity } from '../identity/workload-identity.ts';
import { type GrpcCall, startGrpcCall } from '../transport/grpc-call.ts';
import type { Configuration } from './configuration.ts';
import { type DeltaNode, type DeltaRequest, type DeltaResponse, decodeDeltaResponse, encodeDeltaRequest } from './delta-messages.ts';

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const FIRST_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 3_000;
/** Bytes from which on decoding takes long enough to be compiled. */
const LARGE_MESSAGE = 128 * 1024;
/** Clusters and listeners are asked for whole; the others by the names those refer to. */
const WILDCARD: readonly TypeUrl[] = [TYPE_URL.cluster, TYPE_URL.listener];
const BY_NAME: readonly TypeUrl[] = [TYPE_URL.endpoint, TYPE_URL.route, TYPE_URL.secret];

export interface XdsClientOptions {
  address: string;
  rootCaPem: string;
  identity: () => XdsIdentity;
  node: DeltaNode;
  configuration: Configuration;
  log: (message: string) => void;
}

export interface Updates {
  accepted: number;
  refused: number;
}

export interface XdsClient {
  state(): { connected: boolean; lastNack: string | undefined };
  /** Messages of this type so far. */
  updates(typeUrl: TypeUrl): Updates;
  stop(): void;
}

export function startXdsClient(options: XdsClientOptions): XdsClient {
  const { configuration } = options;
  let stopped = false;
  let connected = false;
  let lastNack: string | undefined;
  const updates = new Map<TypeUrl, Updates>();
  const updatesOf = (typeUrl: TypeUrl): Updates => {
    const of = updates.get(typeUrl) ?? { accepted: 0, refused: 0 };
    updates.set(typeUrl, of);
    return of;
  };
  let backOff = FIRST_BACK_OFF_MS;
  let timer: NodeJS.Timeout | undefined;
  let call: GrpcCall | undefined;
  let subscribed = new Map<TypeUrl, Set<string>>();

  const send = (typeUrl: TypeUrl, request: DeltaRequest): void => call?.send(encodeDeltaRequest(typeUrl, request));

  /** Brings the named subscriptions in line with what listeners and clusters refer to. */
  const subscribe = (): void => {
    for (const typeUrl of BY_NAME) {
      const wanted = configuration.references(typeUrl);
      const have = subscribed.get(typeUrl);
      const add = [...wanted].filter((name) => have?.has(name) !== true);
      const remove = [...(have ?? [])].filter((name) => !wanted.has(name));
      if (add.length === 0 && remove.length === 0) continue;
      send(typeUrl, { subscribe: add, unsubscribe: remove, ...(have === undefined ? { initial: configuration.versions(typeUrl) } : {}) });
      subscribed.set(typeUrl, wanted);
      configuration.forget(typeUrl, remove);
    }
  };

  const onResponse = async (response: DeltaResponse): Promise<void> => {
    const typeUrl = response.typeUrl as TypeUrl;
    const stream = call;
    let answer: DeltaRequest = { nonce: response.nonce };
    try {
      await configuration.apply(typeUrl, response.resources, response.removed);
      updatesOf(typeUrl).accepted++;
      backOff = FIRST_BACK_OFF_MS;
    } catch (error) {
      updatesOf(typeUrl).refused++;
      lastNack = `${typeUrl.split('.').at(-1)}: ${(error as Error).message}`;
      options.log(`refused ${lastNack}`);
      const cause = error instanceof DecodeError ? error.cause : error;
      // None of those that say what is wrong with the configuration.
      if (cause instanceof Error && !('code' in cause)) options.log(cause.stack ?? '');
      answer = { ...answer, error: (error as Error).message };
    }
    // Another stream has nonces of its own.
    if (call !== stream) return;
    // First, as Envoy: routes to new clusters follow the answer, and are to find endpoints.
    subscribe();
    send(typeUrl, answer);
  };

  const connect = (): void => {
    const identity = options.identity();
    subscribed = new Map();
    // Responses are applied one after the other: a listener must not overtake the cluster it needs.
    let applying: Promise<void> = Promise.resolve();
    const current = startGrpcCall({
      address: options.address,
      rootCaPem: options.rootCaPem,
      identity,
      method: METHOD,
      onMessage: (message) => {
        connected = true;
        if (message.length > LARGE_MESSAGE) startCompiling();
        const response = decodeDeltaResponse(message);
        applying = applying.then(() => (call === current ? onResponse(response) : undefined));
      },
      onEnd: (error) => {
        if (call !== current) return;
        if (connected && !stopped) options.log(`control plane lost (${error?.message ?? 'the stream ended'}); going on with the last good configuration`);
        connected = false;
        call = undefined;
        configuration.disconnected();
        if (stopped) return;
        timer = setTimeout(connect, backOff * (0.5 + Math.random()));
        backOff = Math.min(backOff * 2, MAX_BACK_OFF_MS);
      },
    });
    call = current;
    for (const [i, typeUrl] of WILDCARD.entries()) {
      send(typeUrl, { ...(i === 0 ? { node: options.node } : {}), subscribe: ['*'], initial: configuration.versions(typeUrl) });
    }
    subscribe();
  };
  connect();

  return {
    state: () => ({ connected, lastNack }),
    updates: updatesOf,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      call?.close();
    },
  };
}
