// istioctl's findings (shared/corpus) against ours.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type MeshObject, kindOfManifest } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { validateObject } from './validate.ts';
import { parseYaml } from './yaml-text.ts';

const corpus = process.env['WEFT_CORPUS'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../../shared/corpus');
const present = existsSync(join(corpus, 'istio'));
if (!present) console.warn(`skipped: Istio's conformance corpus is not at ${corpus}; set WEFT_CORPUS`);

/** Where Kiali has a code for a finding of istioctl Weft shows Kiali's; which one, hangs on the analyzer. */
const KIALI: Readonly<Record<string, string>> = {
  'virtualservice.DestinationHostAnalyzer': 'KIA1101',
  'virtualservice.DestinationRuleAnalyzer': 'KIA1107',
  'virtualservice.GatewayAnalyzer': 'KIA1102',
  'sidecar.SelectorAnalyzer': 'KIA0004',
  'telemetry.SelectorAnalyzer': 'KIA0004',
};

/** Cases Weft decides otherwise, and why. */
const DEVIATIONS: Readonly<Record<string, string>> = {
  gatewayCustomIngressGatewayBadPort: 'a gateway proxy opens its ports itself; no Service has to list them',
  gatewaySecret: 'Secrets are looked for in the namespaces of connected gateway proxies (analyze-gateway-proxies)',
  gatewaySecretValidations: 'what is in a Secret is not looked at, only whether it has the keys',
  sidecarDefaultSelector: 'there is no ambient mode, so no IST0167',
  virtualServiceJWTClaimRoute: 'whether a gateway checks tokens is not looked at: a RequestAuthentication may come from anywhere',
  virtualServiceKubernetesGateways:
    'VirtualServices bind to Gateways of Istio, to those of the Gateway API only routes do, as in the Istio Weft is compared with',
  'missing Addresses and Protocol in Service Entry with ISTIO_META_DNS_AUTO_ALLOCATE enabled': 'no DNS proxy, so no addresses are allocated',
  'Analyze invalid telemetry': 'a Telemetry without providers uses the one Weft has',
};

/** Single findings Weft does not have, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'IST0132 VirtualService default/httpbin-bogus': 'a Gateway that does not exist is reported once, not once more for its hosts',
};

interface Case {
  name: string;
  analyzer: string;
  files: string[];
  expected: { code: string; resource: string }[];
}

/** Objects of the files as they are served; a Pod counts as the WorkloadEntry that would stand for it. */
function read(files: readonly string[]): { objects: MeshObject[]; unserved: string[] } {
  const objects: MeshObject[] = [];
  const unserved = new Set<string>();
  for (const { value } of files.flatMap((file) => parseYaml(readFileSync(join(corpus, 'istio', file), 'utf8')).documents)) {
    const { kind, metadata, ...rest } = value as MeshObject;
    const known = kindOfManifest(kind, rest.apiVersion);
    const served = known !== undefined && rest.apiVersion.startsWith(known.group);
    const home = (metadata as Partial<MeshObject['metadata']>).namespace ?? 'default';
    if (kind === 'Pod') {
      const { name, labels } = metadata;
      objects.push({ apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata: { name, namespace: home }, spec: { address: '1.1.1.1', labels } });
    } else if (served) {
      const { object } = validateObject({ kind, metadata, ...rest });
      const raw = { ...rest, spec: mended(rest.spec ?? {}), kind, metadata: { ...metadata, namespace: home } };
      // istioctl looks at objects a webhook would refuse, too.
      if (object === undefined && !isReadable(raw)) unserved.add(`${kind} ${metadata.name} is refused`);
      else objects.push({ ...(object ?? raw), ...(rest.status === undefined ? {} : { status: rest.status }) });
    } else unserved.add(`${rest.apiVersion} ${kind}`);
  }
  return { objects, unserved: [...unserved] };
}

/** A refused spec without the parts that make it so, where the case is about something else. */
function mended(spec: unknown): unknown {
  const {
    servers = [],
    http = [],
    configPatches = [],
    ...others
  } = spec as {
    servers?: object[];
    http?: { route?: { destination?: unknown }[] }[];
    configPatches?: { patch?: unknown }[];
  };
  const rules = http.map((rule) => ({ ...rule, route: (rule.route ?? []).filter((r) => r.destination !== undefined) }));
  return { ...others, servers, http: rules, configPatches: configPatches.filter((p) => p.patch !== undefined) };
}

/** Whether an object that was refused can be analysed nevertheless. */
function isReadable(object: MeshObject): boolean {
  try {
    analyzeObjects([object]);
    return true;
  } catch {
    return false;
  }
}

/** `Gateway default/alpha` or `Gateway alpha`, as the index has it. */
const place = (resource: string): string => {
  const [kind = '', name = ''] = resource.split(' ');
  return `${kind} ${name.includes('/') ? name : `default/${name}`}`;
};

test.skipIf(!present)('what istioctl finds is found here, and nothing of that kind where it finds nothing', () => {
  const cases = JSON.parse(readFileSync(join(corpus, 'istio/analyzers-index.json'), 'utf8')) as Case[];
  const left: string[] = [];
  const wrong: object[] = [];
  let agreed = 0;
  for (const { name, files, expected, analyzer } of cases) {
    const { objects, unserved } = read(files);
    if (unserved.length > 0 || DEVIATIONS[name] !== undefined) {
      left.push(`  ${name}: ${DEVIATIONS[name] ?? unserved.join(', ')}`);
      continue;
    }
    // One analyzer's findings: of other codes the case says nothing.
    const codes = new Set([...expected.map((e) => e.code), ...(CODES[analyzer] ?? [])]);
    const found = new Set(
      analyzeObjects(objects)
        .map((p) => `${p.code === KIALI[analyzer] ? 'IST0101' : p.code} ${p.ref?.kind} ${p.ref?.namespace}/${p.ref?.name}`)
        .filter((text) => codes.has(text.split(' ')[0] ?? '')),
    );
    const wanted = new Set(expected.map((e) => `${e.code} ${place(e.resource)}`));
    const missing = [...wanted].filter((w) => !found.has(w) && LEFT_OUT[w] === undefined);
    const extra = [...found].filter((f) => !wanted.has(f));
    if (missing.length + extra.length === 0) agreed += 1;
    else wrong.push({ name, missing, extra });
  }
  console.log(`istioctl's analyzers: ${agreed} cases agree, ${wrong.length} differ; not served:\n${left.join('\n')}`);
  expect(wrong).toEqual([]);
  expect(agreed).toBeGreaterThan(20);
});

/** Codes an analyzer may give, where a case expects none of them. */
const CODES: Readonly<Record<string, readonly string[]>> = {
  'gateway.ConflictingGatewayAnalyzer': ['IST0145'],
  'serviceentry.Analyzer': ['IST0134'],
  'serviceentry.ConflictingServiceEntryProtocolAnalyzer': ['IST0177'],
  'envoyfilter.EnvoyPatchAnalyzer': ['IST0151', 'IST0152', 'IST0153', 'IST0154', 'IST0155'],
  'virtualservice.GatewayAnalyzer': ['IST0132'],
  'schema.ValidationAnalyzer.VirtualService': ['IST0130', 'IST0131'],
};
