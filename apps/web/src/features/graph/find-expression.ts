// What the find and hide fields understand: words, and conditions such as `err > 1 %`, `p95 > 200 and ns = shop`, `not mtls`.

import type { GraphSnapshot } from '@weft/mesh-core/api';
import { edgeFigures, nodeFigures } from '../../data/graph-figures.ts';
import { isMutualTls } from '../../ui/transport.tsx';

/** A node or an edge as conditions see it. Shares in percent, times in ms; -1 = no sample. */
interface Subject {
  text: string;
  words: Readonly<Record<string, string>>;
  figures: Readonly<Record<string, number>>;
  flags: ReadonlySet<string>;
}
type Test = (subject: Subject) => boolean;
export interface Expression {
  test: Test | undefined;
  /** What is not understood. */
  error?: string;
}
const FIGURES = ['rps', 'err', 'p50', 'p95', 'p99', 'share', 'mtls'];
const WORDS = ['name', 'ns', 'app', 'version', 'service', 'kind', 'protocol'];
const FLAGS = ['healthy', 'degraded', 'failing', 'idle', 'mtls', 'sidecar', 'split', 'fault', 'retries', 'breaker', 'mirror', 'authz'];
const BADGES = {
  'traffic-shifting': 'split',
  'fault-injection': 'fault',
  'timeout-retry': 'retries',
  'circuit-breaker': 'breaker',
  mirroring: 'mirror',
  'authorization-policy': 'authz',
} as const;
export const FIND_HELP = `Words look in names. Figures: ${FIGURES.join(', ')} with > < >= <= =. Texts: ${WORDS.join(', ')} with = or ~ (contains). Also ${FLAGS.join(', ')}; not, and, or.`;

/** Conditions joined by `and` bind closer than those joined by `or`; words without operators are looked for in names. */
export function parseExpression(text: string): Expression {
  const trimmed = text.trim().toLowerCase();
  if (trimmed === '') return { test: undefined };
  try {
    const anyOf = trimmed.split(/\s+or\s+/).map((part) => part.split(/\s+and\s+/).map(condition));
    return { test: (subject) => anyOf.some((allOf) => allOf.every((test) => test(subject))) };
  } catch (error) {
    return { test: undefined, error: error instanceof Error ? error.message : String(error) };
  }
}

function condition(text: string): Test {
  const negated = /^(?:not\s+|!)(.+)$/.exec(text);
  if (negated?.[1] !== undefined) {
    const inner = condition(negated[1]);
    return (subject) => !inner(subject);
  }
  const compared = /^([a-z0-9]+)\s*(>=|<=|!=|=|>|<|~)\s*(.*)$/.exec(text);
  if (compared !== null) return comparison(compared[1] ?? '', compared[2] ?? '', (compared[3] ?? '').trim());
  if (FLAGS.includes(text)) return (subject) => subject.flags.has(text);
  return (subject) => subject.text.includes(text);
}

function comparison(name: string, operator: string, value: string): Test {
  if (WORDS.includes(name)) {
    if (operator === '~') return ({ words }) => (words[name] ?? '').includes(value);
    if (operator === '=') return ({ words }) => words[name] === value;
    if (operator === '!=') return ({ words }) => words[name] !== value;
    throw new Error(`${name} is a text: use = != or ~`);
  }
  if (!FIGURES.includes(name)) throw new Error(`${name} is nothing to compare: use one of ${[...FIGURES, ...WORDS].join(', ')}`);
  const wanted = /^(-?\d+(?:\.\d+)?)\s*(%|ms|s|\/s)?$/.exec(value);
  if (wanted === null) throw new Error(value === '' ? `${name} ${operator} what?` : `${value} is no number`);
  const number = Number(wanted[1]) * (wanted[2] === 's' ? 1_000 : 1);
  const holds = (figure: number): boolean => {
    switch (operator) {
      case '>':
        return figure > number;
      case '<':
        return figure < number;
      case '>=':
        return figure >= number;
      case '<=':
        return figure <= number;
      case '!=':
        return figure !== number;
      case '=':
        return figure === number;
      default:
        throw new Error(`${name} is a number: use > < >= <= = or !=`);
    }
  };
  holds(0);
  return ({ figures }) => {
    const figure = figures[name] ?? -1;
    return figure >= 0 && holds(figure);
  };
}

