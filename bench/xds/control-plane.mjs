// Child of run.mjs: the control plane with its store and CA on free ports, as the server process has them. Commands come over IPC.
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DEFAULT_MESH_SETTINGS } from '../../packages/mesh-core/dist/model/index.js';
import { createCertificateAuthority, createSecretProvider } from '../../apps/server/dist/certificates/ca.js';
import { openJournalStore } from '../../apps/server/dist/config-store/journal-store.js';
import { createCrowdMemory } from '../../apps/server/dist/crowd-memory.js';
import { createControlPlane } from '../../apps/server/dist/control-plane/create-control-plane.js';
import { hostOf, serviceObjects, splitOf } from './mesh.mjs';

const { dir, services, port } = JSON.parse(process.argv[2]);
const store = await openJournalStore({ dir: join(dir, 'config'), now: Date.now, log: () => undefined });
const ca = await createCertificateAuthority({ stateDir: join(dir, 'ca'), trustDomain: 'cluster.local' });
const secrets = createSecretProvider({ ca });
if (store.list().items.length === 0) {
  const objects = Array.from({ length: services }, (_, i) => serviceObjects(i)).flat();
  for (let i = 0; i < objects.length; i += 500)
    await store.write(
      objects.slice(i, i + 500).map((object) => ({ op: 'put', object })),
      { actor: 'bench' },
    );
}
const memory = createCrowdMemory();
const plane = createControlPlane({
  store,
  settings: DEFAULT_MESH_SETTINGS,
  ca,
  secrets,
  ports: { plain: 0, tls: port, host: '127.0.0.1' },
  onCrowd: (coming) => void memory.crowd(coming),
  onSettled: memory.settled,
  log: ({ level, message, fields }) => level !== 'info' && console.error(message, fields),
});
await plane.start();

/** Polled seldom: the control plane takes the times itself, and reading them of a thousand proxies costs. */
const settled = async (revision) => {
  for (;;) {
    const spread = plane.propagation(revision);
    // Nobody was connected, or everybody who was is gone or has answered.
    if (plane.waiting() === 0 && !spread?.proxies.some((p) => p.state === 'pending' || p.state === 'sent')) return spread;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};
/** Past the debounce: until then nothing is known of the revision. */
const nextTurns = () => new Promise((resolve) => setTimeout(resolve, 30));
const loop = monitorEventLoopDelay({ resolution: 5 });
loop.enable();
const stood = new Set();
let since = 0;
const commands = {
  certificates: async ({ from, to }) => {
    const pairs = [];
    for (let i = from; i < to; i += 1) {
      const leaf = await ca.issueLeaf({ trustDomain: 'cluster.local', namespace: 'bench', serviceAccount: `svc-${i}` });
      pairs.push({ key: leaf.privateKeyPem, cert: leaf.certificatePem });
    }
    return { pairs, root: ca.rootCaPem };
  },
  edit: async ({ weight, service = 0 }) => {
    const started = performance.now();
    const { revision } = await store.write([{ op: 'put', object: splitOf(service, weight) }], { actor: 'bench' });
    const written = performance.now() - started;
    await nextTurns();
    const spread = await settled(revision);
    return {
      ms: spread?.completeMs ?? 0,
      proxies: spread?.proxies.length ?? 0,
      refused: spread?.proxies.filter((p) => p.state === 'nacked').length ?? 0,
      written,
    };
  },
  /** From here on proxies are to connect anew. */
  mark: async () => {
    stood.clear();
    since = Date.now();
  },
  /** The longest time since the last call in which the server did nothing else, ms. */
  pause: async () => {
    const longest = loop.max / 1e6;
    loop.reset();
    return longest;
  },
  state: async () => {
    // In step with some version, once since the mark: while edits go on there is always one on its way to somebody.
    for (const { id, state, types, connectedAt } of plane.proxies()) if (state === 'synced' && types.length === 5 && connectedAt >= since) stood.add(id);
    // The most it has ever had: the kernel's figure, in KB.
    return { stood: stood.size, rss: process.memoryUsage.rss(), most: process.resourceUsage().maxRSS * 1_024, cpu: process.cpuUsage() };
  },
};
process.on('message', ({ id, command, ...rest }) => void commands[command](rest).then((result) => process.send({ id, result })));
process.on('disconnect', () => process.exit(0));
process.send({ ready: plane.ports().tls, host: hostOf(0) });
