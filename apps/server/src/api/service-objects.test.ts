import { parseYaml } from '@weft/mesh-core/config';
import type { MeshObject } from '@weft/mesh-core/model';
import { expect, test } from 'vitest';
import { objectsOfService } from './service-objects.ts';

const YAML = `
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { selector: { app: reviews } }
---
kind: Service
metadata: { name: reviews, namespace: other }
spec: { selector: { app: reviews } }
---
kind: WorkloadEntry
metadata: { name: reviews-v1, namespace: shop }
spec: { labels: { app: reviews, version: v1 } }
---
kind: WorkloadEntry
metadata: { name: ratings-v1, namespace: shop }
spec: { labels: { app: ratings } }
---
kind: VirtualService
metadata: { name: own, namespace: shop }
spec: { hosts: [reviews] }
---
kind: VirtualService
metadata: { name: sends, namespace: edge }
spec: { hosts: [www.example.com], http: [{ route: [{ destination: { host: reviews.shop.svc.cluster.local } }] }] }
---
kind: VirtualService
metadata: { name: mirrors, namespace: shop }
spec: { hosts: [ratings], http: [{ mirror: { host: reviews } }] }
---
kind: VirtualService
metadata: { name: of-the-other, namespace: other }
spec: { hosts: [reviews] }
---
kind: VirtualService
metadata: { name: of-a-gateway, namespace: edge }
spec: { hosts: ['*'], gateways: [web], http: [{ route: [{ destination: { host: ratings.shop.svc.cluster.local } }] }] }
---
kind: DestinationRule
metadata: { name: wide, namespace: shop }
spec: { host: '*.shop.svc.cluster.local' }
---
kind: HTTPRoute
metadata: { name: canary, namespace: shop }
spec: { parentRefs: [{ group: '', kind: Service, name: reviews }] }
---
kind: HTTPRoute
metadata: { name: from-edge, namespace: edge }
spec: { parentRefs: [{ name: web }], rules: [{ backendRefs: [{ name: reviews, namespace: shop, port: 80 }] }] }
---
kind: AuthorizationPolicy
metadata: { name: of-reviews, namespace: shop }
spec: { selector: { matchLabels: { app: reviews } } }
---
kind: AuthorizationPolicy
metadata: { name: of-ratings, namespace: shop }
spec: { selector: { matchLabels: { app: ratings } } }
---
kind: PeerAuthentication
metadata: { name: mesh, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;

test('what routes, sends to, serves or guards a service, and nothing of its namesakes', () => {
  const objects = parseYaml(YAML).documents.map((d) => d.value as MeshObject);
  expect(objectsOfService(objects, 'shop', 'reviews', 'cluster.local').map((o) => `${o.role} ${o.ref.kind}/${o.ref.namespace}/${o.ref.name}`)).toEqual([
    'self Service/shop/reviews',
    'endpoint WorkloadEntry/shop/reviews-v1',
    'routes VirtualService/shop/own',
    'sends VirtualService/edge/sends',
    'sends VirtualService/shop/mirrors',
    'policy DestinationRule/shop/wide',
    'routes HTTPRoute/shop/canary',
    'sends HTTPRoute/edge/from-edge',
    'policy AuthorizationPolicy/shop/of-reviews',
    'policy PeerAuthentication/istio-system/mesh',
  ]);
});
