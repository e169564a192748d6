// TCP proxying: one upstream connection per client connection, bytes both ways with the back-pressure of the streams.

import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { compileWeightedChoice } from '@weft/mesh-core/traffic';
import type { ListenerConfig, TcpProxy } from '../config/model.ts';
import type { PeerInfo, RuntimeDeps, TcpRecord } from '../http/hooks.ts';
import { WheelTimer, type TimerTarget, type TimerWheel } from '../transport/timer-wheel.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import { chooseUpstreamTls, planUpstreamTls } from '../upstream/tls-plan.ts';

export interface TcpContext {
  listener: ListenerConfig;
  proxy: TcpProxy;
  deps: RuntimeDeps;
  wheel: TimerWheel;
  clusters: ReadonlyMap<string, ClusterRuntime>;
  peer: PeerInfo;
  tls: boolean;
}

export class TcpConnection implements TimerTarget {
  private readonly socket: Socket;
  private readonly context: TcpContext;
  private readonly record: TcpRecord;
  private readonly timer = new WheelTimer(this);
  private upstream: Socket | undefined;
  private endpoint: EndpointState | undefined;
  private cluster: ClusterRuntime | undefined;
  private done = false;

  constructor(socket: Socket, context: TcpContext) {
    this.socket = socket;
    this.context = context;
    const { listener, deps, peer, tls } = context;
    this.record = {
      phase: 'opened',
      direction: listener.direction,
      listener,
      cluster: undefined,
      endpoint: undefined,
      peer,
      tls,
      startedAt: deps.clock(),
      durationMs: 0,
      receivedBytes: 0,
      sentBytes: 0,
      responseFlags: '-',
      downstreamAddress: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`,
      upstreamAddress: '',
    };
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.finish());
    this.open();
  }

  close(): void {
    this.socket.destroy();
  }

  onTimer(): void {
    if (this.upstream?.connecting === true) this.fail('UF');
    else this.socket.destroy();
  }

  private open(): void {
    const { context, record, socket } = this;
    const target = compileWeightedChoice(context.proxy.clusters).pick(context.deps.random());
    const cluster = target === undefined ? undefined : context.clusters.get(target.name);
    if (cluster === undefined) return this.fail('NC');
    record.cluster = cluster.config;
    if (!cluster.breaker.mayConnect()) return this.fail('UO');
    const endpoint = cluster.pick([], 0);
    if (endpoint === undefined) return this.fail('UH');
    record.endpoint = endpoint.config;
    record.upstreamAddress = endpoint.address;
    const tls = chooseUpstreamTls(cluster.config, endpoint.config);
    const plan = tls === undefined ? undefined : planUpstreamTls(tls, cluster.secrets);
    if (tls !== undefined && plan === undefined) return this.fail('UF');
    this.cluster = cluster;
    this.endpoint = endpoint;
    endpoint.active++;
    cluster.breaker.connections++;
    cluster.totalConnections++;
    const { address: host, port } = endpoint.config;
    let upstream: Socket | TLSSocket;
    if (plan === undefined) upstream = connect({ host, port, noDelay: true, allowHalfOpen: true });
    else {
      upstream = connectTls({
        host,
        port,
        secureContext: plan.context,
        ALPNProtocols: plan.alpn,
        ...(plan.sni === '' ? {} : { servername: plan.sni }),
        checkServerIdentity: (_, certificate) => (plan.accepts(certificate.subjectaltname) ? undefined : new Error('peer identity not accepted')),
      });
    }
    this.upstream = upstream;
    context.wheel.set(this.timer, cluster.config.connectTimeoutMs || 5000);
    let ready = false;
    upstream.once(plan === undefined ? 'connect' : 'secureConnect', () => {
      ready = true;
      cluster.report(endpoint, 'success');
      this.touch();
      context.deps.onTcp?.(record);
      socket.on('data', (chunk: Buffer) => {
        record.receivedBytes += chunk.length;
        this.touch();
      });
      upstream.on('data', (chunk: Buffer) => {
        record.sentBytes += chunk.length;
        this.touch();
      });
      socket.pipe(upstream);
      upstream.pipe(socket);
    });
    upstream.on('error', () => {
      if (ready) socket.destroy();
      else {
        cluster.connectFailures++;
        cluster.report(endpoint, 'connect-failure');
        this.fail('UF');
      }
    });
    upstream.on('close', () => {
      if (!socket.destroyed) socket.end();
    });
  }

  private touch(): void {
    this.context.wheel.set(this.timer, this.context.proxy.idleTimeoutMs || 3_600_000);
  }

  private fail(flag: string): void {
    this.record.responseFlags = flag;
    this.socket.destroy();
  }

  private finish(): void {
    if (this.done) return;
    this.done = true;
    const { context, record, cluster, endpoint } = this;
    context.wheel.clear(this.timer);
    this.upstream?.destroy();
    if (cluster !== undefined && endpoint !== undefined) {
      endpoint.active--;
      cluster.breaker.connections--;
    }
    record.phase = 'closed';
    record.durationMs = context.deps.clock() - record.startedAt;
    context.deps.onTcp?.(record);
  }
}
