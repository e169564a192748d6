// What a Telemetry makes of Istio's standard metrics on one listener: metrics that look alike share their rows.

import { METRIC } from '@weft/mesh-core/telemetry';
import { compileTag } from '../access-log/cel-attributes.ts';
import type { MetricOverride } from '../config/model.ts';
import type { HeaderValueSource } from '../http/header-values.ts';

export interface MetricShape {
  /** Metrics counted in this shape. */
  metrics: ReadonlySet<string>;
  /** `values` are those of {@link Shapes.values}. */
  label<L extends Readonly<Record<string, string>>>(labels: L, values: readonly string[]): L;
}

export interface Shapes {
  /** None when nothing is counted. */
  list: readonly MetricShape[];
  /** What tags say of one request; undefined where they are the same for all. */
  values: ((source: HeaderValueSource) => readonly string[]) | undefined;
}

const REQUESTS = [METRIC.requests, METRIC.duration, METRIC.requestBytes, METRIC.responseBytes, METRIC.requestMessages, METRIC.responseMessages];
const CONNECTIONS = [METRIC.tcpOpened, METRIC.tcpClosed, METRIC.tcpSent, METRIC.tcpReceived];
const asIstioHasThem = (names: readonly string[]): Shapes => ({ list: [{ metrics: new Set(names), label: (labels) => labels }], values: undefined });
const unchangedRequests = asIstioHasThem(REQUESTS);
const unchangedConnections = asIstioHasThem(CONNECTIONS);

interface Changed {
  metrics?: Readonly<Record<string, MetricOverride>>;
}

const shapes = new WeakMap<Changed, Shapes>();

/** The shapes of a connection manager's metrics. Worked out once per manager. */
export function requestShapes(manager: Changed): Shapes {
  return manager.metrics === undefined ? unchangedRequests : shapesOf(manager, REQUESTS);
}

/** Of a TcpProxy's. */
export function connectionShapes(proxy: Changed): Shapes {
  return proxy.metrics === undefined ? unchangedConnections : shapesOf(proxy, CONNECTIONS);
}

function shapesOf(owner: Changed, names: readonly string[]): Shapes {
  let known = shapes.get(owner);
  if (known === undefined) shapes.set(owner, (known = shape(owner.metrics ?? {}, names)));
  return known;
}

function shape(overrides: Readonly<Record<string, MetricOverride>>, names: readonly string[]): Shapes {
  const reads = new Map<string, (source: HeaderValueSource) => string>();
  const alike = new Map<string, { metrics: Set<string>; remove: readonly string[]; set: Readonly<Record<string, string>> }>();
  for (const name of names) {
    const { disabled = false, remove = [], set = {} } = overrides[name] ?? {};
    if (disabled) continue;
    const key = JSON.stringify([remove, set]);
    const group = alike.get(key) ?? { metrics: new Set<string>(), remove, set };
    alike.set(key, group);
    group.metrics.add(name);
  }
  const list = [...alike.values()].map(({ metrics, remove, set }): MetricShape => {
    const tags = Object.entries(set).map(([tag, expression]) => {
      const value = compileTag(expression);
      if (typeof value === 'string') return { tag, value };
      reads.set(expression, value);
      return { tag, value: [...reads.keys()].indexOf(expression) };
    });
    return {
      metrics,
      label: <L extends Readonly<Record<string, string>>>(labels: L, values: readonly string[]): L => {
        const own = Object.fromEntries(tags.map(({ tag, value }) => [tag, typeof value === 'string' ? value : (values[value] ?? '')]));
        return Object.fromEntries(Object.entries({ ...labels, ...own }).filter(([label]) => !remove.includes(label))) as L;
      },
    };
  });
  const all = [...reads.values()];
  return { list, values: all.length === 0 ? undefined : (source) => all.map((read) => read(source)) };
}
