import { expect, test } from '../fixtures/mesh.ts';

const PAGES = [
  '/overview',
  '/graph',
  '/services',
  '/workloads',
  '/services/bookinfo/reviews',
  '/services/bookinfo/reviews?tab=Traffic',
  '/services/bookinfo/reviews?tab=Requests',
  '/traces',
  '/config?object=VirtualService/bookinfo/reviews',
  '/security',
  '/proxies',
];

for (const [device, width, height] of [
  ['phone', 390, 844],
  ['small tablet', 768, 1024],
  ['small laptop', 1024, 768],
] as const)
  test(`on a ${device} no page is wider than the screen`, async ({ mesh, page }) => {
    await page.setViewportSize({ width, height });
    for (const path of PAGES) {
      await page.goto(`${mesh.url}${path}`);
      await expect(page.getByRole('main')).toBeVisible();
      await expect(page.getByText('Loading…')).toHaveCount(0);
      const wider = await page.evaluate(() =>
        ['html', '.bar', '.nav', 'main', '.page', '.dth'].flatMap((selector) =>
          [...document.querySelectorAll(selector)].filter((e) => e.scrollWidth > e.clientWidth).map((e) => `${selector} ${e.scrollWidth} > ${e.clientWidth}`),
        ),
      );
      expect([path, wider]).toEqual([path, []]);
      await expect(page.getByRole('navigation').getByRole('link', { name: 'Proxies' })).toBeInViewport({ ratio: 1 });
      await expect(page.getByRole('button', { name: 'Switch theme' })).toBeInViewport({ ratio: 1 });
    }
  });

test('on a small laptop the tables of a service fit', async ({ mesh, page }) => {
  await page.setViewportSize({ width: 1024, height: 768 });
  await page.goto(`${mesh.url}/services/bookinfo/reviews`);
  await expect(page.getByRole('columnheader', { name: 'Caller' }).first()).toBeVisible();
  expect(await page.locator('.dtw').evaluateAll((tables) => tables.map((t) => t.scrollWidth - t.clientWidth))).toEqual([0, 0, 0]);
});

test('the longest names leave everything in its place', async ({ mesh, page }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  const [namespace, name] = ['n'.repeat(63), 's'.repeat(63)];
  const yaml = `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { ports: [{ port: 80 }] }\n`;
  expect((await mesh.api('POST', '/api/v1/config/apply', { yaml })).status).toBe(200);
  try {
    await page.goto(`${mesh.url}/config?object=Service/${namespace}/${name}`);
    await expect(page.getByRole('heading', { name })).toBeVisible();
    await expect(page.getByRole('button', { name: 'History' })).toBeInViewport({ ratio: 1 });
    await expect(page.getByRole('button', { name: namespace })).toHaveCSS('height', '26px');
    const wider = await page
      .locator('.eh, .gh')
      .evaluateAll((all) => all.filter((e) => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight).length);
    expect(wider).toBe(0);
    await page.setViewportSize({ width: 1024, height: 768 });
    await expect(page.getByText('Search or jump to')).toBeInViewport({ ratio: 1 });
    expect((await page.getByRole('combobox', { name: 'Namespace' }).boundingBox())?.width).toBeLessThan(230);
  } finally {
    await mesh.api('DELETE', `/api/v1/namespaces/${namespace}/services/${name}`);
  }
});

test('on a phone every span of a trace can be seen', async ({ mesh, page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${mesh.url}/traces`);
  await page.getByTestId('trace-row').first().click();
  const spans = page.getByRole('tree', { name: 'Spans' }).getByRole('treeitem');
  await expect(spans.first()).toBeAttached();
  for (const span of await spans.all()) {
    await span.scrollIntoViewIfNeeded();
    await expect(span).toBeInViewport({ ratio: 1 });
  }
});
