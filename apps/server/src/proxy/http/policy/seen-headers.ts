// A request as the filters behind Envoy's connection manager see it: with what the proxy writes itself in place of what a client
// claims, and with what filters before have changed. Rules about who may do what are decided on this.

import type { DynamicMetadata, RbacConnection, RbacSubject, RequestView, StringPredicate } from '@weft/mesh-core/traffic';
import type { FilteredRequest } from '../filters/chain.ts';
import { clientCertificateHeader, clientsAtEdge } from '../heads.ts';
import { Field } from '../../../http-wire/codec-h1/field-kinds.ts';
import { isUnwanted } from './external-headers.ts';
import { managerPolicy } from './manager-policy.ts';

/** Of this hop only: gone before filters look. */
const hop: ReadonlySet<string> = new Set(['keep-alive', 'proxy-connection', 'transfer-encoding']);

/** What this proxy writes itself, whatever came under these names. */
const own: readonly string[] = [
  ...['x-forwarded-for', 'x-forwarded-proto', 'x-request-id', 'x-forwarded-client-cert'],
  ...['x-envoy-internal', 'x-envoy-external-address'],
];
/** Of the connection, or read and answered by now. */
const notPassed: ReadonlySet<number> = new Set([...[Field.connection, Field.upgrade, Field.host, Field.expect, Field.stripped]]);

/** One serves all requests of a filter, one after the other. */
export class SeenRequest implements RequestView, RbacSubject {
  private current: FilteredRequest | undefined;
  private firstValue: string | undefined;
  private readonly onFirst: StringPredicate = (value) => {
    this.firstValue = value;
    return true;
  };

  of(request: FilteredRequest): this {
    this.current = request;
    return this;
  }

  get request(): this {
    return this;
  }

  get connection(): RbacConnection {
    const { access } = this.asked.context;
    if (access === undefined) throw new Error('the filter chain has rules but its connections are not described');
    return access;
  }

  get metadata(): DynamicMetadata | undefined {
    return this.asked.metadata;
  }

  get remoteAddress(): string {
    return this.asked.sourceIp;
  }

  get method(): string {
    return this.asked.method;
  }

  get path(): string {
    return this.asked.path;
  }

  get authority(): string {
    return this.asked.authority;
  }

  get scheme(): string {
    return this.asked.scheme;
  }

  get(name: string): string | undefined {
    this.firstValue = undefined;
    this.some(name, this.onFirst);
    return this.firstValue;
  }

  some(name: string, test: StringPredicate): boolean | undefined {
    const { requestDrop, requestLinesAdded } = this.asked;
    const found = requestDrop?.has(name) === true ? undefined : this.arrived(name, test);
    if (found === true || requestLinesAdded === '') return found;
    const prefix = `${name}: `;
    const values = requestLinesAdded.split('\r\n').flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length)] : []));
    return values.length === 0 ? found : values.some(test);
  }

  /** All of them, a line each, pseudo headers first; names in lower case. */
  list(): [name: string, value: string][] {
    const { asked } = this;
    const { fields, requestDrop, requestLinesAdded, context } = asked;
    const list: [string, string][] = [
      [':authority', this.authority],
      [':path', this.path],
      [':method', this.method],
      [':scheme', this.scheme],
    ];
    const { peerHeader } = managerPolicy(context.manager);
    for (let i = 0; i < fields.count; i++) {
      if (notPassed.has(fields.kinds[i] ?? 0)) continue;
      const name = fields.lowerName(i);
      if (own.includes(name) || name === peerHeader || hop.has(name) || requestDrop?.has(name) === true) continue;
      if (name.startsWith('x-envoy-') && isUnwanted(name, asked.internal, context.manager.useRemoteAddress)) continue;
      list.push([name, fields.value(i)]);
    }
    for (const line of requestLinesAdded.split('\r\n').slice(0, -1)) list.push([line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]);
    for (const name of own)
      this.arrived(name, (value) => {
        list.push([name, value]);
        return false;
      });
    return list;
  }

  private get asked(): FilteredRequest {
    if (this.current === undefined) throw new Error('nothing is asked about');
    return this.current;
  }

  private arrived(name: string, test: StringPredicate): boolean | undefined {
    const request = this.asked;
    const { manager, tls } = request.context;
    const edge = manager.useRemoteAddress;
    switch (name) {
      case 'x-forwarded-for': {
        if (!edge) break;
        return test(clientsAtEdge(request.fields, request.context));
      }
      case 'x-forwarded-proto': {
        const told = edge && manager.trustedHops === undefined ? undefined : request.get(name);
        return test(told ?? (tls ? 'https' : 'http'));
      }
      case 'x-request-id':
        return ofOwn(request.record.requestId, test);
      case 'x-forwarded-client-cert':
        return ofOwn(clientCertificateHeader(request.get(name) ?? '', request.context), test);
      case 'x-envoy-internal':
        return ofOwn(request.internal ? 'true' : '', test);
      case 'x-envoy-external-address':
        if (edge) return ofOwn(request.internal ? '' : request.sourceIp, test);
        break;
      default:
        if (hop.has(name) || (name.startsWith('x-envoy-') && isUnwanted(name, request.internal, edge))) return undefined;
    }
    return request.some(name, test);
  }
}

function ofOwn(value: string, test: StringPredicate): boolean | undefined {
  return value === '' ? undefined : test(value);
}