/** Ids of what the expression picks. */
export function matching(graph: GraphSnapshot, test: Test): Set<string> {
  return new Set([
    ...graph.nodes.filter((_, i) => test(nodeSubject(graph, i))).map((n) => n.id),
    ...graph.edges.filter((_, i) => test(edgeSubject(graph, i))).map((e) => e.id),
  ]);
}

/** The graph without these nodes, the edges at them, and these edges; rows stay beside what they belong to. */
export function without(graph: GraphSnapshot, ids: ReadonlySet<string>): GraphSnapshot {
  const nodes = graph.nodes.flatMap((n, i) => (ids.has(n.id) ? [] : [i]));
  const edges = graph.edges.flatMap((e, i) => (ids.has(e.id) || ids.has(e.source) || ids.has(e.target) ? [] : [i]));
  const pick = <T>(list: readonly T[], places: readonly number[]): T[] => places.map((i) => list[i] as T);
  const kept = pick(graph.nodes, nodes);
  const used = new Set(kept.map((n) => n.box));
  const boxes = graph.boxes.filter((b) => used.has(b.id) || (b.kind === 'namespace' && kept.some((n) => n.namespace === b.namespace)));
  return { ...graph, boxes, nodes: kept, edges: pick(graph.edges, edges), nodeRows: pick(graph.nodeRows, nodes), edgeRows: pick(graph.edgeRows, edges) };
}

function nodeSubject(graph: GraphSnapshot, i: number): Subject {
  const node = graph.nodes[i] as GraphSnapshot['nodes'][number];
  const { inRps, inErrors, outRps, p50, p95, p99, tcpBytes, health } = nodeFigures(graph.nodeRows[i]);
  const words = {
    ns: node.namespace,
    app: node.app ?? '',
    version: node.version ?? '',
    service: node.service ?? '',
    kind: node.kind,
    name: node.workload ?? node.label,
  };
  const incoming = graph.edges.flatMap((e, j) => (e.target === node.id ? [edgeFigures(graph.edgeRows[j]).mtls] : []));
  const mtls = incoming.length === 0 ? -1 : Math.min(...incoming);
  const flags = [
    health,
    ...(Math.max(inRps, outRps, tcpBytes) <= 0 ? ['idle'] : []),
    ...(node.inMesh ? ['sidecar'] : []),
    ...(isMutualTls(mtls) ? ['mtls'] : []),
    ...node.badges.flatMap((b) => (b in BADGES ? [BADGES[b as keyof typeof BADGES]] : [])),
  ];
  return {
    text: `${node.id} ${node.label} ${node.app ?? ''} ${node.version ?? ''}`.toLowerCase(),
    words: lower(words),
    figures: {
      ...{ rps: Math.max(inRps, node.kind === 'gateway' ? outRps : 0), err: inErrors * 100 },
      ...{ p50, p95, p99, mtls: inPercent(mtls) },
    },
    flags: new Set(flags),
  };
}

function edgeSubject(graph: GraphSnapshot, i: number): Subject {
  const edge = graph.edges[i] as GraphSnapshot['edges'][number];
  const { rps, errors, p50, p95, p99, share, mtls, bytes, health } = edgeFigures(graph.edgeRows[i]);
  const flags = [health, ...(rps <= 0 && bytes <= 0 ? ['idle'] : []), ...(isMutualTls(mtls) ? ['mtls'] : [])];
  return {
    // Words are looked for in names, and an edge has none of its own.
    text: '',
    words: { kind: 'edge', protocol: edge.protocol },
    figures: { rps, err: inPercent(errors), p50, p95, p99, share: inPercent(share), mtls: inPercent(mtls) },
    flags: new Set(flags),
  };
}

function inPercent(share: number): number {
  return share < 0 ? -1 : share * 100;
}

function lower(words: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(words).map(([key, value]) => [key, value.toLowerCase()]));
}
