// One embedded proxy: identity, configuration from the control plane, the data path, telemetry and admin, put together.

import { openAccessLogs } from './access-log/access-log.ts';
import { type Admin, type ProxyState, startAdmin } from './admin/admin.ts';
import { processStats } from './admin/process-stats.ts';
import { type ProxySpec, xdsNode } from './config/proxy-spec.ts';
import type { ProxyRuntime, RuntimeDeps } from './http/hooks.ts';
import { keepIdentity } from './identity/keep-identity.ts';
import type { ListeningSockets } from './listener/listening-sockets.ts';
import { startOtlpExporter } from './telemetry/otlp-exporter.ts';
import { createPrometheus } from './telemetry/prometheus.ts';
import { createRequestMetrics } from './telemetry/request-metrics.ts';
import { selfLabels } from './telemetry/self-labels.ts';
import { createTcpMetrics } from './telemetry/tcp-metrics.ts';
import { createTracer, spanOf, spanOfCall } from './tracing/tracer.ts';
import { type Configuration, createConfiguration } from './xds-client/configuration.ts';
import { openLastGood } from './xds-client/last-good.ts';
import { type XdsClient, startXdsClient } from './xds-client/xds-client.ts';

const VERSION = '0.1.0';
/** How long the control plane may take before the configuration of the last run is used. */
const LAST_GOOD_AFTER_MS = 2_000;
/** A port taken by a program about to end is free soon. */
const REBIND_AFTER_MS = 2_000;

export interface ProxyDeps {
  createRuntime(deps: RuntimeDeps): ProxyRuntime;
  log(message: string): void;
  /** The operator asked this process to end (`/quitquitquit`). */
  quit?(): void;
  /** See listener/listening-sockets.ts. */
  sockets?: ListeningSockets | undefined;
}

export interface ProxyHandle {
  /** `<workload>.<namespace>` */
  name: string;
  adminPort: number;
  /** Resolves when the first listeners are bound; rejects when one of them cannot be. */
  ready: Promise<void>;
  state(): ProxyState;
  /** Finishes running requests within `ms`, sends what telemetry is left, then closes. */
  drain(ms: number): Promise<void>;
}

