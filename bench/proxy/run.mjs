// The data path beside its peers, interleaved in one run: requests per CPU second as ratios, CPU per request, latency at half of
// Envoy's load, the share of telemetry, memory. Needs the build (npm run build), wrk, h2load, nghttpd, nginx, haproxy, taskset;
// Envoy and proxies from npm if there.
//   node bench/proxy/run.mjs [--rounds 3] [--seconds 2] [--warm 6] [--only one-hop]
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { options } from '../lib/options.mjs';
import { cpuSeconds, freePorts, grpcLoad, median, openRig, paced, percentile, residentMb, wrk } from '../lib/rig.mjs';
import { growMesh, planMesh, PLAIN_HOST, startControlPlane, startEmbedded, startEnvoys } from './mesh.mjs';
import { startBare, startGrpcUpstream, startHaproxyGrpc, startNginxHop, startNginxTwoHops, startNpmProxies, startUpstream } from './peers.mjs';

// `warm`, before the first round of a case: what it compiles in the first seconds is no part of what a server costs that runs for days.
const { rounds, seconds, warm, only } = options({ rounds: 3, seconds: 2, warm: 6, only: '' });
const MANY_HEADERS = Array.from({ length: 9 }, (_, i) => `x-header-${i}: some value of ordinary length ${i}`);
/** Plans of the eight sidecars that do nothing. */
const IDLE = ['idle-1', 'idle-2', 'idle-3', 'idle-4'];

/** Runs a case: every contender once a round, in rotated order, after a longer one to warm up. Answers samples by contender. */
async function measure(contenders, load, times = rounds) {
  const seen = new Map(contenders.map((c) => [c.name, []]));
  for (let round = 0; round <= times; round++)
    for (let i = 0; i < contenders.length; i++) {
      const c = contenders[(i + round) % contenders.length];
      const before = cpuSeconds(c.pids);
      const started = performance.now();
      const requests = await load(c.port, { seconds: round === 0 ? warm : seconds });
      const sample = { cpu: ((cpuSeconds(c.pids) - before) * 1e6) / requests, rate: (requests * 1_000) / (performance.now() - started) };
      if (round > 0) seen.get(c.name).push(sample);
    }
  return seen;
}

/** Median CPU per request of a contender, µs. */
const cpuOf = (seen, name) => median(seen.get(name).map((s) => s.cpu));
/** Ratio of each round, then the median: what disturbs one round disturbs all its contenders. */
const ratioOf = (seen, name, to) => median(seen.get(name).map((s, i) => s.cpu / seen.get(to)[i].cpu));

