import type { ConfigSummary } from '@weft/mesh-core/api';
import { type Kind, apiVersionOf } from '@weft/mesh-core/model';
import { ApiFailure } from '../../data/client.ts';

/** Deletes an object as it was read: refused when somebody changed it meanwhile. Throws {@link ApiFailure}. */
export async function deleteObject(kind: Kind, ref: ConfigSummary['ref'], resourceVersion: string): Promise<void> {
  const root = kind.group === '' ? `/api/${kind.versions[0]}` : `/apis/${apiVersionOf(kind)}`;
  const response = await fetch(`${root}/namespaces/${ref.namespace}/${kind.plural}/${ref.name}`, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { resourceVersion } }),
  });
  if (response.ok) return;
  const status: unknown = await response.json().catch(() => undefined);
  const told = (status as { message?: unknown } | undefined)?.message;
  throw new ApiFailure(response.status, { code: 'WEFT_DELETE', message: typeof told === 'string' ? told : `the server answered ${response.status}` });
}
