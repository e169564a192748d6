// Copies of requests: who gets one, how many, and what of them is seen.

import { type Case, arrivalCounts, arrivals, http, service } from '../case.ts';
import { absent, between } from '../harness/match.ts';
import { rule, subsets, twoVersions } from './parts.ts';

const area = 'routing: actions';

export const MIRRORS: readonly Case[] = [
  {
    area,
    name: 'mirror: a copy goes to the other subset, by its own Host (no -shadow, as in Istio); its answer is dropped',
    services: twoVersions('mirror'),
    objects: `${subsets('mirror')}
kind: VirtualService
metadata: { name: mirror }
spec:
  hosts: [mirror]
  http:
  - route: [{ destination: { host: mirror, subset: v1 } }]
    mirror: { host: mirror, subset: v2 }
`,
    steps: [
      http({ method: 'POST', path: '/m?q', body: 'copied', do: { only: 'b', status: 500 }, expect: { status: 200, app: 'a', upstream: { body: 'copied' } } }),
      arrivals([
        { app: 'a', path: '/m?q' },
        { app: 'b', method: 'POST', path: '/m?q', headers: { host: /^mirror\.<ns>\.svc\.cluster\.local:80$/ } },
      ]),
    ],
  },
  {
    area,
    name: 'mirrors: several, each with its percentage; 0 means none',
    services: [service('mirrors', { app: 'a', version: 'v1' }), service('mirrors-b', { app: 'b' }), service('mirrors-c', { app: 'c' })],
    objects: rule(
      'mirrors',
      'mirrors: [{ destination: { host: mirrors-b }, percentage: { value: 100 } }, { destination: { host: mirrors-c }, percentage: { value: 0 } }]',
    ),
    steps: [http({ expect: { status: 200, app: 'a' } }), arrivals([{ app: 'a' }, { app: 'b' }])],
  },
  {
    area,
    name: 'mirrorPercentage: a share, drawn for each mirror by itself; the older mirrorPercent only where there is no other; 0 means none',
    random: true,
    services: [
      service('mirror-share'),
      ...['mirror-old', 'mirror-none', 'mirror-three'].map((name) => service(name, { app: 'a', direct: true })),
      ...(['b', 'c', 'd'] as const).map((app) => service(`mirror-to-${app}`, { app })),
    ],
    objects: [
      rule('mirror-share', 'mirror: { host: mirror-to-b }, mirrorPercentage: { value: 30 }, mirrorPercent: 100'),
      rule('mirror-old', 'mirror: { host: mirror-to-b }, mirrorPercent: 0'),
      rule('mirror-none', 'mirror: { host: mirror-to-b }, mirrorPercentage: { value: 0 }'),
      rule(
        'mirror-three',
        'mirrors: [{ destination: { host: mirror-to-c }, percentage: { value: 50 } }, { destination: { host: mirror-to-d }, percentage: { value: 10.5 } }]',
      ),
    ].join('---'),
    steps: [
      ...['mirror-old', 'mirror-none'].map((to) => http({ to, times: 10, expect: { apps: { a: 10 } } })),
      http({ times: 200, parallel: 4, expect: { statuses: { 200: 200 } } }),
      arrivalCounts({ a: 220, b: between(32, 90), c: absent, d: absent }),
      http({ to: 'mirror-three', times: 200, parallel: 4, expect: { statuses: { 200: 200 } } }),
      arrivalCounts({ a: 420, b: between(32, 90), c: between(68, 132), d: between(5, 45) }),
    ],
  },
];