const rig = openRig();
let envoys;
try {
  const [http, grpc, hop, twoHops, middle, haproxy, bare] = await freePorts(7);
  await startUpstream(rig, http);
  await startGrpcUpstream(rig, grpc);
  const control = await startControlPlane(rig);
  const plans = await planMesh(control.client, { http, grpc }, ['weft', 'envoy', 'quiet', 'single', ...IDLE]);
  const memory = [];
  const weigh = (what, pids) => memory.push([what, residentMb(pids).toFixed(0), residentMb(pids, 'RssAnon').toFixed(0), '']);
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  /** Weighs what does nothing, and the CPU it takes for that. */
  const weighIdle = async (what, pids) => {
    await sleep(3_000);
    weigh(what, pids);
    const before = cpuSeconds(pids);
    await sleep(10_000);
    memory.at(-1)[3] = ((cpuSeconds(pids) - before) * 100).toFixed(1);
  };
  if ('memory'.includes(only)) {
    const idle = await startEmbedded(
      rig,
      control.client,
      IDLE.flatMap((kind) => plans[kind]),
      { name: 'idle' },
    );
    await weighIdle('eight embedded sidecars in one process, idle', idle);
    await rig.stop(idle[0]);
    const single = await startEmbedded(rig, control.client, plans.single.slice(0, 1), { name: 'single' });
    for (let round = 0; round <= rounds; round++) await wrk(plans.single[0].upstreams[0].listenPort, { seconds });
    weigh('one embedded sidecar in one process, after the 1 KB load', single);
    await rig.stop(single[0]);
  }
  const weft = await startEmbedded(rig, control.client, plans.weft);
  envoys = await startEnvoys(rig, control.client, plans.envoy);
  const [clientEnvoy] = envoys?.pids ?? [];
  if (clientEnvoy !== undefined) {
    await weighIdle('one Envoy, idle', [clientEnvoy]);
  }
  const listen = (kind, i) => plans[kind][0].upstreams[i].listenPort;
  const peer = {
    nginx: { name: 'nginx', pids: await startNginxHop(rig, hop, http), port: hop },
    nginxTwo: { name: 'nginx', pids: await startNginxTwoHops(rig, twoHops, middle, http), port: twoHops },
    haproxy: { name: 'haproxy', pids: await startHaproxyGrpc(rig, haproxy, grpc), port: haproxy },
    bare: { name: 'bare Node proxy', pids: await startBare(rig, bare, http), port: bare },
  };
  const npm = await startNpmProxies(rig, http);
  const mesh = (i) => [
    { name: 'weft', pids: weft, port: listen('weft', i) },
    ...(envoys === undefined ? [] : [{ name: 'envoy', pids: envoys.pids, port: listen('envoy', i) }]),
  ];
  const body = join(rig.dir, 'body');
  writeFileSync(body, 'x'.repeat(128));
  const script = join(rig.dir, 'upload.lua');
  writeFileSync(script, 'wrk.method = "POST"\nwrk.body = string.rep("x", 100 * 1024)\n');
  const oneHop = 'one hop, 1 KB';
  const twoHop = 'two hops mTLS, 1 KB';
  const cases = [
    { name: oneHop, contenders: [...mesh(0), peer.nginx, ...npm, peer.bare], load: wrk },
    {
      name: 'one hop, 1 KB, 11 headers',
      contenders: [...mesh(0), peer.nginx],
      load: (port, time) => wrk(port, { ...time, headers: MANY_HEADERS }),
    },
    { name: 'one hop, 100 KB', contenders: [...mesh(0), peer.nginx, peer.bare], load: (port, time) => wrk(port, { ...time, path: '/100k' }) },
    { name: twoHop, contenders: [...mesh(2), peer.nginxTwo], load: wrk },
    { name: 'two hops mTLS, 100 KB', contenders: [...mesh(2), peer.nginxTwo], load: (port, time) => wrk(port, { ...time, path: '/100k' }) },
    { name: 'one hop, upload of 100 KB', contenders: [...mesh(0), peer.nginx], load: (port, time) => wrk(port, { ...time, script }) },
    { name: 'two hops mTLS, upload of 100 KB', contenders: [...mesh(2), peer.nginxTwo], load: (port, time) => wrk(port, { ...time, script }) },
    { name: 'gRPC one hop', contenders: [...mesh(1), peer.haproxy], load: (port, time) => grpcLoad(port, { ...time, body }) },
    { name: 'gRPC two hops mTLS', contenders: mesh(3), load: (port, time) => grpcLoad(port, { ...time, body }) },
  ].filter((c) => c.name.includes(only));

  console.log(`\n| case | contender | req per CPU s | CPU µs/req | weft against it |\n|---|---|---|---|---|`);
  const envoyRate = new Map();
  for (const { name, contenders, load } of cases) {
    const seen = await measure(contenders, load);
    if (seen.has('envoy')) envoyRate.set(name, median(seen.get('envoy').map((s) => s.rate)));
    for (const c of contenders) {
      const cpu = cpuOf(seen, c.name);
      const against = c.name === 'weft' ? '' : `${ratioOf(seen, c.name, 'weft').toFixed(2)} ×`;
      console.log(`| ${name} | ${c.name} | ${Math.round(1e6 / cpu)} | ${cpu.toFixed(1)} | ${against} |`);
    }
    if (name === oneHop && clientEnvoy !== undefined) weigh('one Envoy, after the 1 KB load', [clientEnvoy]);
  }

  if (envoys !== undefined && only === '') {
    console.log(`\n| latency at half of Envoy's load | weft p50 / p99 ms | envoy p50 / p99 ms | ratio |\n|---|---|---|---|`);
    for (const [name, index] of [
      [oneHop, 0],
      [twoHop, 2],
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
  if ('telemetry'.includes(only)) {
    // Two processes of the same age, apart from the one that has seen everything else.
    const pair = [];
    for (const kind of ['single', 'quiet']) {
      const [pid] = await startEmbedded(rig, control.client, plans[kind].slice(0, 1), { name: kind });
      pair.push({ name: kind, pids: [pid], port: listen(kind, 0) });
    }
    const seen = await measure(pair, wrk, rounds * 2);
    const share = 100 * (1 - ratioOf(seen, 'quiet', 'single'));
    console.log(
      `\n| telemetry, one hop, 1 KB | CPU µs/req | share |\n|---|---|---|\n| off by a Telemetry: no metrics, no traces | ${cpuOf(seen, 'quiet').toFixed(1)} | |`,
    );
    console.log(`| on: Istio's metrics, 1 % of traces | ${cpuOf(seen, 'single').toFixed(1)} | ${share.toFixed(1)} % |`);
    for (const { pids } of pair) await rig.stop(pids[0]);
  }
  if ('10,000 routes / 1,000 clusters'.includes(only)) {
    const port = plans.weft[0].httpProxyPort;
    const byHost = [{ name: 'weft', pids: weft, port }];
    const cost = async () => cpuOf(await measure(byHost, (_, time) => wrk(port, { ...time, headers: [`Host: ${PLAIN_HOST}`] })), 'weft');
    const small = await cost();
    await growMesh(control.client, port);
    const large = await cost();
    console.log(`\n| by Host, 1 KB | CPU µs/req | against the small mesh |\n|---|---|---|\n| this mesh | ${small.toFixed(1)} | |`);
    console.log(`| 10,000 routes / 1,000 clusters more | ${large.toFixed(1)} | ${(large / small).toFixed(2)} × |`);
  }
  weigh('embedded client and server sidecar in one process, after all of this run', weft);
  if (envoys !== undefined) weigh('two Envoys after all of this run', envoys.pids);
  console.log('\n| memory | MB RSS | of it no pages of files | CPU when idle, ms a second |\n|---|---|---|---|');
  for (const row of memory) console.log(`| ${row.join(' | ')} |`);
} finally {
  await envoys?.stop();
  await rig.end();
}
