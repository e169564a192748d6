// Delta ADS: asks for what the configuration refers to, applies what comes in order, answers ACK or NACK, reconnects with
// what it has. The last good configuration stays in use through errors, disconnection and restarts of the control plane.

import { create, fromBinary, toBinary, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@weft/mesh-core/gen/envoy/service/discovery/v3/discovery_pb';
import { TYPE_URL, type TypeUrl } from '@weft/mesh-core/xds-types';
import { DecodeError } from '../config/decode.ts';
import type { XdsIdentity } from '../identity/workload-identity.ts';
import { type GrpcCall, startGrpcCall } from '../transport/grpc-call.ts';
import type { Configuration } from './configuration.ts';

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const FIRST_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 3_000;
/** Clusters and listeners are asked for whole; the others by the names those refer to. */
const WILDCARD: readonly TypeUrl[] = [TYPE_URL.cluster, TYPE_URL.listener];
const BY_NAME: readonly TypeUrl[] = [TYPE_URL.endpoint, TYPE_URL.route, TYPE_URL.secret];

export interface XdsClientOptions {
  address: string;
  rootCaPem: string;
  identity: () => XdsIdentity;
  node: { id: string; cluster: string; metadata: JsonObject; version: string };
  configuration: Configuration;
  log: (message: string) => void;
}

export interface XdsClient {
  state(): { connected: boolean; lastNack: string | undefined };
  stop(): void;
}

export function startXdsClient(options: XdsClientOptions): XdsClient {
  const { configuration } = options;
  let stopped = false;
  let connected = false;
  let lastNack: string | undefined;
  let backOff = FIRST_BACK_OFF_MS;
  let timer: NodeJS.Timeout | undefined;
  let call: GrpcCall | undefined;
  let subscribed = new Map<TypeUrl, Set<string>>();

  const write = (request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void =>
    call?.send(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request)));

  const send = (
    typeUrl: TypeUrl,
    request: Partial<{ subscribe: string[]; unsubscribe: string[]; nonce: string; error: string; initial: Record<string, string> }>,
  ): void => {
    write({
      typeUrl,
      resourceNamesSubscribe: request.subscribe ?? [],
      resourceNamesUnsubscribe: request.unsubscribe ?? [],
      responseNonce: request.nonce ?? '',
      initialResourceVersions: request.initial ?? {},
      ...(request.error === undefined ? {} : { errorDetail: { code: 3, message: request.error } }),
    });
  };

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

  const onResponse = async (response: DeltaDiscoveryResponse): Promise<void> => {
    const typeUrl = response.typeUrl as TypeUrl;
    try {
      await configuration.apply(
        typeUrl,
        response.resources.map((r) => ({ name: r.name, version: r.version, body: r.resource?.value ?? new Uint8Array() })),
        response.removedResources,
      );
      send(typeUrl, { nonce: response.nonce });
      backOff = FIRST_BACK_OFF_MS;
    } catch (error) {
      lastNack = `${typeUrl.split('.').at(-1)}: ${(error as Error).message}`;
      options.log(`refused ${lastNack}`);
      if (!(error instanceof DecodeError)) options.log((error as Error).stack ?? '');
      send(typeUrl, { nonce: response.nonce, error: (error as Error).message });
    }
    subscribe();
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
        const response = fromBinary(DeltaDiscoveryResponseSchema, message);
        applying = applying.then(() => (call === current ? onResponse(response) : undefined));
      },
      onEnd: (error) => {
        if (call !== current) return;
        if (connected && !stopped) options.log(`control plane lost (${error?.message ?? 'the stream ended'}); going on with the last good configuration`);
        connected = false;
        call = undefined;
        if (stopped) return;
        timer = setTimeout(connect, backOff * (0.5 + Math.random()));
        backOff = Math.min(backOff * 2, MAX_BACK_OFF_MS);
      },
    });
    call = current;
    for (const [i, typeUrl] of WILDCARD.entries()) {
      const { id, cluster, metadata, version } = options.node;
      const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
      const node = {
        id,
        cluster,
        metadata,
        userAgentName: 'weft',
        userAgentVersionType: { case: 'userAgentBuildVersion' as const, value: { version: { majorNumber: major, minorNumber: minor, patch } } },
      };
      write({ typeUrl, ...(i === 0 ? { node } : {}), resourceNamesSubscribe: ['*'], initialResourceVersions: configuration.versions(typeUrl) });
    }
    subscribe();
  };
  connect();

  return {
    state: () => ({ connected, lastNack }),
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      call?.close();
    },
  };
}
