// Who is signed in on the product page: a cookie with a name, which becomes the header `end-user` (istio.io routes by it).

import type { IncomingMessage, ServerResponse } from 'node:http';

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const MAX_FORM = 1_024;

export function userOf({ headers }: IncomingMessage): string | undefined {
  return /(?:^|;\s*)user=([A-Za-z0-9._-]{1,64})(?:;|$)/.exec(headers.cookie ?? '')?.[1];
}

/** `/login` takes Bookinfo's form field `username`; both lead back to the page. */
export async function session(path: '/login' | '/logout', request: IncomingMessage, response: ServerResponse): Promise<void> {
  const user = path === '/login' ? new URLSearchParams(await bodyOf(request)).get('username') : undefined;
  if (user !== undefined && !NAME.test(user ?? '')) {
    response.writeHead(400, { 'content-type': 'text/plain' });
    response.end('username: letters, digits, dot, _ and - only, 64 at most\n');
    return;
  }
  response.writeHead(302, {
    location: 'productpage',
    'set-cookie': `user=${user ?? ''}; Path=/; HttpOnly; SameSite=Lax${user === undefined ? '; Max-Age=0' : ''}`,
  });
  response.end();
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) {
    text += chunk.toString('utf8');
    if (text.length > MAX_FORM) break;
  }
  return text.slice(0, MAX_FORM);
}
