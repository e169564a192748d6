// The data path beside its peers, interleaved in one run: requests per CPU second as ratios, CPU per request, latency at half of
// Envoy's load, memory. Needs the build (npm run build), wrk, h2load, nghttpd, nginx, haproxy, taskset; Envoy and http-proxy if there.
//   node bench/proxy/run.mjs [--rounds 5] [--seconds 2] [--only one-hop]
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuSeconds, freePorts, grpcLoad, median, openRig, option, paced, percentile, residentMb, wrk } from '../lib/rig.mjs';
import { growMesh, planMesh, PLAIN_HOST, startControlPlane, startEmbedded, startEnvoys } from './mesh.mjs';
import { startGrpcUpstream, startHaproxyGrpc, startHttpProxy, startNginxHop, startNginxTwoHops, startUpstream } from './peers.mjs';

const rounds = option('rounds', 5);
const seconds = option('seconds', 2);
const only = option('only', '');
const MANY_HEADERS = Array.from({ length: 9 }, (_, i) => `x-header-${i}: some value of ordinary length ${i}`);

const rig = openRig();
let envoys;
try {
  const [http, grpc, hop, twoHops, middle, haproxy, npm] = await freePorts(7);
  await startUpstream(rig, http);
  await startGrpcUpstream(rig, grpc);
  const control = await startControlPlane(rig);
  const plans = await planMesh(control.client, { http, grpc });
  const weft = await startEmbedded(rig, control.client, plans.weft);
  envoys = await startEnvoys(rig, control.client, plans.envoy);
  const listen = (kind, i) => plans[kind][0].upstreams[i].listenPort;
  const peers = {
    nginx: { pids: await startNginxHop(rig, hop, http), port: hop },
    nginxTwo: { pids: await startNginxTwoHops(rig, twoHops, middle, http), port: twoHops },
    haproxy: { pids: await startHaproxyGrpc(rig, haproxy, grpc), port: haproxy },
    npm: { pids: await startHttpProxy(rig, npm, http), port: npm },
  };
  const mesh = (i) => [
    { name: 'weft', pids: weft, port: listen('weft', i) },
    ...(envoys === undefined ? [] : [{ name: 'envoy', pids: envoys.pids, port: listen('envoy', i) }]),
  ];
  const named = (name, peer) => (peer.pids === undefined ? [] : [{ name, ...peer }]);
  const body = join(rig.dir, 'body');
  writeFileSync(body, 'x'.repeat(128));
  const cases = [
    {
      name: 'one hop, 1 KB',
      contenders: [...mesh(0), ...named('nginx', peers.nginx), ...named('http-proxy', peers.npm)],
      load: (port) => wrk(port, { seconds }),
    },
    {
      name: 'one hop, 1 KB, 11 headers',
      contenders: [...mesh(0), ...named('nginx', peers.nginx)],
      load: (port) => wrk(port, { seconds, headers: MANY_HEADERS }),
    },
    { name: 'one hop, 100 KB', contenders: [...mesh(0), ...named('nginx', peers.nginx)], load: (port) => wrk(port, { seconds, path: '/100k' }) },
    { name: 'two hops mTLS, 1 KB', contenders: [...mesh(2), ...named('nginx', peers.nginxTwo)], load: (port) => wrk(port, { seconds }) },
    { name: 'two hops mTLS, 100 KB', contenders: [...mesh(2), ...named('nginx', peers.nginxTwo)], load: (port) => wrk(port, { seconds, path: '/100k' }) },
    { name: 'gRPC one hop', contenders: [...mesh(1), ...named('haproxy', peers.haproxy)], load: (port) => grpcLoad(port, { seconds, body }) },
    { name: 'gRPC two hops mTLS', contenders: mesh(3), load: (port) => grpcLoad(port, { seconds, body }) },
  ].filter((c) => c.name.includes(only));

  console.log(`\n| case | contender | req per CPU s | CPU µs/req | weft against it |\n|---|---|---|---|---|`);
  const envoyRate = new Map();
  for (const { name, contenders, load } of cases) {
    const seen = new Map(contenders.map((c) => [c.name, []]));
    for (let round = 0; round <= rounds; round++)
      for (let i = 0; i < contenders.length; i++) {
        const c = contenders[(i + round) % contenders.length];
        const before = cpuSeconds(c.pids);
        const started = performance.now();
        const requests = await load(c.port);
        const sample = { cpu: ((cpuSeconds(c.pids) - before) * 1e6) / requests, rate: (requests * 1_000) / (performance.now() - started) };
        // The first round warms up.
        if (round > 0) seen.get(c.name).push(sample);
      }
    const cpu = (contender) => median(seen.get(contender).map((s) => s.cpu));
    if (seen.has('envoy')) envoyRate.set(name, median(seen.get('envoy').map((s) => s.rate)));
    for (const c of contenders) {
      // Ratio of each round, then the median: what disturbs one round disturbs all its contenders.
      const ratio = median(seen.get(c.name).map((s, i) => s.cpu / seen.get('weft')[i].cpu));
      console.log(
        `| ${name} | ${c.name} | ${Math.round(1e6 / cpu(c.name))} | ${cpu(c.name).toFixed(1)} | ${c.name === 'weft' ? '' : `${ratio.toFixed(2)} ×`} |`,
      );
    }
  }

  if (envoys !== undefined && only === '') {
    console.log(`\n| latency at half of Envoy's load | weft p50 / p99 ms | envoy p50 / p99 ms | ratio |\n|---|---|---|---|`);
    for (const [name, index] of [
      ['one hop, 1 KB', 0],
      ['two hops mTLS, 1 KB', 2],
    ]) {
      const rps = (envoyRate.get(name) ?? 0) / 2;
      const all = { weft: [], envoy: [] };
      for (let round = 0; round < Math.max(3, rounds); round++)
        for (const c of mesh(index)) all[c.name].push(await paced(c.port, { seconds, rps, logFile: join(rig.dir, 'paced.log') }));
      const at = (who, share) => median(all[who].map((list) => percentile(list, share)));
      const pair = (who) => `${at(who, 0.5).toFixed(2)} / ${at(who, 0.99).toFixed(2)}`;
      console.log(
        `| ${name}, ${Math.round(rps)} /s | ${pair('weft')} | ${pair('envoy')} | ${(at('weft', 0.5) / at('envoy', 0.5)).toFixed(2)} / ${(at('weft', 0.99) / at('envoy', 0.99)).toFixed(2)} |`,
      );
    }
  }
  if ('10,000 routes / 1,000 clusters'.includes(only)) {
    const port = plans.weft[0].httpProxyPort;
    const cost = async () => {
      const samples = [];
      for (let round = 0; round <= rounds; round++) {
        const before = cpuSeconds(weft);
        const requests = await wrk(port, { seconds, headers: [`Host: ${PLAIN_HOST}`] });
        if (round > 0) samples.push(((cpuSeconds(weft) - before) * 1e6) / requests);
      }
      return median(samples);
    };
    const small = await cost();
    await growMesh(control.client, port);
    const large = await cost();
    console.log(`\n| by Host, 1 KB | CPU µs/req | against the small mesh |\n|---|---|---|\n| this mesh | ${small.toFixed(1)} | |`);
    console.log(`| 10,000 routes / 1,000 clusters more | ${large.toFixed(1)} | ${(large / small).toFixed(2)} × |`);
  }
  console.log(`\n| memory | MB RSS |\n|---|---|\n| embedded client and server sidecar, one process, after this load | ${residentMb(weft).toFixed(0)} |`);
  if (envoys !== undefined) console.log(`| two Envoys after this load | ${residentMb(envoys.pids).toFixed(0)} |`);
} finally {
  await envoys?.stop();
  await rig.end();
}
