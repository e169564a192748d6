// How node is started for a proxy process (docs/benchmarks-notes.md).

/**
 * V8 would let each half of the young generation grow to 16 MB; what a request leaves behind is garbage at once, so that a quarter of
 * it collects as cheaply. Nothing is compiled until there is something to do (proxy/compiling.ts). And the roots of the system are
 * read where they are asked for (proxy/transport/secure-context.ts), not by Node whenever a context has a CA of its own.
 */
export const PROXY_FLAGS: readonly string[] = ['--max-semi-space-size=4', '--no-opt', '--no-sparkplug', '--use-openssl-ca'];

/** Below the compiled server: all of the proxy in CommonJS (vite.config.ts). */
export const PROXY_PROGRAM = 'proxy-program/main.cjs';

/** Files of roots that Node would read at every start. */
const ROOT_FILES = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'];

/** Environment of a proxy process; it finds those files under names of ours. */
export function proxyEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const renamed = Object.entries(env).map(([name, value]) => [ROOT_FILES.includes(name) ? `WEFT_${name}` : name, value]);
  // With both of them node does not start.
  const options = env['NODE_OPTIONS']?.replaceAll('--use-bundled-ca', '');
  return { ...Object.fromEntries(renamed), ...(options === undefined ? {} : { NODE_OPTIONS: options }) };
}
