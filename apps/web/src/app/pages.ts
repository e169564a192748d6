// What addresses of pages may name: the router checks it, the pages offer it. Apart from the pages, which load when they are opened.

export const SERVICE_TABS = ['Overview', 'Traffic', 'Metrics', 'Requests', 'Config'] as const;
export const PROXY_TABS = ['Clusters', 'Listeners', 'Routes', 'Endpoints', 'Secrets', 'JSON'] as const;
export const GRAPH_TYPES = ['versionedApp', 'app', 'service', 'workload'] as const;
export const EDGE_LABELS = ['rate', 'errors', 'p95', 'share'] as const;
export const TRACE_VIEWS = ['Timeline', 'Table'] as const;
