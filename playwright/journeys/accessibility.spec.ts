import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from '../fixtures/mesh.ts';

const PAGES = [
  ['overview', '/overview'],
  ['graph with a split open', '/graph?node=svc:bookinfo/reviews'],
  ['services', '/services'],
  ['service', '/services/bookinfo/reviews'],
  ['policies of a service', '/services/bookinfo/reviews?tab=Traffic'],
  ['workload', '/workloads/bookinfo/reviews-v1'],
  ['security', '/security'],
  ['traces', '/traces'],
  ['config', '/config?object=VirtualService/bookinfo/reviews'],
  ['proxies', '/proxies'],
] as const;

for (const theme of ['light', 'dark'] as const)
  for (const [name, path] of PAGES)
    test(`${name}, ${theme}: no WCAG A or AA finding`, async ({ mesh, page }) => {
      await page.emulateMedia({ colorScheme: theme });
      await page.goto(`${mesh.url}${path}`);
      await expect(page.getByRole('main')).toBeVisible();
      await expect(page.getByText('Loading…')).toHaveCount(0);
      if (path.startsWith('/graph')) await expect(page.getByRole('columnheader', { name: 'v3' })).toBeVisible();
      if (path === '/traces') {
        await page.getByTestId('trace-row').first().click();
        await page.getByTestId('span-row').first().click();
        await expect(page.getByTestId('span-detail')).toBeVisible();
      }
      const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']).analyze();
      expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(' ')} ${n.failureSummary ?? ''}`).join(' | ')}`)).toEqual([]);
    });
