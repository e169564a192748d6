import { type JsonObject } from '@bufbuild/protobuf';
import { type ResourceSet, type TypeUrl } from '../../xds/index.ts';
/** One resource as proto3 JSON; throws naming what there is when it is missing. */
export declare function decoded(set: ResourceSet, typeUrl: TypeUrl, name: string): JsonObject;
/** Envoy's path from ENVOY_BIN, PATH or the engines' cache; undefined (and a line saying so) when there is none. */
export declare function envoyBinary(): string | undefined;
/** A bootstrap with everything inline. `secrets` (name → Secret fields) replace SDS; without them SDS stays as it is. */
export declare function staticBootstrap(set: ResourceSet, secrets?: readonly JsonObject[]): JsonObject;
