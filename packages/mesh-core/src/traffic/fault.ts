// Which faults a request gets: Envoy's fault filter, decided when the request arrives.

import { happens, type Fraction } from './fraction.ts';
import { compileHeaderMatch, type HeaderMatchSpec, type RequestView } from './route-match.ts';

export interface FaultSpec {
  delay?: { kind: 'fixed'; ms: number; chance: Fraction } | { kind: 'header'; chance: Fraction };
  abort?: { kind: 'http'; status: number; chance: Fraction } | { kind: 'grpc'; status: number; chance: Fraction } | { kind: 'header'; chance: Fraction };
  /** All must match for any fault. */
  headers: readonly HeaderMatchSpec[];
  /** Faults at a time; undefined = no limit. */
  maxActive?: number;
}

export interface Fault {
  /** 0 = none. */
  delayMs: number;
  /** After the delay; undefined = none. `grpc` gives the status a gRPC client sees. */
  abort: { status: number; grpc?: number } | undefined;
}

/** Undefined = no fault for this request. `random` in [0, 1), drawn once per kind as needed. @throws RegexError */
export function compileFault(spec: FaultSpec): (request: RequestView, random: () => number) => Fault | undefined {
  const matches = spec.headers.map(compileHeaderMatch);
  return (request, random) => {
    for (const match of matches) if (!match(request)) return undefined;
    const delayMs = delayOf(spec, request, random);
    const abort = abortOf(spec, request, random);
    return delayMs === 0 && abort === undefined ? undefined : { delayMs, abort };
  };
}

function delayOf({ delay }: FaultSpec, request: RequestView, random: () => number): number {
  if (delay === undefined) return 0;
  if (delay.kind === 'fixed') return happens(delay.chance, random) ? delay.ms : 0;
  const asked = request.get('x-envoy-fault-delay-request');
  if (asked === undefined || !/^\d+$/.test(asked)) return 0;
  return happens(headerChance(request, 'x-envoy-fault-delay-request-percentage', delay.chance), random) ? Number(asked) : 0;
}

function abortOf({ abort }: FaultSpec, request: RequestView, random: () => number): Fault['abort'] {
  if (abort === undefined) return undefined;
  if (abort.kind !== 'header') {
    if (!happens(abort.chance, random)) return undefined;
    return abort.kind === 'http' ? { status: abort.status } : { status: 200, grpc: abort.status };
  }
  const http = request.get('x-envoy-fault-abort-request');
  const grpc = request.get('x-envoy-fault-abort-grpc-request');
  const chance = headerChance(request, 'x-envoy-fault-abort-request-percentage', abort.chance);
  if (http !== undefined && /^[2-5]\d\d$/.test(http)) return happens(chance, random) ? { status: Number(http) } : undefined;
  if (grpc !== undefined && /^\d{1,2}$/.test(grpc)) return happens(chance, random) ? { status: 200, grpc: Number(grpc) } : undefined;
  return undefined;
}

/** The header may lower the configured numerator, never raise it. */
function headerChance(request: RequestView, name: string, configured: Fraction): Fraction {
  const asked = request.get(name);
  return asked !== undefined && /^\d+$/.test(asked) ? { numerator: Math.min(Number(asked), configured.numerator), of: configured.of } : configured;
}
