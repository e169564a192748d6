// Kubernetes' Ingress at the gateway proxies Istio's is for: those labelled `istio: ingressgateway`.

import { type Case, type HttpStep, type ServiceSpec, http, raw, service, until } from '../case.ts';
import { oneOf } from '../harness/match.ts';
import { secret } from './gateways.ts';

const area = 'gateways: Ingress';
const a = { status: 200, app: 'a' };
const b = { status: 200, app: 'b' };

/** The gateways of both data planes serve the Ingresses of both: hosts tell them apart. */
const hostOf = (name: string): string => `${name}.$NS.test`;
const ask = (name: string, step: Omit<HttpStep, 'kind'>): HttpStep =>
  http({ at: 'ingress', ...step, headers: { host: `${name}.of-\${plane}.test`, ...step.headers } });
/** An Ingress with these parts of its spec (flow YAML). Ends with a document separator. */
const ingress = (name: string, spec: string, annotations = 'kubernetes.io/ingress.class: istio'): string => `
kind: Ingress
metadata: { name: ${name}, annotations: { ${annotations} } }
spec: { ${spec} }
---`;
const path = (at: string, type: 'Exact' | 'Prefix' | 'ImplementationSpecific', name: string, port = 'number: 80'): string =>
  `{ path: "${at}", pathType: ${type}, backend: { service: { name: ${name}, port: { ${port} } } } }`;
const rule = (host: string, ...paths: string[]): string => `{ host: "${host}", http: { paths: [${paths.join(', ')}] } }`;
/** The service itself is application `a`, `<name>-b` is `b`. */
const two = (name: string): ServiceSpec[] => [service(name), service(`${name}-b`, { app: 'b' })];

