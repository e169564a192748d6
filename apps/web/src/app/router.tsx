import { Link, createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect, retainSearchParams } from '@tanstack/react-router';
import { z } from 'zod';
import { EDGE_LABELS, GRAPH_TYPES, PROXY_TABS, SERVICE_TABS, TRACE_VIEWS } from './pages.ts';
import { PageError } from './page-error.tsx';
import { Shell } from './shell.tsx';

const text = z.string().optional().catch(undefined);
const rootRoute = createRootRoute({
  component: Shell,
  validateSearch: z.object({ ns: text, range: z.coerce.number().optional().catch(undefined) }),
  // What holds for every page goes with every link.
  search: { middlewares: [retainSearchParams(['ns', 'range'])] },
  notFoundComponent: () => (
    <div className="state">
      There is no such page. <Link to="/graph">Go to the graph</Link>
    </div>
  ),
});
const serviceTab = z.enum(SERVICE_TABS).optional().catch(undefined);
const routes = [
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/',
    beforeLoad: () => {
      throw redirect({ to: '/graph' });
    },
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/overview',
    component: lazyRouteComponent(() => import('../features/overview/overview-page.tsx'), 'OverviewPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/graph',
    validateSearch: z.object({
      ...{ node: text, edge: text, find: text, hide: text, trace: text },
      type: z.enum(GRAPH_TYPES).optional().catch(undefined),
      label: z.enum(EDGE_LABELS).optional().catch(undefined),
    }),
    component: lazyRouteComponent(() => import('../features/graph/graph-page.tsx'), 'GraphPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/services',
    component: lazyRouteComponent(() => import('../features/services/services-page.tsx'), 'ServicesPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/services/$namespace/$name',
    validateSearch: z.object({ tab: serviceTab }),
    component: lazyRouteComponent(() => import('../features/services/service-page.tsx'), 'ServicePage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/workloads',
    component: lazyRouteComponent(() => import('../features/services/workloads-page.tsx'), 'WorkloadsPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/workloads/$namespace/$name',
    component: lazyRouteComponent(() => import('../features/services/workload-page.tsx'), 'WorkloadPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/traces',
    validateSearch: z.object({
      ...{ service: text, operation: text, tags: text, trace: text, with: text, span: text, from: text, to: text },
      status: z.enum(['error', 'ok']).optional().catch(undefined),
      min: z.coerce.number().optional().catch(undefined),
      max: z.coerce.number().optional().catch(undefined),
      view: z.enum(TRACE_VIEWS).optional().catch(undefined),
    }),
    component: lazyRouteComponent(() => import('../features/traces/traces-page.tsx'), 'TracesPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/config',
    validateSearch: z.object({ object: text }),
    component: lazyRouteComponent(() => import('../features/config/config-page.tsx'), 'ConfigPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/security',
    component: lazyRouteComponent(() => import('../features/security/security-page.tsx'), 'SecurityPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/proxies',
    validateSearch: z.object({ proxy: text, tab: z.enum(PROXY_TABS).optional().catch(undefined) }),
    component: lazyRouteComponent(() => import('../features/proxies/proxies-page.tsx'), 'ProxiesPage'),
  }),
] as const;

export const router = createRouter({ routeTree: rootRoute.addChildren(routes), defaultErrorComponent: PageError });
declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
