// Active health checks of one endpoint: one check at a time, the next when its time has come.

import { ActiveHealth } from '@weft/mesh-core/traffic';
import type { HealthCheckConfig } from '../../config/model.ts';
import { type TimerTarget, WheelTimer } from '../../transport/timer-wheel.ts';
import type { ClusterRuntime } from '../cluster.ts';
import type { EndpointState } from '../endpoint.ts';
import { chooseUpstreamTls, planUpstreamTls } from '../tls-plan.ts';
import { startProbe } from './probes.ts';

export class HealthChecker implements TimerTarget {
  readonly health: ActiveHealth;
  private readonly cluster: ClusterRuntime;
  private readonly endpoint: EndpointState;
  readonly config: HealthCheckConfig;
  private readonly due: WheelTimer = new WheelTimer(this);
  private readonly late: WheelTimer = new WheelTimer(this);
  private abort: (() => void) | undefined;

  /** `health` is what is known from an earlier configuration. */
  constructor(cluster: ClusterRuntime, endpoint: EndpointState, config: HealthCheckConfig, health = new ActiveHealth()) {
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.config = config;
    this.health = health;
    const jitter = config.rules.initialJitterMs;
    if (jitter > 0) cluster.wheel.set(this.due, cluster.random() * jitter);
    else this.check();
  }

  stop(): void {
    this.cluster.wheel.clear(this.due);
    this.cluster.wheel.clear(this.late);
    this.abort?.();
  }

  onTimer(timer: WheelTimer): void {
    if (timer === this.due) return this.check();
    this.abort?.();
    this.result('network');
  }

  private check(): void {
    const { cluster, endpoint, config } = this;
    const { address, port, hostname, healthCheck } = endpoint.config;
    const tls = chooseUpstreamTls(cluster.config, endpoint.config);
    const plan = tls === undefined ? undefined : planUpstreamTls(tls, cluster.secrets, hostname);
    cluster.wheel.set(this.late, config.rules.timeoutMs);
    // Secrets that are not here yet: the check fails when its time is over.
    if (tls !== undefined && plan === undefined) return;
    const target = {
      host: healthCheck?.address || address,
      port: healthCheck?.port || config.altPort || port,
      authority: healthCheck?.hostname || cluster.config.name,
      tls: plan,
    };
    this.abort = startProbe(config.probe, target, (result) => this.result(result));
  }

  private result(result: Parameters<ActiveHealth['report']>[0]): void {
    const { cluster, endpoint } = this;
    this.abort = undefined;
    cluster.wheel.clear(this.late);
    const { changed, nextMs } = this.health.report(result, this.config.rules, { random: cluster.random, hasTraffic: () => cluster.totalConnections > 0 });
    cluster.wheel.set(this.due, nextMs);
    cluster.checked(endpoint, changed, result === 'healthy' || result === 'degraded');
  }
}
