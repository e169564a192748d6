// Hosts discovery no longer names while their active health checks pass: a control plane that forgets them must not cost requests.

import type { Endpoint, LoadAssignment } from '../config/model.ts';
import { addressOf } from './endpoint.ts';

type Locality = LoadAssignment['localities'][number];

/** `next`, and with it the hosts of `before` it leaves out though they are fit to stay; in a locality that is gone they have no weight. */
export function withStaying(next: LoadAssignment, before: LoadAssignment, stays: (endpoint: Endpoint) => boolean): LoadAssignment {
  const named = new Set(next.localities.flatMap(({ endpoints }) => endpoints.map(addressOf)));
  const localities: Locality[] = [...next.localities];
  for (const old of before.localities) {
    const staying = old.endpoints.filter((endpoint) => !named.has(addressOf(endpoint)) && stays(endpoint));
    if (staying.length === 0) continue;
    const index = localities.findIndex((locality) => same(locality, old));
    const there = localities[index];
    if (there === undefined) localities.push({ ...old, weight: 0, endpoints: staying });
    else localities[index] = { ...there, endpoints: [...there.endpoints, ...staying] };
  }
  return localities.every((locality, i) => locality === next.localities[i]) ? next : { ...next, localities };
}

function same(a: Locality, b: Locality): boolean {
  return a.priority === b.priority && a.region === b.region && a.zone === b.zone && a.subZone === b.subZone;
}
