// The product page as HTML.

import type { CallResult } from './calls.ts';

export interface Book {
  id: number;
  title: string;
  author: string;
  year: number;
  type: string;
  pages: number;
  publisher: string;
  language: string;
  'ISBN-10': string;
  'ISBN-13': string;
}

export interface Review {
  reviewer: string;
  text: string;
  rating?: { stars: number; color: string } | { error: string };
}

/** Both parts are shown as far as they could be had; a failed call is told on the page, which stays 200 as Bookinfo's does. */
export function renderProductPage(title: string, user: string | undefined, { details, reviews }: { details: CallResult; reviews: CallResult }): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title><style>
body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#12161d;background:#f5f6f8}header{background:#4a47d1;color:#fff;padding:16px 32px;font-weight:600}
main{max-width:960px;margin:32px auto;padding:0 24px}h1{margin:0 0 24px}section{background:#fff;border:1px solid #e1e5ea;border-radius:10px;padding:16px 24px;margin-bottom:16px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 24px}dt{color:#47505e}dd{margin:0}blockquote{margin:0 0 16px}.black{color:#12161d}.red{color:#b4161f}.problem{color:#b4161f}small{color:#5c6675}header form{float:right;font-weight:400}
</style></head><body><header>BookInfo Sample ${signIn(user)}</header><main><h1>${escape(title)}</h1>
<section><h2>Book details</h2>${details.ok ? definitionList(details.body as Book) : problem('details', details)}</section>
<section><h2>Reviews</h2>${reviews.ok ? reviewList(reviews.body as { version: string; reviews: Review[] }) : problem('reviews', reviews)}</section>
</main></body></html>`;
}

/** As Bookinfo's: any name, no password. Whoever signs in is the header `end-user` of all that the page asks for. */
function signIn(user: string | undefined): string {
  if (user !== undefined) return `<form method="post" action="logout">${escape(user)} <button>Sign out</button></form>`;
  return '<form method="post" action="login"><input name="username" aria-label="User name" required pattern="[A-Za-z0-9._-]{1,64}"> <button>Sign in</button></form>';
}

function definitionList(book: Book): string {
  const rows = Object.entries(book).filter(([key]) => key !== 'id' && key !== 'title');
  return `<dl>${rows.map(([key, value]) => `<dt>${escape(key)}</dt><dd>${escape(String(value))}</dd>`).join('')}</dl>`;
}

function reviewList(body: { version: string; reviews: Review[] }): string {
  const items = body.reviews.map(
    (review) => `<blockquote><p>${escape(review.text)}</p><small>${escape(review.reviewer)}</small> ${stars(review.rating)}</blockquote>`,
  );
  return `${items.join('')}<small>Reviews served by: reviews-${escape(body.version)}</small>`;
}

function stars(rating: Review['rating']): string {
  if (rating === undefined) return '';
  if ('error' in rating) return `<span class="problem">${escape(rating.error)}</span>`;
  return `<span class="${escape(rating.color)}" aria-label="${rating.stars} of 5 stars">${'★'.repeat(rating.stars)}${'☆'.repeat(5 - rating.stars)}</span>`;
}

function problem(name: string, result: { status: number; reason: string }): string {
  return `<p class="problem">Sorry, product ${escape(name)} are currently unavailable (${result.status === 0 ? 'no answer' : result.status}).</p>`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
