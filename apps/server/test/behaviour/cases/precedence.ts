// VirtualServices: which rule and which object wins, and what is answered when none does.

import { type Case, http, service } from '../case.ts';
import { absent, between } from '../harness/match.ts';
import { subsets, twoVersions } from './parts.ts';

const area = 'routing: precedence';
const v1 = { status: 200, app: 'a' };
const v2 = { status: 200, app: 'b' };

export const PRECEDENCE: readonly Case[] = [
  {
    area,
    name: 'port chooses among the ports of a service',
    services: [
      {
        name: 'by-port',
        ports: [
          { name: 'http-one', number: 80 },
          { name: 'http-two', number: 81 },
        ],
        endpoints: [
          { app: 'a', version: 'v1', direct: true },
          { app: 'b', version: 'v2', direct: true },
        ],
      },
    ],
    objects: `${subsets('by-port')}
kind: VirtualService
metadata: { name: by-port }
spec:
  hosts: [by-port]
  http:
  - match: [{ port: 81 }]
    route: [{ destination: { host: by-port, subset: v2, port: { number: 81 } } }]
  - route: [{ destination: { host: by-port, subset: v1, port: { number: 80 } } }]
`,
    steps: [http({ to: 'by-port:80', expect: v1 }), http({ to: 'by-port:81', expect: v2 })],
  },
  {
    area,
    name: 'the first rule that matches wins, whatever comes later',
    services: twoVersions('first-wins'),
    objects: `${subsets('first-wins')}
kind: VirtualService
metadata: { name: first-wins }
spec:
  hosts: [first-wins]
  http:
  - match: [{ uri: { prefix: /a } }]
    route: [{ destination: { host: first-wins, subset: v1 } }]
  - match: [{ uri: { exact: /ab } }]
    route: [{ destination: { host: first-wins, subset: v2 } }]
  - match: [{ uri: { prefix: / } }]
    route: [{ destination: { host: first-wins, subset: v1 } }]
  - match: [{ uri: { prefix: /late } }]
    route: [{ destination: { host: first-wins, subset: v2 } }]
`,
    steps: [http({ path: '/ab', expect: v1 }), http({ path: '/late', expect: v1 })],
  },
  {
    area,
    name: 'rules and matches have names: the log tells the route’s',
    services: [service('named-rules')],
    objects: `
kind: VirtualService
metadata: { name: named-rules }
spec:
  hosts: [named-rules]
  http:
  - { name: first, match: [{ name: by-uri, uri: { prefix: /a } }, { uri: { prefix: /b } }], route: [{ destination: { host: named-rules } }] }
  - { match: [{ name: alone, uri: { prefix: /c } }], route: [{ destination: { host: named-rules } }] }
  - { route: [{ destination: { host: named-rules } }] }
`,
    steps: ['/a', '/b', '/c', '/d'].map((path) => http({ path, expect: v1 })),
    telemetry: {
      logs: [
        { request: 'GET /a HTTP/1.1', route: 'first.by-uri' },
        { request: 'GET /b HTTP/1.1', route: 'first' },
        { request: 'GET /c HTTP/1.1', route: '.alone' },
        { request: 'GET /d HTTP/1.1', route: '-' },
      ],
    },
  },
  {
    area,
    name: 'no rule for a request: 404, flag NR',
    services: [service('no-rule')],
    objects: `
kind: VirtualService
metadata: { name: no-rule }
spec:
  hosts: [no-rule]
  http:
  - match: [{ uri: { prefix: /only } }]
    route: [{ destination: { host: no-rule } }]
`,
    steps: [http({ path: '/only', expect: v1 }), http({ path: '/else', expect: { status: 404, body: '' } })],
    telemetry: { logs: [{ status: '404', flags: 'NR' }] },
  },
  {
    area,
    name: 'weights are shares of their sum; without weight nothing comes',
    services: [service('weights', { app: 'a', version: 'v1' }, { app: 'b', version: 'v2' }, { app: 'c', version: 'v3' })],
    objects: `
kind: DestinationRule
metadata: { name: weights }
spec: { host: weights, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }, { name: v3, labels: { version: v3 } }] }
---
kind: VirtualService
metadata: { name: weights }
spec:
  hosts: [weights]
  http:
  - route:
    - { destination: { host: weights, subset: v1 }, weight: 3 }
    - { destination: { host: weights, subset: v2 }, weight: 1 }
    - { destination: { host: weights, subset: v3 }, weight: 0 }
`,
    random: true,
    steps: [http({ times: 400, parallel: 8, expect: { statuses: { 200: 400 }, apps: { a: between(255, 345), b: between(55, 145), c: absent } } })],
  },
  {
    area,
    name: 'private rules before public ones; a namespace they are not exported to never sees them',
    services: twoVersions('private'),
    objects: `${subsets('private')}
kind: VirtualService
metadata: { name: a-public }
spec:
  hosts: [private]
  http: [{ route: [{ destination: { host: private, subset: v1 } }] }]
---
kind: VirtualService
metadata: { name: b-private }
spec:
  hosts: [private]
  exportTo: ["."]
  http: [{ route: [{ destination: { host: private, subset: v2 } }] }]
`,
    steps: [http({ expect: v2 }), http({ from: 'other', expect: v1 })],
  },
  {
    area,
    name: 'of two VirtualServices for a host the older (then by name) wins whole',
    services: twoVersions('duplicate'),
    objects: `${subsets('duplicate')}
kind: VirtualService
metadata: { name: duplicate-2 }
spec:
  hosts: [duplicate]
  http: [{ match: [{ uri: { prefix: /two } }], route: [{ destination: { host: duplicate, subset: v2 } }] }]
---
kind: VirtualService
metadata: { name: duplicate-1 }
spec:
  hosts: [duplicate]
  http: [{ match: [{ uri: { prefix: /one } }], route: [{ destination: { host: duplicate, subset: v2 } }] }]
`,
    steps: [http({ path: '/one', expect: v2 }), http({ path: '/two', expect: { status: 404 } })],
  },
  {
    area,
    name: 'a host by its full name beats a wildcard',
    services: twoVersions('wild-one'),
    outside: ['wild.wild-$NS.svc.cluster.local:80'],
    // In a namespace of its own: the wildcard would claim the services of every case.
    objects: `${subsets('wild-one')}
kind: Service
metadata: { name: wild, namespace: wild-$NS }
spec: { ports: [{ name: http, port: 80 }] }
---
kind: VirtualService
metadata: { name: a-wild }
spec:
  hosts: ["*.wild-$NS.svc.cluster.local"]
  exportTo: [$OTHER]
  http: [{ route: [{ destination: { host: wild-one, subset: v1 } }] }]
---
kind: VirtualService
metadata: { name: b-exact }
spec:
  hosts: [wild.wild-$NS.svc.cluster.local]
  exportTo: [$OTHER]
  http: [{ route: [{ destination: { host: wild-one, subset: v2 } }] }]
`,
    steps: [http({ to: 'wild.wild-$NS.svc.cluster.local:80', from: 'other', expect: v2 })],
  },
  {
    area,
    name: 'a subset or host nobody knows: 503, flag NC',
    services: [service('unknown-subset')],
    objects: `
kind: VirtualService
metadata: { name: unknown-subset }
spec:
  hosts: [unknown-subset]
  http:
  - match: [{ uri: { prefix: /host } }]
    route: [{ destination: { host: nobody } }]
  - route: [{ destination: { host: unknown-subset, subset: v9 } }]
`,
    steps: [http({ expect: { status: 503, body: '' } }), http({ path: '/host', expect: { status: 503 } })],
    telemetry: { logs: [{ status: '503', flags: 'NC' }] },
  },
  {
    area,
    name: 'a subset without endpoints: 503, flag UH',
    services: [service('no-endpoints')],
    objects: `
kind: DestinationRule
metadata: { name: no-endpoints }
spec: { host: no-endpoints, subsets: [{ name: v9, labels: { version: v9 } }] }
---
kind: VirtualService
metadata: { name: no-endpoints }
spec:
  hosts: [no-endpoints]
  http: [{ route: [{ destination: { host: no-endpoints, subset: v9 } }] }]
`,
    steps: [http({ expect: { status: 503, body: 'no healthy upstream' } })],
    telemetry: { logs: [{ status: '503', flags: 'UH' }] },
  },
  {
    area,
    name: 'delegates: rules of another VirtualService under the condition of the root',
    services: twoVersions('root'),
    objects: `${subsets('root')}
kind: VirtualService
metadata: { name: root }
spec:
  hosts: [root]
  http:
  - match: [{ uri: { prefix: /team } }]
    delegate: { name: leaf }
  - route: [{ destination: { host: root, subset: v1 } }]
---
kind: VirtualService
metadata: { name: leaf }
spec:
  http:
  - match: [{ uri: { prefix: /team/b } }]
    route: [{ destination: { host: root, subset: v2 } }]
  - route: [{ destination: { host: root, subset: v1 } }]
`,
    steps: [http({ path: '/team/b', expect: v2 }), http({ path: '/team/c', expect: v1 }), http({ path: '/b', expect: v1 })],
  },
  {
    area,
    name: 'by Host through the one HTTP listener: short, long, with port; unknown names',
    services: [service('hosted')],
    steps: [
      http({ from: 'http-proxy', expect: v1 }),
      http({ from: 'http-proxy', headers: { host: 'hosted' }, expect: v1 }),
      http({ from: 'http-proxy', headers: { host: 'Hosted:80' }, expect: v1 }),
      http({ from: 'http-proxy', headers: { host: 'hosted.nowhere' }, expect: { status: 503 } }),
    ],
  },
  {
    area,
    name: 'weights changed under traffic: no request fails, the new share holds after the acknowledgement',
    services: twoVersions('moving'),
    objects: `${subsets('moving')}
kind: VirtualService
metadata: { name: moving }
spec:
  hosts: [moving]
  http: [{ route: [{ destination: { host: moving, subset: v1 } }] }]
`,
    random: true,
    steps: [
      http({ times: 50, expect: { apps: { a: 50 } } }),
      http({ times: 300, parallel: 4, background: true, expect: { statuses: { 200: 300 } } }),
      {
        kind: 'apply',
        objects: `
kind: VirtualService
metadata: { name: moving }
spec:
  hosts: [moving]
  http: [{ route: [{ destination: { host: moving, subset: v2 } }] }]
`,
      },
      { kind: 'until', step: http({ expect: v2 }), expect: v2 },
      http({ times: 50, expect: { apps: { b: 50 } } }),
    ],
  },
];
