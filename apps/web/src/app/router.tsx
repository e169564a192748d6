import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { z } from 'zod';
import { Shell } from './shell.tsx';

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: () => <div className="state">There is no such page.</div> });
const text = z.string().optional().catch(undefined);
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
    validateSearch: z.object({ node: text, edge: text }),
    component: lazyRouteComponent(() => import('../features/graph/graph-page.tsx'), 'GraphPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/traces',
    validateSearch: z.object({
      ...{ service: text, operation: text, tags: text, trace: text, span: text, from: text, to: text },
      status: z.enum(['error', 'ok']).optional().catch(undefined),
      min: z.coerce.number().optional().catch(undefined),
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
    path: '/proxies',
    component: lazyRouteComponent(() => import('../features/proxies/proxies-page.tsx'), 'ProxiesPage'),
  }),
] as const;

export const router = createRouter({ routeTree: rootRoute.addChildren(routes) });
declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