export const INGRESS: readonly Case[] = [
  {
    area,
    name: 'paths: exact before prefix, longer before shorter, prefixes end at a segment; what is left to the implementation is exact or ends in a star',
    services: two('ing-paths'),
    objects: ingress(
      'ing-paths',
      `rules: [${rule(
        hostOf('ing-paths'),
        path('/', 'Prefix', 'ing-paths'),
        path('/shop', 'Prefix', 'ing-paths-b'),
        path('/shop/here', 'Exact', 'ing-paths', 'name: http'),
        path('/slash/', 'Prefix', 'ing-paths-b'),
        path('/left', 'ImplementationSpecific', 'ing-paths-b'),
        path('/star/*', 'ImplementationSpecific', 'ing-paths-b', 'name: http'),
      )}]`,
    ),
    steps: [
      ask('ing-paths', { path: '/x?q', expect: { ...a, headers: { server: 'istio-envoy' }, upstream: { path: '/x?q' } } }),
      ...['/shop', '/shop/', '/shop/x', '/shop/here/x', '/slash', '/slash/x', '/left', '/star', '/star/x'].map((at) =>
        ask('ing-paths', { path: at, expect: b }),
      ),
      ...['/shopping', '/shop/here', '/Shop', '/slashed', '/left/x', '/started'].map((at) => ask('ing-paths', { path: at, expect: a })),
      ask('ing-nobody', { expect: { status: 404, body: '' } }),
    ],
  },
  {
    area,
    name: 'Ingresses for one host are one; wildcard hosts; a Service that is not there: 503, a port without such a name: no route',
    services: two('ing-hosts'),
    objects: `${ingress(
      'ing-hosts-1',
      `rules: [${rule(hostOf('ing-hosts'), path('/', 'Prefix', 'ing-hosts'))}, ${rule(`*.${hostOf('ing-wild')}`, path('/', 'Prefix', 'ing-hosts-b'))}]`,
    )}${ingress(
      'ing-hosts-2',
      `defaultBackend: { service: { name: ing-hosts, port: { number: 80 } } },
       rules: [{ host: "${hostOf('ing-empty')}" }, ${rule(hostOf('ing-hosts'), path('/b', 'Prefix', 'ing-hosts-b'), path('/gone', 'Prefix', 'ing-gone'), path('/unnamed', 'Prefix', 'ing-hosts-b', 'name: none'))}]`,
    )}`,
    steps: [
      ask('ing-hosts', { expect: a }),
      ask('ing-hosts', { path: '/b/x', expect: b }),
      ask('ing-hosts', { path: '/unnamed', expect: a }),
      ask('ing-hosts', { path: '/gone', expect: { status: 503 } }),
      ask('x.ing-wild', { expect: b }),
      ask('x.y.ing-wild', { expect: b }),
      ask('ing-empty', { expect: { status: 404 } }),
    ],
  },
  {
    area,
    name: 'classes: of an IngressClass whose controller is Istio’s, by the annotation; not those of others, nor those without',
    services: [service('ing-class')],
    objects: `
kind: IngressClass
metadata: { name: ing-class-$PLANE }
spec: { controller: istio.io/ingress-controller }
---
kind: IngressClass
metadata: { name: ing-other-$PLANE }
spec: { controller: example.com/other }
---${['class', 'other', 'missing'].map((c) => ingress(`ing-class-${c}`, `ingressClassName: ing-${c}-$PLANE, rules: [${rule(hostOf(`ing-class-${c}`), path('/', 'Prefix', 'ing-class'))}]`, '')).join('')}${ingress('ing-class-none', `rules: [${rule(hostOf('ing-class-none'), path('/', 'Prefix', 'ing-class'))}]`, '')}${ingress('ing-class-nginx', `rules: [${rule(hostOf('ing-class-nginx'), path('/', 'Prefix', 'ing-class'))}]`, 'kubernetes.io/ingress.class: nginx')}`,
    steps: [
      ask('ing-class-class', { expect: a }),
      ...['other', 'missing', 'none', 'nginx'].map((c) => ask(`ing-class-${c}`, { expect: { status: 404 } })),
      {
        kind: 'apply',
        objects: `
kind: IngressClass
metadata: { name: ing-missing-$PLANE }
spec: { controller: istio.io/ingress-controller }
`,
      },
      until(ask('ing-class-missing', { expect: a })),
    ],
  },
  {
    area,
    name: 'tls: a certificate for its hosts on 443, plaintext on 80 all the same; a name without certificate is closed; an Ingress may change',
    services: two('ing-tls'),
    objects: `${secret('ing-tls')}${ingress('ing-tls', `tls: [{ hosts: ["${hostOf('ing-tls')}"], secretName: ing-tls }, { hosts: ["${hostOf('ing-none')}"] }], rules: [${rule(hostOf('ing-tls'), path('/', 'Prefix', 'ing-tls'))}]`)}`,
    steps: [
      until(
        ask('ing-tls', {
          at: 'ingress-tls',
          tls: { sni: 'ing-tls.$NS.test' },
          expect: { ...a, certificate: 'DNS:edge.example.com', upstream: { headers: { 'x-forwarded-proto': 'https' } } },
        }),
      ),
      ask('ing-tls', { expect: { ...a, upstream: { headers: { 'x-forwarded-proto': 'http' } } } }),
      ask('ing-other', { at: 'ingress-tls', tls: { sni: 'ing-tls.$NS.test' }, expect: { status: 404 } }),
      raw({ at: 'ingress-tls', tls: { sni: 'ing-none.$NS.test' }, send: ['GET / HTTP/1.1\r\n\r\n'], expect: { failed: oneOf('tls', 'closed', 'reset') } }),
      {
        kind: 'apply',
        objects: ingress(
          'ing-tls',
          `tls: [{ hosts: ["${hostOf('ing-tls')}"], secretName: ing-tls }], rules: [${rule(hostOf('ing-tls'), path('/', 'Prefix', 'ing-tls-b'))}]`,
        ),
      },
      until(ask('ing-tls', { at: 'ingress-tls', tls: { sni: 'ing-tls.$NS.test' }, expect: b })),
    ],
  },
];
