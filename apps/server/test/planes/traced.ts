// A plane whose spans are taken in.

import type { MeshObject } from '@weft/mesh-core/model';
import type { OtlpSpan } from '@weft/mesh-core/telemetry';
import { createIntake } from '../../src/telemetry/intake.ts';
import { type PLANES, type PlaneOptions, type RunningPlane, runPlane } from './planes.ts';

export interface TracedPlane extends RunningPlane {
  /** In the order they came. */
  readonly spans: readonly OtlpSpan[];
}

export async function runTracedPlane(plane: (typeof PLANES)[number], objects: readonly MeshObject[], options: PlaneOptions): Promise<TracedPlane> {
  const spans: OtlpSpan[] = [];
  const intake = createIntake({
    ...{ host: '127.0.0.1', httpPort: 0, grpcPort: 0, metrics: () => undefined, log: () => undefined },
    traces: (resources) => void spans.push(...resources.flatMap((resource) => resource.spans)),
  });
  await intake.start();
  const otlp = { host: '127.0.0.1', grpcPort: intake.ports.grpc, httpPort: intake.ports.http };
  try {
    const running = await runPlane(plane, objects, { ...options, settings: { ...options.settings, otlp }, onSpan: (span) => void spans.push(span) });
    return { ...running, spans, stop: () => Promise.all([running.stop(), intake.stop()]).then(() => undefined) };
  } catch (error) {
    await intake.stop();
    throw error;
  }
}
