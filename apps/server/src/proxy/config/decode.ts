// Encoded xDS resources to the proxy's own view. Throws a DecodeError with every problem of the resource.

import { type JsonObject, messageToJson } from '@weft/mesh-core/wire';
import { TYPE_URL } from '@weft/mesh-core/xds-types';
import { decodeClusterFields } from './decode-cluster.ts';
import { decodeLoadAssignment } from './decode-endpoints.ts';
import { decodeListenerFields } from './decode-listener.ts';
import { decodeRouteConfigFields } from './decode-route.ts';
import { Fields } from './fields.ts';
import type { ClusterConfig, ListenerConfig, LoadAssignment, RouteConfig, Secret } from './model.ts';

export class DecodeError extends Error {
  readonly code = 'WEFT_XDS_REFUSED';
  readonly problems: readonly string[];
  /** `cause`: of a problem that shows only when the resource is put to use. */
  constructor(problems: readonly string[], cause?: unknown) {
    super(problems.join('; '), { cause });
    this.name = 'DecodeError';
    this.problems = problems;
  }
}

function toJson(typeUrl: string, body: Uint8Array, name: string): JsonObject {
  try {
    return messageToJson(typeUrl.slice(typeUrl.indexOf('/') + 1), body);
  } catch (error) {
    throw new DecodeError([`${name}: ${(error as Error).message}`]);
  }
}

function decode<T>(typeUrl: string, body: Uint8Array, name: string, read: (fields: Fields) => T): T {
  const problems: string[] = [];
  const result = read(new Fields(toJson(typeUrl, body, name), name, problems));
  if (problems.length > 0) throw new DecodeError(problems);
  return result;
}

export const decodeListener = (body: Uint8Array, name: string): ListenerConfig => decode(TYPE_URL.listener, body, name, decodeListenerFields);
export const decodeRouteConfig = (body: Uint8Array, name: string): RouteConfig => decode(TYPE_URL.route, body, name, decodeRouteConfigFields);
export const decodeCluster = (body: Uint8Array, name: string): ClusterConfig => decode(TYPE_URL.cluster, body, name, decodeClusterFields);
export const decodeEndpoints = (body: Uint8Array, name: string): LoadAssignment => decode(TYPE_URL.endpoint, body, name, decodeLoadAssignment);

/** A DataSource. */
type Source = { inlineBytes?: string; inlineString?: string } | undefined;
interface SecretJson {
  tlsCertificate?: { certificateChain?: Source; privateKey?: Source; ocspStaple?: Source };
  validationContext?: {
    trustedCa?: Source;
    crl?: Source;
    matchTypedSubjectAltNames?: unknown;
    verifyCertificateHash?: unknown;
    verifyCertificateSpki?: unknown;
  };
}

export function decodeSecret(body: Uint8Array, name: string): Secret {
  const { tlsCertificate, validationContext, ...others } = toJson(TYPE_URL.secret, body, name) as SecretJson;
  const text = (source: Source = {}): string => {
    if (source.inlineBytes !== undefined) return Buffer.from(source.inlineBytes, 'base64').toString();
    if (source.inlineString !== undefined) return source.inlineString;
    throw new DecodeError([`${name}: only inline secrets are taken, not ${Object.keys(source)[0] ?? 'an empty one'}`]);
  };
  if (tlsCertificate !== undefined) {
    const { certificateChain, privateKey, ocspStaple } = tlsCertificate;
    const staple = ocspStaple?.inlineBytes === undefined ? {} : { ocspStaple: Uint8Array.from(Buffer.from(ocspStaple.inlineBytes, 'base64')) };
    return { kind: 'certificate', name, chainPem: text(certificateChain), keyPem: text(privateKey), ...staple };
  }
  if (validationContext !== undefined) {
    const { trustedCa, crl, matchTypedSubjectAltNames, verifyCertificateHash, verifyCertificateSpki } = validationContext;
    if ((matchTypedSubjectAltNames ?? verifyCertificateHash ?? verifyCertificateSpki) !== undefined)
      throw new DecodeError([`${name}: what certificates must be is said by listeners and clusters here, not by secrets`]);
    return { kind: 'validation', name, caPem: text(trustedCa), ...(crl === undefined ? {} : { crlPem: text(crl) }) };
  }
  throw new DecodeError([`${name}: a secret of kind ${Object.keys(others).find((key) => key !== 'name') ?? 'none'} is of no use here`]);
}
