import type { ConfigSummary } from '@weft/mesh-core/api';
import { type Kind, apiVersionOf } from '@weft/mesh-core/model';
import { ApiFailure } from '../../data/client.ts';

/**
 * Deletes an object as it was read: refused when somebody changed it meanwhile. Throws {@link ApiFailure}. Answers what goes
 * with it, in the server's words, where anything does. `dryRun`: only asks.
 */
export async function deleteObject(
  kind: Kind,
  { namespace, name }: ConfigSummary['ref'],
  resourceVersion: string,
  dryRun = false,
): Promise<string | undefined> {
  const root = kind.group === '' ? `/api/${kind.versions[0]}` : `/apis/${apiVersionOf(kind)}`;
  const home = kind.clusterScoped === true ? '' : `/namespaces/${namespace}`;
  const response = await fetch(`${root}${home}/${kind.plural}/${name}`, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { resourceVersion }, ...(dryRun ? { dryRun: ['All'] } : {}) }),
  });
  const status: unknown = await response.json().catch(() => undefined);
  const told = (status as { message?: unknown } | undefined)?.message;
  if (response.ok) return typeof told === 'string' ? told : undefined;
  throw new ApiFailure(response.status, { code: 'WEFT_DELETE', message: typeof told === 'string' ? told : `the server answered ${response.status}` });
}
