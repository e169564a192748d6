// WorkloadGroup and ProxyConfig (networking.istio.io): how the workloads of a machine group join, and how their proxies run.

import { z } from 'zod';
import { workloadAddress, workloadFields } from './other-kinds.ts';
import { labels, portNumber, selector } from './schema-parts.ts';

const seconds = z.number().int().min(0).max(2_147_483_647);
const httpGet = z.strictObject({
  path: z.string().optional(),
  port: portNumber,
  host: z.string().optional(),
  scheme: z.enum(['HTTP', 'HTTPS']).or(z.literal('')).optional(),
  httpHeaders: z.array(z.strictObject({ name: z.string().regex(/^[-A-Za-z0-9]+$/, 'must be a header name'), value: z.string().optional() })).optional(),
});
const METHODS = ['httpGet', 'tcpSocket', 'exec', 'grpc'] as const;

const probe = z
  .strictObject({
    initialDelaySeconds: seconds.optional(),
    timeoutSeconds: seconds.optional(),
    periodSeconds: seconds.optional(),
    successThreshold: seconds.optional(),
    failureThreshold: seconds.optional(),
    httpGet: httpGet.optional(),
    tcpSocket: z.strictObject({ host: z.string().optional(), port: portNumber }).optional(),
    exec: z.strictObject({ command: z.array(z.string().min(1)).min(1, 'needs a command') }).optional(),
    grpc: z.strictObject({ port: portNumber.optional(), service: z.string().optional() }).optional(),
  })
  .refine((p) => METHODS.filter((key) => p[key] !== undefined).length === 1, `must have one of ${METHODS.join(', ')}`);

export const workloadGroupSpec = z.strictObject({
  metadata: z.strictObject({ labels: labels.optional(), annotations: z.record(z.string(), z.string()).optional() }).optional(),
  template: z.strictObject({ address: workloadAddress.optional(), ...workloadFields }),
  probe: probe.optional(),
});

export const proxyConfigSpec = z.strictObject({
  selector: selector.optional(),
  concurrency: z.number().int().min(0).max(2_147_483_647).nullish(),
  environmentVariables: z.record(z.string(), z.string()).optional(),
  image: z.strictObject({ imageType: z.string().optional() }).optional(),
});