/** Resolves when the admin port is bound; rejects when it cannot be. The rest comes as the control plane gives it: see `ready`. */
export async function startProxy(spec: ProxySpec, deps: ProxyDeps): Promise<ProxyHandle> {
  const name = `${spec.workload}.${spec.namespace}`;
  const logging = { enabled: true };
  const log = (message: string): void => {
    if (logging.enabled) deps.log(`${name}: ${message}`);
  };
  // The same for all proxies of a process: spans of neighbours must line up to the microsecond.
  const epochOffsetMs = performance.timeOrigin;
  const node = xdsNode(spec, 'embedded', VERSION);
  const self = selfLabels(spec);
  const lastGood = openLastGood(spec.stateDir, name, log);
  const metrics = createRequestMetrics(self, Date.now);
  const tcpMetrics = createTcpMetrics(self, Date.now);
  const resource = {
    'service.name': `${self.canonicalService}.${spec.namespace}`,
    'weft.workload': spec.workload,
    'weft.namespace': spec.namespace,
    'weft.node_id': node.id,
  };
  const exporter = startOtlpExporter(spec.otlpEndpoint, resource, [metrics, tcpMetrics], Date.now);
  const accessLogs = openAccessLogs(log);

  let state: ProxyState = 'PRE_INITIALIZING';
  let unhealthy = false;
  let rebindTimer: NodeJS.Timeout | undefined;
  let xds: XdsClient | undefined;
  let requests = 0;
  const runtime = deps.createRuntime({
    clock: () => performance.now(),
    sockets: deps.sockets,
    random: Math.random,
    tracer: createTracer(Math.random),
    peerIdentity: [self.workload, self.namespace, self.app, self.version, self.canonicalService, self.canonicalRevision, self.cluster].join(';'),
    log,
    onTcp(record) {
      tcpMetrics.onTcp(record);
      accessLogs.onTcp(record);
    },
    onCall: (call) => exporter.addSpan(spanOfCall(call, epochOffsetMs)),
    onRequestEnd(record, source) {
      requests += 1;
      metrics.onRequest(record, source);
      const span = spanOf(record, source, node.id, epochOffsetMs);
      if (span !== undefined) exporter.addSpan(span);
      if (record.manager.accessLog.length > 0) accessLogs.onRequest(record.manager.accessLog, source);
    },
  });

  const { promise: ready, resolve: isLive, reject: cannotBind } = withResolvers();
  // Looked at by whoever waits for it; nobody has to.
  ready.catch(() => undefined);
  const configuration: Configuration = createConfiguration(runtime, {
    changed: () => lastGood.changed(configuration),
    live: (error) => {
      if (error !== undefined) {
        cannotBind(error);
        clearTimeout(rebindTimer);
        rebindTimer = setTimeout(() => void configuration.rebind(), REBIND_AFTER_MS);
      }
      if (state === 'PRE_INITIALIZING') state = 'LIVE';
      isLive();
    },
  });

  let stopped: Promise<void> | undefined;
  let admin: Admin | undefined;
  const drain = (ms: number): Promise<void> => {
    stopped ??= (async () => {
      state = 'DRAINING';
      clearTimeout(lastGoodTimer);
      clearTimeout(rebindTimer);
      identity.stop();
      xds?.stop();
      await runtime.drain(ms);
      await runtime.close();
      await Promise.all([exporter.stop(), accessLogs.close(), admin?.close()]);
      lastGood.close();
    })();
    return stopped;
  };

  const told = (): ProxyState => (unhealthy && state === 'LIVE' ? 'DRAINING' : state);
  admin = await startAdmin({
    port: spec.adminPort,
    runtime,
    configuration,
    prometheus: createPrometheus(metrics, tcpMetrics),
    state: told,
    info: () => ({
      version: VERSION,
      uptime_current_epoch: `${Math.round(process.uptime())}s`,
      uptime_all_epochs: `${Math.round(process.uptime())}s`,
      hot_restart_version: 'disabled',
      node: { id: node.id, cluster: node.cluster },
      control_plane: xds?.state() ?? { connected: false },
      certificate_expires: identity.current() === undefined ? null : new Date(identity.current()?.notAfter ?? 0).toISOString(),
    }),
    stats: () => ({
      ...processStats(told(), xds, identity.current()?.notAfter),
      'weft.requests_total': requests,
      'weft.spans_dropped': exporter.droppedSpans(),
      'weft.access_log_dropped': accessLogs.dropped(),
    }),
    drain: (ms) => {
      state = 'DRAINING';
      void runtime.drain(ms);
    },
    failHealth: (failed) => {
      unhealthy = failed;
      runtime.failHealth(failed);
    },
    quit: () => deps.quit?.(),
    reopenLogs: () => accessLogs.reopen(),
    logging,
  }).catch(async (error: unknown) => {
    await Promise.all([exporter.stop(), accessLogs.close(), runtime.close()]);
    throw error;
  });

  const identity = keepIdentity(spec, lastGood, log, () => {
    xds ??= startXdsClient({
      address: spec.xdsAddress,
      rootCaPem: spec.rootCaPem,
      identity: () => identity.require(),
      node: { ...node, version: VERSION },
      configuration,
      log,
    });
  });
  // Connections already wait on inherited sockets: what the crashed process had is right until the control plane says more.
  const crashed = deps.sockets?.inherited === true;
  const lastGoodTimer = setTimeout(
    () => {
      if (state === 'PRE_INITIALIZING' && (crashed || xds?.state().connected !== true)) void restore();
    },
    crashed ? 0 : LAST_GOOD_AFTER_MS,
  );
  const restore = async (): Promise<void> => {
    try {
      if (!(await lastGood.restore(configuration))) return;
      const kept = identity.current();
      // The proxy's own identity serves mutual TLS until the control plane gives it a certificate for that.
      if (kept !== undefined)
        await configuration.applyLocalSecrets([
          { kind: 'certificate', name: 'default', chainPem: kept.chainPem, keyPem: kept.keyPem },
          { kind: 'validation', name: 'ROOTCA', caPem: spec.rootCaPem },
        ]);
      log(`serving the configuration of the last run: ${crashed ? 'the process before this one crashed' : 'control plane not reachable'}`);
    } catch (error) {
      log(`the configuration of the last run cannot be used: ${(error as Error).message}`);
    }
  };

  return { name, adminPort: admin.port, ready, state: () => state, drain };
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve: () => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
