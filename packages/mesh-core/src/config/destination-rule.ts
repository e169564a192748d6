// DestinationRule (networking.istio.io): what happens after routing: subsets, balancing, pools, outlier detection, TLS.

import { z } from 'zod';
import { localityLb, zoneAwareLb } from './locality-settings.ts';
import { duration, exportToSome, durationOrZero, hostName, labels, portNumber, positiveInt32, refuseDuplicates, selector, uint32 } from './schema-parts.ts';

const tls = z
  .strictObject({
    mode: z.enum(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']).optional(),
    clientCertificate: z.string().optional(),
    privateKey: z.string().optional(),
    caCertificates: z.string().optional(),
    credentialName: z.string().optional(),
    subjectAltNames: z.array(z.string()).optional(),
    sni: z.string().optional(),
    insecureSkipVerify: z.boolean().optional(),
    caCrl: z.string().optional(),
  })
  .refine(
    (t) => t.mode !== 'MUTUAL' || t.credentialName !== undefined || (t.clientCertificate !== undefined && t.privateKey !== undefined),
    'mode MUTUAL needs clientCertificate and privateKey, or credentialName',
  )
  .refine(
    (t) => (t.mode !== 'SIMPLE' && t.mode !== 'MUTUAL') || !t.credentialName || !(t.clientCertificate || t.privateKey || t.caCertificates || t.caCrl),
    'credentialName stands for clientCertificate, privateKey, caCertificates and caCrl, so these must be absent',
  )
  .refine(
    (t) =>
      t.mode !== 'ISTIO_MUTUAL' ||
      (t.clientCertificate === undefined && t.privateKey === undefined && t.caCertificates === undefined && t.credentialName === undefined),
    'mode ISTIO_MUTUAL uses the mesh certificates: clientCertificate, privateKey, caCertificates and credentialName must be absent',
  )
  .refine(
    (t) =>
      t.insecureSkipVerify !== true ||
      !(
        (t.mode === 'SIMPLE' || t.mode === 'MUTUAL') &&
        (Boolean(t.caCertificates) || (t.subjectAltNames?.length ?? 0) > 0 || (t.mode === 'SIMPLE' && Boolean(t.credentialName)))
      ),
    'insecureSkipVerify checks nothing, so caCertificates, subjectAltNames and (with SIMPLE) credentialName must be absent',
  );

const consistentHash = z
  .strictObject({
    httpHeaderName: z.string().optional(),
    httpCookie: z
      .strictObject({
        name: z.string().min(1),
        path: z.string().optional(),
        ttl: durationOrZero.optional(),
        attributes: z
          .array(z.strictObject({ name: z.string().min(1), value: z.string().optional() }))
          .superRefine((list, context) =>
            refuseDuplicates(
              list.map((a) => a.name),
              (i) => [i, 'name'],
              'cookie attribute',
              context,
            ),
          )
          .optional(),
      })
      .optional(),
    useSourceIp: z.boolean().optional(),
    httpQueryParameterName: z.string().optional(),
    minimumRingSize: uint32.optional(),
    ringHash: z.strictObject({ minimumRingSize: uint32.optional() }).optional(),
    maglev: z.strictObject({ tableSize: z.number({ error: 'must be given' }).int().max(5_000_010).refine(isPrime, 'must be a prime number') }).optional(),
  })
  .refine(
    (h) => [h.httpHeaderName, h.httpCookie, h.useSourceIp, h.httpQueryParameterName].filter((v) => v !== undefined).length === 1,
    'must have one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName',
  )
  .refine((h) => !h.minimumRingSize || (h.ringHash === undefined && h.maglev === undefined), 'minimumRingSize cannot be combined with ringHash or maglev');

function isPrime(value: number): boolean {
  for (let i = 2; i * i <= value; i++) if (value % i === 0) return false;
  return value > 1;
}

const loadBalancer = z
  .strictObject({
    simple: z.enum(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST']).optional(),
    consistentHash: consistentHash.optional(),
    localityLbSetting: localityLb.optional(),
    zoneAwareLbSetting: zoneAwareLb.optional(),
    warmupDurationSecs: duration.optional(),
    warmup: z.strictObject({ duration, minimumPercent: z.number().min(0).max(100).optional(), aggression: z.number().min(1).optional() }).optional(),
  })
  .refine((l) => l.simple === undefined || l.consistentHash === undefined, 'must have one of simple, consistentHash')
  .refine((l) => l.localityLbSetting === undefined || l.zoneAwareLbSetting === undefined, 'must have one of localityLbSetting, zoneAwareLbSetting')
  .refine((l) => l.warmup === undefined || l.warmupDurationSecs === undefined, 'must have one of warmup, warmupDurationSecs');

export const connectionPool = z
  .strictObject({
    tcp: z
      .strictObject({
        maxConnections: positiveInt32.optional(),
        connectTimeout: duration.optional(),
        tcpKeepalive: z.strictObject({ probes: uint32.optional(), time: duration.optional(), interval: duration.optional() }).optional(),
        maxConnectionDuration: duration.optional(),
        idleTimeout: durationOrZero.optional(),
      })
      .optional(),
    http: z
      .strictObject({
        http1MaxPendingRequests: positiveInt32.optional(),
        http2MaxRequests: positiveInt32.optional(),
        maxRequestsPerConnection: positiveInt32.optional(),
        maxRetries: positiveInt32.optional(),
        idleTimeout: duration.optional(),
        h2UpgradePolicy: z.enum(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']).optional(),
        useClientProtocol: z.boolean().optional(),
        maxConcurrentStreams: positiveInt32.optional(),
        http2KeepAlive: z.strictObject({ interval: duration, timeout: duration }).optional(),
      })
      .refine((h) => h.h2UpgradePolicy !== 'UPGRADE' || h.useClientProtocol !== true, 'must not have both h2UpgradePolicy UPGRADE and useClientProtocol')
      .optional(),
  })
  .refine((p) => p.tcp !== undefined || p.http !== undefined, 'must have tcp or http');

const percentInt = z.number().int().min(0).max(100);
const outlierDetection = z
  .strictObject({
    consecutiveErrors: positiveInt32.optional(),
    splitExternalLocalOriginErrors: z.boolean().optional(),
    consecutiveLocalOriginFailures: uint32.optional(),
    consecutiveGatewayErrors: uint32.optional(),
    consecutive5xxErrors: uint32.optional(),
    interval: duration.optional(),
    baseEjectionTime: duration.optional(),
    maxEjectionPercent: percentInt.optional(),
    minHealthPercent: percentInt.optional(),
    outlierDetectionHttpErrorCodes: z.array(z.number().int().min(100).max(599)).optional(),
  })
  .refine(
    (o) => !o.consecutiveLocalOriginFailures || o.splitExternalLocalOriginErrors === true,
    'consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors: true',
  );

const portPolicy = {
  loadBalancer: loadBalancer.optional(),
  connectionPool: connectionPool.optional(),
  outlierDetection: outlierDetection.optional(),
  tls: tls.optional(),
};
const trafficPolicy = z
  .strictObject({
    ...portPolicy,
    portLevelSettings: z
      .array(
        z
          .strictObject({ port: z.strictObject({ number: portNumber }), ...portPolicy })
          .refine((p) => Object.keys(p).length > 1, 'must set something besides port'),
      )
      .optional(),
    tunnel: z
      .strictObject({
        protocol: z.enum(['CONNECT', 'POST']).optional(),
        targetHost: hostName.refine((h) => !h.includes('*'), 'must not be a wildcard'),
        targetPort: portNumber,
      })
      .optional(),
    proxyProtocol: z.strictObject({ version: z.enum(['V1', 'V2']).optional() }).optional(),
    retryBudget: z
      .strictObject({ percent: z.number().min(0).max(100).optional(), minRetryConcurrency: uint32.optional(), budgetInterval: durationOrZero.optional() })
      .optional(),
  })
  .refine((p) => Object.values(p).some((value) => value !== undefined), 'must set something: it is empty')
  .refine((p) => p.tunnel === undefined || p.proxyProtocol === undefined, 'must not have both tunnel and proxyProtocol');

export const destinationRuleSpec = z
  .strictObject({
    host: hostName,
    trafficPolicy: trafficPolicy.optional(),
    subsets: z
      .array(
        z.strictObject({
          name: z.string().regex(/^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$/, 'must be a DNS label'),
          labels: labels.optional(),
          trafficPolicy: trafficPolicy.optional(),
        }),
      )
      .optional(),
    exportTo: exportToSome.optional(),
    workloadSelector: selector.optional(),
  })
  .superRefine((spec, context) =>
    refuseDuplicates(
      (spec.subsets ?? []).map((subset) => subset.name),
      (i) => ['subsets', i, 'name'],
      'subset',
      context,
    ),
  );
export type DestinationRuleSpec = z.infer<typeof destinationRuleSpec>;
export type TrafficPolicySpec = z.infer<typeof trafficPolicy>;
