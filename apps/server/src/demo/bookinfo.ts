// The Bookinfo services: each is a plain HTTP handler, placed behind a sidecar like any user's program.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { type CallResult, getJson } from './calls.ts';
import type { DemoServiceSpec } from './demo-spec.ts';
import { type Book, type Review, renderProductPage } from './product-page.ts';
import { session, userOf } from './session.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

const BOOK: Book = {
  id: 0,
  title: 'The Comedy of Errors',
  author: 'William Shakespeare',
  year: 1595,
  type: 'paperback',
  pages: 200,
  publisher: 'PublisherA',
  language: 'English',
  'ISBN-10': '1234567890',
  'ISBN-13': '123-1234567890',
};

export function createHandler(spec: DemoServiceSpec): Handler {
  const serve = { productpage, details, reviews, ratings }[spec.name];
  return (request, response) => {
    if (request.url === '/health') return json(response, 200, { status: `${spec.name} ${spec.version} is healthy` });
    return serve(spec, request, response);
  };
}

interface Call {
  path: string;
  timeoutMs: number;
}

function upstream(spec: DemoServiceSpec, name: 'details' | 'reviews' | 'ratings', { path, timeoutMs }: Call, request: IncomingMessage): Promise<CallResult> {
  const base = spec.upstreams[name];
  if (base === undefined) return Promise.resolve({ ok: false, status: 0, reason: `no address for ${name}: set ${name.toUpperCase()}_URL` });
  const user = userOf(request);
  return getJson(`${base}${path}`, user === undefined ? request.headers : { ...request.headers, 'end-user': user }, timeoutMs);
}

/** Bookinfo's own times. That reviews v2 waits longer for ratings than the page waits for reviews is the bug istio.io's fault injection task finds. */
const PAGE_PATIENCE_MS = 3_000;
const REVIEWS_PATIENCE_MS: Readonly<Record<string, number>> = { v2: 10_000, v3: 2_500 };

/** As Bookinfo's: a second time for whatever is no answer, or istio.io's request timeouts task takes half the time it says. */
async function reviewsOf(spec: DemoServiceSpec, id: string, request: IncomingMessage): Promise<CallResult> {
  const ask = (): Promise<CallResult> => upstream(spec, 'reviews', { path: `/reviews/${id}`, timeoutMs: PAGE_PATIENCE_MS }, request);
  const first = await ask();
  return first.ok ? first : ask();
}

async function productpage(spec: DemoServiceSpec, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://productpage').pathname;
  if (path === '/api/v1/products') return json(response, 200, [{ id: BOOK.id, title: BOOK.title }]);
  const api = /^\/api\/v1\/products\/(\d+)(?:\/(reviews|ratings))?$/.exec(path);
  if (api !== null) {
    const [, id = '', part] = api;
    const result = await (part === undefined ? detailsOf(spec, id, request) : reviewsOf(spec, id, request));
    return result.ok ? json(response, 200, result.body) : json(response, result.status || 503, { error: result.reason });
  }
  if (path === '/login' || path === '/logout') return session(path, request, response);
  if (path !== '/' && path !== '/productpage') return json(response, 404, { error: `no page ${path}` });
  // The page asks one after the other, as Bookinfo's does, so that a trace shows both.
  const detailsResult = await detailsOf(spec, '0', request);
  const reviewsResult = await reviewsOf(spec, '0', request);
  const html = renderProductPage(BOOK.title, userOf(request), { details: detailsResult, reviews: reviewsResult });
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(html) });
  response.end(html);
}

function detailsOf(spec: DemoServiceSpec, id: string, request: IncomingMessage): Promise<CallResult> {
  return upstream(spec, 'details', { path: `/details/${id}`, timeoutMs: PAGE_PATIENCE_MS }, request);
}

function details(_spec: DemoServiceSpec, request: IncomingMessage, response: ServerResponse): void {
  if (!/^\/details\/\d+$/.test(request.url ?? '')) return json(response, 404, { error: 'use /details/<id>' });
  return json(response, 200, BOOK);
}

async function reviews(spec: DemoServiceSpec, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = /^\/reviews\/(\d+)$/.exec(request.url ?? '')?.[1];
  if (id === undefined) return json(response, 404, { error: 'use /reviews/<id>' });
  const list: Review[] = [
    { reviewer: 'Reviewer1', text: 'An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!' },
    { reviewer: 'Reviewer2', text: 'Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare.' },
  ];
  if (spec.version !== 'v1') {
    const result = await upstream(spec, 'ratings', { path: `/ratings/${id}`, timeoutMs: REVIEWS_PATIENCE_MS[spec.version] ?? 10_000 }, request);
    const color = spec.version === 'v2' ? 'black' : 'red';
    const stars = result.ok ? (result.body as { ratings: Record<string, number> }).ratings : {};
    for (const review of list) {
      const value = stars[review.reviewer];
      review.rating = value === undefined ? { error: 'Ratings service is currently unavailable' } : { stars: value, color };
    }
  }
  return json(response, 200, { id, version: spec.version, reviews: list });
}

function ratings(_spec: DemoServiceSpec, request: IncomingMessage, response: ServerResponse): void {
  const id = /^\/ratings\/(\d+)$/.exec(request.url ?? '')?.[1];
  if (id === undefined) return json(response, 404, { error: 'use /ratings/<id>' });
  return json(response, 200, { id: Number(id), ratings: { Reviewer1: 5, Reviewer2: 4 } });
}

function json(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
