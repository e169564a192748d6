// One small document from a server that a configuration names: only http and https, within a time and a size.

/** Key sets of large issuers have some 20 KB. */
const MAX_BYTES = 256 * 1024;
const MAX_REDIRECTS = 5;

/** Why a document could not be had, in words for the one who wrote the URL. */
export class DocumentError extends Error {}

/** The text of an answer 200. `signal` gives up; a redirect never leads from https to http. */
export async function fetchDocument(url: string, timeoutMs: number, signal: AbortSignal): Promise<string> {
  const timeout = AbortSignal.timeout(timeoutMs);
  let place = url;
  try {
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const response = await fetch(place, { redirect: 'manual', signal: AbortSignal.any([signal, timeout]), headers: { accept: 'application/json' } });
      const location = response.headers.get('location');
      if (response.status >= 300 && response.status < 400 && location !== null) {
        await response.body?.cancel();
        place = redirected(place, location);
        continue;
      }
      if (response.status === 200) return await textOf(response, place);
      await response.body?.cancel();
      throw new DocumentError(`${place} answered ${response.status}`);
    }
  } catch (error) {
    if (error instanceof DocumentError) throw error;
    if (timeout.aborted) throw new DocumentError(`${place} did not answer within ${timeoutMs / 1_000} s`, { cause: error });
    throw new DocumentError(`${place} could not be asked: ${reasonOf(error)}`, { cause: error });
  }
  throw new DocumentError(`${url} leads on more than ${MAX_REDIRECTS} times`);
}

function redirected(from: string, location: string): string {
  const to = new URL(location, from);
  if (to.protocol !== 'https:' && (to.protocol !== 'http:' || new URL(from).protocol === 'https:'))
    throw new DocumentError(`${from} leads to ${to.protocol}, which is not followed`);
  return to.href;
}

async function textOf(response: Response, place: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new DocumentError(`the answer of ${place} is longer than ${MAX_BYTES / 1_024} KiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The reason behind fetch's `fetch failed`. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string };
  return cause?.code ?? cause?.message ?? message ?? String(error);
}
