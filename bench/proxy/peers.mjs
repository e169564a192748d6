// The peers beside Weft: nginx (one hop, two hops with mutual TLS), haproxy for gRPC, proxies from npm, a bare one; and the upstreams.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { LOAD_CORE, PROXY_CORE, freePorts, listening } from '../lib/rig.mjs';

/** Proxies from npm: package, version, and the program that listens on PORT in front of UPSTREAM, given the package as `pkg`. */
const NPM = [
  [
    ...['http-proxy', '1.18.1'],
    `const { Agent, createServer } = require('node:http'); const proxy = pkg.createProxyServer({ target: 'http://127.0.0.1:UPSTREAM', agent: new Agent({ keepAlive: true, maxSockets: 64 }) });
     proxy.on('error', (_, __, response) => response.destroy()); createServer((a, b) => proxy.web(a, b)).listen(PORT, '127.0.0.1');`,
  ],
  [
    ...['fast-proxy', '2.2.0'],
    `const { proxy } = pkg({ base: 'http://127.0.0.1:UPSTREAM' }); require('node:http').createServer((a, b) => proxy(a, b, a.url, {})).listen(PORT, '127.0.0.1');`,
  ],
  [
    ...['fast-proxy-lite', '1.1.2'],
    `const { proxy } = pkg({ base: 'http://127.0.0.1:UPSTREAM' }); require('node:http').createServer((a, b) => proxy(a, b, a.url, {})).listen(PORT, '127.0.0.1');`,
  ],
];

/** HTTP/1.1 upstream: `/` answers 1 KB, `/100k` answers 100 KB. */
export async function startUpstream(rig, port) {
  const root = join(rig.dir, 'www');
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, '100k'), 'x'.repeat(100 * 1024));
  await nginx(
    rig,
    LOAD_CORE,
    'upstream',
    `server { listen 127.0.0.1:${port}; location = /100k { root ${root}; } location / { return 200 "${'x'.repeat(1024)}"; } }`,
  );
  await listening(port);
}

/** gRPC-shaped upstream: nghttpd answers 128 bytes and a trailer. */
export async function startGrpcUpstream(rig, port) {
  const root = join(rig.dir, 'grpc');
  mkdirSync(join(root, 'bench.Echo'), { recursive: true });
  writeFileSync(join(root, 'bench.Echo/Call'), 'x'.repeat(128));
  await rig.start(LOAD_CORE, 'nghttpd', ['--no-tls', '-d', root, '--trailer', 'grpc-status: 0', '-a', '127.0.0.1', String(port)]);
  await listening(port);
}

export async function startNginxHop(rig, port, upstream) {
  const pid = await nginx(rig, PROXY_CORE, 'hop', `${pool('app', upstream)} server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; ${HOP} } }`);
  await listening(port);
  return [pid];
}

/** Client side and server side in one nginx, mutual TLS 1.3 between them. */
export async function startNginxTwoHops(rig, port, middle, upstream) {
  const { ca, cert, key } = certificates(rig.dir);
  const pid = await nginx(
    rig,
    PROXY_CORE,
    'two-hops',
    `${pool('app', upstream)} ${pool('peer', middle)}
     server { listen 127.0.0.1:${port}; location / { proxy_pass https://peer; ${HOP} proxy_ssl_certificate ${cert}; proxy_ssl_certificate_key ${key};
       proxy_ssl_trusted_certificate ${ca}; proxy_ssl_verify on; proxy_ssl_name weft.test; proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on; } }
     server { listen 127.0.0.1:${middle} ssl; ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_client_certificate ${ca}; ssl_verify_client on;
       ssl_protocols TLSv1.3; location / { proxy_pass http://app; ${HOP} } }`,
  );
  await listening(port);
  return [pid];
}

export async function startHaproxyGrpc(rig, port, upstream) {
  const file = join(rig.dir, 'haproxy.cfg');
  writeFileSync(
    file,
    `global\n  nbthread 1\ndefaults\n  mode http\n  timeout client 60s\n  timeout server 60s\n  timeout connect 5s\n  http-reuse always\nfrontend f\n  bind 127.0.0.1:${port} proto h2\n  default_backend b\nbackend b\n  server s 127.0.0.1:${upstream} proto h2\n`,
  );
  const pid = await rig.start(PROXY_CORE, 'haproxy', ['-db', '-f', file]);
  await listening(port);
  return [pid];
}

/** The npm contenders, installed outside the checkout on first use; none when npm cannot. */
export async function startNpmProxies(rig, upstream) {
  const cache = join(process.env.WEFT_ENGINES ?? join(homedir(), '.cache/weft/engines'), 'bench');
  const missing = NPM.filter(([name]) => !existsSync(join(cache, 'node_modules', name))).map(([name, version]) => `${name}@${version}`);
  if (missing.length > 0) {
    mkdirSync(cache, { recursive: true });
    if (spawnSync('npm', ['install', '--prefix', cache, '--no-audit', '--no-fund', '--ignore-scripts', ...missing]).status !== 0) return [];
  }
  const ports = await freePorts(NPM.length);
  const started = [];
  for (const [i, [name, version, program]] of NPM.entries()) {
    const script = join(rig.dir, `${name}.cjs`);
    const loaded = `const pkg = require(${JSON.stringify(join(cache, 'node_modules', name))});\n`;
    writeFileSync(script, loaded + program.replaceAll('PORT', String(ports[i])).replaceAll('UPSTREAM', String(upstream)));
    started.push({ name: `${name} ${version}`, pids: [await rig.start(PROXY_CORE, process.execPath, [script])], port: ports[i] });
    await listening(ports[i]);
  }
  return started;
}

/** The floor on Node: see bare.mjs. */
export async function startBare(rig, port, upstream) {
  const pid = await rig.start(PROXY_CORE, process.execPath, [join(import.meta.dirname, 'bare.mjs'), String(port), String(upstream)]);
  await listening(port);
  return [pid];
}

const HOP = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; client_body_buffer_size 128k;';
const pool = (name, port) => `upstream ${name} { server 127.0.0.1:${port}; keepalive 64; keepalive_requests 100000000; }`;

async function nginx(rig, core, name, servers) {
  const file = join(rig.dir, `${name}.conf`);
  writeFileSync(
    file,
    `user root; worker_processes 1; daemon off; pid ${rig.dir}/${name}.pid; error_log stderr crit; events { worker_connections 2048; } http { access_log off; keepalive_requests 100000000; ${servers} }`,
  );
  return await rig.start(core, '/usr/sbin/nginx', ['-p', rig.dir, '-c', file]);
}

/** One self-made CA, and one certificate for both sides. */
function certificates(dir) {
  const at = (name) => join(dir, name);
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/O=bench',
  );
  writeFileSync(at('leaf.ext'), 'subjectAltName=DNS:weft.test\n');
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=weft.test');
  openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', 'leaf.ext', '-out', 'leaf.pem');
  return { ca: at('ca.pem'), cert: at('leaf.pem'), key: at('leaf.key') };
}
