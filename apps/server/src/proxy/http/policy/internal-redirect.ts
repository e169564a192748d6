// Redirects a route follows in the client's place (internal_redirect_policy), as Envoy does: the request as it was sent on begins
// anew, with the Location's host and path.

import { isAuthority } from '../../../http-wire/codec-h1/chars.ts';
import { parseRequestHead, RequestHead } from '../../../http-wire/codec-h1/request-head.ts';

export interface RedirectTarget {
  host: string;
  path: string;
}

/** Where a Location leads; undefined = the client has to see about it. Only absolute ones are followed. */
export function redirectTarget(location: string | undefined, scheme: string, crossScheme: boolean): RedirectTarget | undefined {
  const [, to = '', host = '', path = '/', query = ''] = /^(https?):\/\/([^/?#]+)(\/[^?#]*)?(\?[^#]*)?/i.exec(location ?? '') ?? [];
  if (!isAuthority(host) || (!crossScheme && to.toLowerCase() !== scheme)) return undefined;
  return { host, path: path + query };
}

/** `lines`: as they went out, without what is added once more. Undefined = it makes no request. */
export function redirectedHead(request: RequestHead, status: number, { host, path }: RedirectTarget, lines: string): RequestHead | undefined {
  // RFC 9110 §15.4.4: see other, with GET.
  const method = status === 303 && request.method !== 'HEAD' ? 'GET' : request.method;
  const bytes = Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${lines}\r\n`, 'latin1');
  const head = new RequestHead();
  if (parseRequestHead(bytes, 0, bytes.length, head) !== bytes.length) return undefined;
  head.protocol = request.protocol;
  if (method === request.method) {
    head.framing.contentLength = request.framing.contentLength;
    head.framing.chunked = request.framing.chunked;
  }
  return head;
}
